// The interpreter does what the evaluator does with system instructions and page tables: random programs of maintenance,
// system registers, keys, loads and stores through random tables, stores into their own code, at EL1 and EL0.

import assert from "node:assert/strict";
import { packEncoding, type SysRegName, sysRegByName, sysRegs } from "../../lib/arm64/sysregs.js";
import { maintenanceOperations } from "../../lib/model/cpu/maintenance.js";
import { CpuState, cells } from "../../lib/model/cpu/state.js";
import type { Stop } from "../../lib/model/engine/stop.js";
import { systemRegisterEncodings } from "../../lib/model/engine/wasm/system-registers.js";
import { type EngineName, engineNames, makeEngine, roomIn } from "./engines.js";
import { Random } from "./qemu/random.js";

const MEMORY_PAGES = 64;
const RAM_AT = 0x1_0000;
const PAGES = 32;
const ROOM_AT = 0x4_0000;
const RAM = 0x4000_0000n;
const HVC = 0xd400_0002;
const NOP = 0xd503_201f;
const BUDGET = 4_000;
const CASES = 500;

const mrs = (name: SysRegName, rt: number) => 0xd520_0000 | (packEncoding(sysRegByName(name).encoding) << 5) | rt;
const msr = (name: SysRegName, rt: number) => 0xd500_0000 | (packEncoding(sysRegByName(name).encoding) << 5) | rt;
/** X27 ← X28 EOR X27 rotated. */
const MIX = 0xcac0_0000 | (27 << 16) | (7 << 10) | (28 << 5) | 27;
/** What each synchronous exception does: remembers what it was, and goes on behind the instruction. */
const handler: readonly number[] = [
  ...(["ESR_EL1", "FAR_EL1", "ELR_EL1", "SPSR_EL1"] as const).flatMap((name) => [mrs(name, 28), MIX]),
  mrs("ELR_EL1", 29),
  0x9100_13bd, // ADD X29, X29, #4
  msr("ELR_EL1", 29),
  0xd69f_03e0, // ERET
];

/** Pages of the RAM: code, vectors, and the tables of two address spaces. */
const Page = { code: 0, vectors: 1, data: 2, tables: 24, others: 28 } as const;
const at = (page: number): bigint => RAM + BigInt(page * 4096);
/** Where the code can be written. */
const ALIAS = 23;

const AF = 1n << 10n;
const READ_ONLY = 1n << 7n;
const EL0 = 1n << 6n;

/** Registers that a program may be written with: what they do does not lead out of the test. */
const keys = sysRegs.filter(({ name }) => /^AP[IDG][AB]?KEY(LO|HI)_EL1$/.test(name)).map(({ encoding }) => packEncoding(encoding)); // biome-ignore format: one line
const named = (["TPIDRRO_EL0", "FAR_EL1", "TPIDR_EL1", "SP_EL0", "CNTV_CVAL_EL0", "CNTV_CTL_EL0"] as const).map(
  (name) => packEncoding(sysRegByName(name).encoding),
);
const TTBR0 = packEncoding(sysRegByName("TTBR0_EL1").encoding);
const operations = [...maintenanceOperations.keys()];

class Machine {
  readonly state: CpuState;
  readonly ram: Uint8Array;
  readonly engine: ReturnType<typeof makeEngine>;
  /** What the world was asked. */
  readonly asked = { ticks: 0n, others: 0, waits: 0 };
  hasOthers = false;

  constructor(name: EngineName) {
    const memory = new WebAssembly.Memory({ initial: MEMORY_PAGES, maximum: MEMORY_PAGES, shared: true });
    this.state = new CpuState(memory, 0);
    this.ram = new Uint8Array(memory.buffer, RAM_AT, PAGES * 4096);
    const { asked } = this;
    const page = (ipa: bigint) => {
      const offset = ipa - RAM;
      return offset >= 0n && offset < BigInt(PAGES * 4096) ? RAM_AT + Number(offset) : -7;
    };
    const environment = {
      counter: () => ++asked.ticks,
      promises: () => true,
      has: () => true,
      invalidateOthers: () => {
        asked.others++;
        return this.hasOthers;
      },
      awaitOthers: () => {
        asked.waits++;
      },
    };
    this.engine = makeEngine(name, this.state, { generation: 0, page }, environment, roomIn(memory, ROOM_AT));
  }

