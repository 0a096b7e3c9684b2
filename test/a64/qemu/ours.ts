// An engine, set up as the user-mode judge is: EL0 under an operating system, two pages of data and one of code.

import type { Feature } from "../../../lib/model/a64/features.js";
import { CpuState, cells } from "../../../lib/model/cpu/state.js";
import { type EngineName, makeEngine, roomIn } from "../engines.js";
import { type Case, CODE, DATA, DATA_BYTES, type Ending, MOST_WORDS, type Result } from "./case.js";
import { splitMix } from "./random.js";

const DATA_AT = 0x1_0000;
const CODE_AT = 0x1_4000;
const TABLES_AT = 0x1_5000;
const END = 0x2_0000;
/** More than the interpreter leaves to the evaluator. */
const BUDGET = 10_000;
const BRK = 0xd420_0000;
const TABLES = 0x6000_0000n;
/** Exceptions to EL1 fetch from here, which stage 1 maps to where nothing is: that ends the run. */
const VECTORS = 0x2_0000_0000n;

/** M, UCT, UCI, DZE, nTWI, nTWE, BT0: what an operating system lets its processes do. */
const SCTLR = 1n | (1n << 15n) | (1n << 26n) | (1n << 14n) | (1n << 16n) | (1n << 18n) | (1n << 35n);
/** TBI0, EPD1, physical addresses of 48 bits and virtual ones of 39. */
const TCR = (1n << 37n) | (5n << 32n) | (1n << 23n) | 25n;
const NORMAL = 0xffn;
/** CPACR_EL1.FPEN: no traps. */
const FPEN = 3n << 20n;
const PARANGE_48 = 5n;
const DC_ZVA_512_BYTES = 7n;

/** Features that both machines have. */
export const judged: ReadonlySet<Feature> = new Set<Feature>([
  "FP",
  "AdvSIMD",
  "FP16",
  "JSCVT",
  "FRINTTS",
  "AES",
  "PMULL",
  "SHA1",
  "SHA2",
  "SHA512",
  "SHA3",
  "RDM",
  "DotProd",
  "FCMA",
  "FHM",
  "CRC32",
  "LSE",
  "FlagM",
  "FlagM2",
  "LRCPC",
  "LRCPC2",
  "LOR",
  "PAN",
  "PAN2",
  "UAO",
  "DIT",
  "SSBS",
  "SSBS2",
  "BTI",
  "SM3",
  "SM4",
  "I8MM",
  "SB",
  "DPB",
  "DPB2",
  "SPECRES",
  "RAS",
  "TLBIOS",
  "TLBIRANGE",
  "MTE",
]);

export class OurUser {
  readonly engine: ReturnType<typeof makeEngine>;
  private readonly state: CpuState;
  private readonly data: BigUint64Array;
  private readonly original: BigUint64Array;
  private readonly code: Int32Array;

  constructor(engine: EngineName = "evaluator") {
    const memory = new WebAssembly.Memory({ initial: 64, maximum: 64, shared: true });
    this.state = new CpuState(memory, 0);
    this.data = new BigUint64Array(memory.buffer, DATA_AT, DATA_BYTES / 8);
    this.code = new Int32Array(memory.buffer, CODE_AT, 1024);
    let seed = 0n;
    for (let n = 0; n < this.data.length; n++) {
      const { state, output } = splitMix(seed);
      seed = state;
      this.data[n] = output;
    }
    this.original = this.data.slice();
    this.code.fill(BRK);
    fillTables(new BigUint64Array(memory.buffer, TABLES_AT, 4 * 512));
    this.engine = makeEngine(
      engine,
      this.state,
      {
        generation: 0,
        page: (ipa, access) => {
          if (ipa === CODE) return CODE_AT;
          if (ipa >= TABLES && ipa < TABLES + 0x4000n) return TABLES_AT + Number(ipa - TABLES);
          const offset = ipa - DATA;
          return offset >= 0n && offset < BigInt(DATA_BYTES) && access !== "fetch" ? DATA_AT + Number(offset) : -7;
        },
      },
      {
        counter: () => 0n,
        promises: (feature) => judged.has(feature),
        has: (condition) => ["PAN", "UAO", "DIT", "SSBS", "RAS", "LOR"].includes(condition),
      },
      roomIn(memory, END),
    );
  }

