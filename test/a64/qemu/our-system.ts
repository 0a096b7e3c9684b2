// The evaluator, set up as the system-mode judge is.

import { CpuState, Pstate } from "../../../lib/model/cpu/state.js";
import { Evaluator } from "../../../lib/model/engine/evaluator.js";
import { DATA_BYTES } from "./case.js";
import { judged } from "./ours.js";
import { splitMix } from "./random.js";
import {
  readBack,
  SYSTEM_CODE,
  SYSTEM_DATA,
  SYSTEM_WORDS,
  type SystemCase,
  type SystemResult,
  VECTORS,
} from "./system-case.js";

const DATA_AT = 0x1_0000;
const CODE_AT = 0x1_4000;
const BRK = 0xd420_0000;
const PARANGE_52 = 6n;
/** QARMA5, without what later versions added: QEMU 7.2. */
const APA = 1n << 4n;
/** ST, and 52-bit addresses with 64 KiB granules. */
const MMFR2 = (1n << 28n) | (1n << 16n);
const DC_ZVA_64_BYTES = 4n;
/** What system-judge.c sets to zero before each case. */
const cleared = [...readBack, "FAR_EL1", "ESR_EL1"] as const;

export class OurSystem {
  private readonly state: CpuState;
  private readonly evaluator: Evaluator;
  private readonly data: BigUint64Array;
  private readonly original: BigUint64Array;
  private readonly code: Int32Array;

  constructor() {
    const memory = new WebAssembly.Memory({ initial: 2, maximum: 2, shared: true });
    this.state = new CpuState(memory, 0);
    this.data = new BigUint64Array(memory.buffer, DATA_AT, DATA_BYTES / 8);
    this.code = new Int32Array(memory.buffer, CODE_AT, 1024).fill(BRK);
    let seed = 0n;
    for (let n = 0; n < this.data.length; n++) {
      const { state, output } = splitMix(seed);
      seed = state;
      this.data[n] = output;
    }
    this.original = this.data.slice();
    this.evaluator = new Evaluator(
      this.state,
      {
        generation: 0,
        // The vectors are not there: the fetch of the first instruction of a handler ends the case.
        page: (ipa) => {
          if (ipa === SYSTEM_CODE) return CODE_AT;
          const offset = ipa - SYSTEM_DATA;
          return offset >= 0n && offset < BigInt(DATA_BYTES) ? DATA_AT + Number(offset) : -7;
        },
      },
      {
        counter: () => 0n,
        // On QEMU's virt machine without tag memory there is no MTE.
        promises: (feature) =>
          (judged.has(feature) && feature !== "MTE") ||
          feature === "PAuth" ||
          feature === "FP" ||
          feature === "AdvSIMD" ||
          feature === "IDST",
        has: (condition) => ["PAN", "UAO", "DIT", "SSBS", "RAS", "LOR", "PMU", "PTRAUTH"].includes(condition),
        unalignedDevice: "allow",
      },
    );
  }

  run(c: SystemCase): SystemResult {
    const { state } = this;
    for (let n = 0; n < SYSTEM_WORDS; n++) this.code[n] = c.code[n] ?? BRK;
    for (const name of cleared) state.set(name, 0n);
    state.set("VBAR_EL1", VECTORS);
    state.set("SCTLR_EL1", c.sctlr);
    state.set("CPACR_EL1", c.cpacr);
    state.set("CNTKCTL_EL1", c.cntkctl);
    state.set("ID_AA64MMFR0_EL1", PARANGE_52);
    state.set("ID_AA64ISAR1_EL1", APA);
    state.set("ID_AA64MMFR2_EL1", MMFR2);
    state.set("DCZID_EL0", DC_ZVA_64_BYTES);
    for (const [n, value] of c.x.entries()) state.setX(n, value);
    state.spEl0 = c.spEl0;
    state.spEl1 = c.spEl1;
    state.pstate = c.pstate;
    state.setSpsr(0, c.pstate);
    state.elrEl1 = SYSTEM_CODE;
    state.pc = SYSTEM_CODE;
    state.clearExclusive();
    const vector = this.untilAVector();
    const changes: [number, bigint][] = [];
    for (let n = 0; n < this.data.length; n++) {
      if (this.data[n] === this.original[n]) continue;
      changes.push([n, this.data[n]!]);
      this.data[n] = this.original[n]!;
    }
    return {
      x: c.x.map((_, n) => state.x(n)),
      spEl0: state.spEl0,
      spEl1: state.spEl1,
      elr: state.elrEl1,
      spsr: state.spsr(0),
      esr: state.get("ESR_EL1"),
      far: state.get("FAR_EL1"),
      vector,
      pstate: state.pstate & ~BigInt((Pstate.NZCV | Pstate.TCO | Pstate.DIT) >>> 0),
      registers: readBack.map((name) => state.get(name)),
      changes,
    };
  }

  private untilAVector(): bigint {
    for (;;) {
      const stop = this.evaluator.run(1000);
      if (stop.kind !== "el2") throw new Error(`a case stopped with ${JSON.stringify(stop)}`);
      const ec = stop.esr >>> 26;
      if (ec === 0x20 && this.state.pc >= VECTORS && this.state.pc < VECTORS + 0x800n) return this.state.pc - VECTORS;
      // WFE: QEMU goes on.
      if (ec === 0x01) this.state.pc += 4n;
      else throw new Error(`a case went to EL2 with ESR ${stop.esr.toString(16)}, PC ${this.state.pc.toString(16)}`);
    }
  }
}