  run(random: Random, words: readonly number[]): Stop {
    const { state, ram } = this;
    const view = new DataView(ram.buffer, ram.byteOffset, ram.byteLength);
    ram.fill(0);
    for (let n = 0; n < 0x2000; n += 4) view.setUint32(n, HVC, true);
    for (const [n, word] of words.entries()) view.setUint32(n * 4, word, true);
    for (const vector of [0x1000, 0x1200, 0x1400])
      for (const [n, word] of handler.entries()) view.setUint32(vector + 4 * n, word, true);
    this.hasOthers = random.chance(50);
    for (const table of [Page.tables, Page.others]) {
      const entry = (page: number, n: number, value: bigint) => view.setBigUint64(page * 4096 + n * 8, value, true);
      entry(table, 1, at(table + 1) | 3n);
      entry(table + 1, 0, at(table + 2) | 3n);
      for (let n = 0; n < PAGES; n++) {
        let bits = random.chance(90) ? AF | 3n : BigInt(random.below(0x400)) << 2n;
        bits |= BigInt(random.below(4)) << 6n;
        if (random.chance(30)) bits |= 1n << 11n;
        if (random.chance(10)) bits |= 1n << 2n;
        entry(table + 2, n, at(Page.data + random.below(20)) | bits);
      }
      for (const page of [Page.code, Page.vectors]) entry(table + 2, page, at(page) | AF | READ_ONLY | EL0 | 3n);
      entry(table + 2, ALIAS, at(Page.code) | AF | 3n);
    }
    for (let n = 0; n < 31; n++) state.setX(n, this.value(random));
    state.setX(30, random.pick([at(Page.tables), at(Page.others) | (5n << 48n)] as const));
    state.spEl0 = at(Page.data);
    state.spEl1 = at(Page.data);
    state.pc = RAM;
    state.pstate = random.chance(70) ? 0x3c5n : random.chance(50) ? 0x40_03c5n : 0x3c0n;
    state.set("CPACR_EL1", 3n << 20n);
    state.set("MAIR_EL1", 0x00ffn);
    state.set("TCR_EL1", 25n | (1n << 23n) | (2n << 32n) | (1n << 37n) | (1n << 39n) | (1n << 40n));
    for (const id of keys) state.quads[cells.sysregs + sysRegs.findIndex((row) => packEncoding(row.encoding) === id)] = random.quad(); // biome-ignore format: one line
    state.set("TTBR0_EL1", at(Page.tables));
    state.set("VBAR_EL1", at(Page.vectors));
    state.set("ID_AA64MMFR0_EL1", 5n);
    state.set("ID_AA64MMFR1_EL1", BigInt(random.below(3)));
    state.set("DCZID_EL0", 4n);
    state.set("CNTKCTL_EL1", BigInt(random.below(4)));
    // M; UCI, UCT and DZE; the keys.
    const user = random.chance(50) ? 0x400_c000n : 0n;
    state.set("SCTLR_EL1", 1n | user | (random.chance(70) ? 0xc800_2000n : 0n));
    state.set("ID_AA64ISAR1_EL1", BigInt(random.below(6)) << 4n);
    state.clearExclusive();
    return this.engine.run(BUDGET);
  }

  /** An address, a page's number for a TLBI, an instruction, anything. */
  private value(random: Random): bigint {
    const address = RAM + BigInt(random.below(PAGES * 4096));
    switch (random.below(8)) {
      case 0:
        return (address >> 12n) | (BigInt(random.below(8)) << 48n);
      case 1:
        return at(ALIAS) + BigInt(random.below(120) * 4);
      case 2:
        return BigInt(random.pick([NOP, 0x9100_0421, 0xf940_0041] as const));
      case 3:
        return random.quad();
      default:
        return random.chance(80) ? address & ~7n : address;
    }
  }
}

/** A program: words that need no more than registers. */
function program(random: Random): number[] {
  const register = () => random.below(27);
  const one = (): number => {
    const [d, n] = [register(), register()];
    switch (random.below(12)) {
      case 0: // MRS
        return 0xd520_0000 | (random.pick(systemRegisterEncodings) << 5) | d;
      case 1: // MSR
        return 0xd500_0000 | (random.pick(random.chance(50) ? keys : named) << 5) | n;
      case 2: // MSR TTBR0_EL1
        return 0xd500_0000 | (TTBR0 << 5) | 30;
      case 3:
      case 4: // SYS
        return 0xd500_0000 | (random.pick(operations) << 5) | n;
      case 5: // PACIA, AUTIA and kin
        return 0xdac1_0000 | (random.below(8) << 10) | (n << 5) | d;
      case 6: // XPACI, XPACD
        return 0xdac1_43e0 | (random.below(2) << 10) | d;
      case 7: // DSB, ISB, DMB
        return random.pick([0xd503_3f9f, 0xd503_3fdf, 0xd503_3fbf] as const);
      case 8: // STR Wt
        return 0xb900_0000 | (n << 5) | d;
      case 9: // STP
        return 0xa900_0000 | (register() << 10) | (n << 5) | d;
      case 10: // LDTR, LDP
        return random.chance(50) ? 0xf840_0800 | (n << 5) | d : 0xa940_0000 | (((d + 1) % 27) << 10) | (n << 5) | d;
      default: // LDR
        return 0xf940_0000 | (n << 5) | d;
    }
  };
  return Array.from({ length: 20 + random.below(100) }, () => one() >>> 0);
}

describe("the interpreter, beside the evaluator, in system state", () => {
  it(`ends as it does in ${CASES} random programs, to the last bit of registers and memory`, function () {
    this.timeout(120_000);
    const [first, second] = engineNames.slice(0, 2).map((name) => new Machine(name)) as [Machine, Machine];
    for (let number = 0; number < CASES; number++) {
      const words = program(new Random(number));
      const stops = [first, second].map((machine) => machine.run(new Random(number), words));

      const what = `case ${number}: ${words.map((word) => word.toString(16)).join(" ")}`;
      assert.deepEqual(stops[1], stops[0], what);
      for (let n = 0; n < cells.sysregs + sysRegs.length; n++) {
        const isScratch =
          n === cells.discarded || n === cells.stackPointer || (n >= cells.temporary && n < cells.sysregs);
        if (!isScratch) assert.equal(second.state.quads[n], first.state.quads[n], `cell ${n}, ${what}`);
      }
      assert.deepEqual(second.asked, first.asked, what);
      assert.equal(Buffer.compare(second.ram, first.ram), 0, `memory, ${what}`);
    }
    assert.equal(second.engine.executed, first.engine.executed);
  });
});