  run({ x, sp, nzcv, v, code, passes }: Case): Result {
    const { state } = this;
    for (let n = 0; n < MOST_WORDS; n++) this.code[n] = code[n] ?? BRK;
    for (const [n, value] of x.entries()) state.setX(n, value);
    state.spEl0 = sp;
    state.pstate = nzcv;
    for (const [n, word] of v.words.entries()) state.quads[cells.v + n] = word;
    state.fpsr = v.fpsr;
    state.fpcr = v.fpcr;
    state.set("CPACR_EL1", FPEN);
    state.pc = CODE;
    state.clearExclusive();
    state.set("SCTLR_EL1", SCTLR);
    state.set("TCR_EL1", TCR);
    state.set("TTBR0_EL1", TABLES);
    state.set("MAIR_EL1", NORMAL);
    state.set("VBAR_EL1", VECTORS);
    state.set("ID_AA64MMFR0_EL1", PARANGE_48);
    state.set("DCZID_EL0", DC_ZVA_512_BYTES);
    const passed: [number, Ending][] = [];
    const ending = this.untilTheEnd(code.length, passes, passed);
    const changes: [number, bigint][] = [];
    for (let n = 0; n < this.data.length; n++) {
      if (this.data[n] === this.original[n]) continue;
      changes.push([n, this.data[n]!]);
      this.data[n] = this.original[n]!;
    }
    const taken = state.el === 1;
    return {
      ending,
      x: x.map((_, n) => state.x(n)),
      sp: state.spEl0,
      nzcv: (taken ? state.spsr(0) : state.pstate) & 0xf000_0000n,
      v: {
        words: [...state.quads.subarray(cells.v, cells.v + 64)],
        fpsr: state.fpsr,
        fpcr: state.fpcr,
      },
      pc: taken ? state.elrEl1 : state.pc,
      passed,
      changes,
    };
  }

  private untilTheEnd(words: number, passes: number, passed: [number, Ending][]): Ending {
    const { state } = this;
    for (;;) {
      const ending = this.untilAFault();
      const pc = state.el === 1 ? state.elrEl1 : state.pc;
      const at = Number(pc - CODE);
      if (!(at >= 0 && at < 4 * words) || passed.length >= passes) return ending;
      passed.push([Math.floor(at / 4), ending]);
      // As a signal handler sees it: at the fault, in the mode that it was.
      if (state.el === 1) state.pstate = state.spsr(0);
      state.pc = pc + 4n;
      state.clearExclusive();
    }
  }

  private untilAFault(): Ending {
    const { state } = this;
    for (;;) {
      const stop = this.engine.run(BUDGET);
      if (stop.kind !== "el2") throw new Error(`a case stopped with ${JSON.stringify(stop)}`);
      const ec = stop.esr >>> 26;
      // WFI and WFE: in user mode nothing waits.
      if (ec === 0x01) state.pc += 4n;
      else if (state.el === 1) return exceptionEnding(Number(state.get("ESR_EL1")));
      else if (ec === 0x20 || ec === 0x24) return "abort";
      else throw new Error(`a case went to EL2 with ESR ${stop.esr.toString(16)}`);
    }
  }
}

/** Tables of levels 1, 2 and, for data and code, 3: as a process sees its memory, and a guarded page of code. */
function fillTables(words: BigUint64Array): void {
  const table = (n: bigint) => (TABLES + (n << 12n)) | 3n;
  const index = (address: bigint, level: 1 | 2) => Number((address >> (level === 1 ? 30n : 21n)) & 511n);
  const leaf = (1n << 10n) | (3n << 8n); // AF, inner shareable
  const user = 1n << 6n;
  const never = 3n << 53n;
  const guarded = 1n << 50n;
  words[index(DATA, 1)] = table(1n);
  words[index(VECTORS, 1)] = VECTORS | leaf | 1n;
  words[512 + index(DATA, 2)] = table(2n);
  words[512 + index(CODE, 2)] = table(3n);
  for (let page = 0; page < DATA_BYTES / 4096; page++) {
    words[1024 + page] = (DATA + BigInt(page * 4096)) | leaf | user | never | 3n;
  }
  words[1536] = CODE | leaf | user | guarded | 3n;
}

function exceptionEnding(esr: number): Ending {
  const ec = esr >>> 26;
  if (ec === 0x3c) return "done";
  if (ec === 0x00 || ec === 0x0d || ec === 0x18) return "undefined";
  if (ec === 0x22 || ((ec === 0x24 || ec === 0x25) && (esr & 63) === 0x21)) return "alignment";
  if (ec === 0x24 || ec === 0x20) return "abort";
  throw new Error(`a case took an exception with ESR ${esr.toString(16)}`);
}
