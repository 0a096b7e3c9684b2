// The interpreter does what the evaluator does: the same random blocks on both, at EL1 with stage 1 on, and everything of
// the state and of the memory compared after each.

import assert from "node:assert/strict";
import { encode } from "../../lib/model/a64/bits.js";
import { vectorFeatures } from "../../lib/model/a64/features.js";
import type { Insn } from "../../lib/model/a64/insn.js";
import { a64 } from "../../lib/model/a64/table.js";
import { CpuState, cells } from "../../lib/model/cpu/state.js";
import type { Stop } from "../../lib/model/engine/stop.js";
import { Interpreter } from "../../lib/model/engine/wasm/interpreter.js";
import { type EngineName, engineNames, makeEngine, roomIn } from "./engines.js";
import { program, registers } from "./programs.js";
import { Random } from "./qemu/random.js";

const MEMORY_PAGES = 48;
const RAM_AT = 0x1_0000;
const RAM_BYTES = 0x1_0000;
const ROOM_AT = 0x4_0000;
const RAM = 0x4000_0000n;
const DATA = RAM + 0x8000n;
const TABLES = RAM + 0xc000n;
const WORDS = 24;
const HVC = 0xd400_0002;
/** More than the interpreter leaves to the evaluator. */
const BUDGET = 5_000;
const CASES = 1_500;
const VECTOR_CASES = Number(process.env["KVM_ARM64_LOCKSTEP_CASES"] ?? 1_500);
const PROGRAMS = 150;
const PARTS = 6;

/** What leads away from the block, or asks the world. */
const leaves = /^(B|BL|BR|BLR|RET|ERET|HVC|SMC|WFI|WFE|BRA|BLRA|RETA|ERETA|MSR|SYS|DC|HLT|BRK|B\.cond|CB|TB)/;
const rows: readonly Insn[] = a64.filter(({ name, run }) => run !== null && !leaves.test(name));
/** Most go to where nothing is, some to pages that are in no table yet. */
const branchRows = a64.filter(({ name }) => name === "BR" || name === "BLR");
const vectorRows = rows.filter(({ needs }) => needs.some((feature) => vectorFeatures.has(feature)));
const MRS = a64.find(({ name }) => name === "MRS")!;

/** What the memory has before each block: random numbers, and no tables. */
const contents = Uint8Array.from({ length: RAM_BYTES }, (_, n) => (n < 0xc000 ? Math.imul(n, 0x9e37_79b1) >>> 24 : 0));

class Machine {
  readonly state: CpuState;
  readonly ram: Uint8Array;
  readonly engine: ReturnType<typeof makeEngine>;

  constructor(name: EngineName) {
    const memory = new WebAssembly.Memory({ initial: MEMORY_PAGES, maximum: MEMORY_PAGES, shared: true });
    this.state = new CpuState(memory, 0);
    this.ram = new Uint8Array(memory.buffer, RAM_AT, RAM_BYTES);
    const page = (ipa: bigint) => {
      const offset = ipa - RAM;
      return offset >= 0n && offset < BigInt(RAM_BYTES) ? RAM_AT + Number(offset) : -7;
    };
    const bus = { generation: 0, page };
    const environment = { counter: () => 0n, promises: () => true, has: () => true };
    this.engine = makeEngine(name, this.state, bus, environment, roomIn(memory, ROOM_AT));
  }

  /** What SIMD and floating point find difficult: special values, in lanes of one width each. */
  private vectors(random: Random, set: (cell: number, value: bigint) => void): void {
    for (let n = 0; n < 64; n += 2) {
      const bits = random.pick([16, 32, 64, 64, 0] as const);
      const half = () => {
        if (bits === 0) return random.value();
        let value = 0n;
        for (let at = 0; at < 64; at += bits) value |= random.float(bits) << BigInt(at);
        return value;
      };
      set(n, half());
      set(n + 1, half());
    }
  }

  /** Runs a block until it leaves for EL2, or takes an exception, whose vector does. */
  run(random: Random, words: readonly number[]): Stop {
    this.prepare(random, words);
    return this.engine.run(BUDGET);
  }

  prepare(random: Random, words: readonly number[]): void {
    const { state, ram } = this;
    const view = new DataView(ram.buffer, ram.byteOffset, ram.byteLength);
    ram.set(contents);
    for (const [n, word] of words.entries()) view.setUint32(n * 4, word, true);
    for (let n = words.length; n < 0x200; n++) view.setUint32(n * 4, HVC, true);
    // The vectors, and a block of 1 GiB that is the RAM: Normal, for EL1.
    for (let n = 0x1000; n < 0x1800; n += 4) view.setUint32(n, HVC, true);
    view.setBigUint64(0xc000 + 8, RAM | (1n << 10n) | (3n << 8n) | 1n, true);
    for (let n = 0; n < 31; n++)
      state.setX(n, random.chance(50) ? DATA + BigInt(random.below(0x2000) * 8) : random.quad());
    this.vectors(random, (n, value) => {
      state.quads[cells.v + n] = value;
    });
    // RMode, FZ, FZ16, DN, AHP; IXC, and the others but QC.
    state.fpcr = random.chance(50) ? 0 : (random.word() & 0x07c8_0000) >>> 0;
    state.fpsr = random.chance(50) ? 0x10 : random.word() & 0x9f;
    state.spEl0 = random.quad();
    state.spEl1 = DATA + 0x1000n;
    state.pc = RAM;
    state.pstate = 0x3c5n | (BigInt(random.below(16)) << 28n);
    state.set("CPACR_EL1", 3n << 20n);
    state.set("MAIR_EL1", 0xffn);
    // Tags of the lower range, for pointers to data or to everything.
    const tags = BigInt(random.below(4));
    state.set("TCR_EL1", 25n | (1n << 23n) | (2n << 32n) | ((tags & 1n) << 37n) | ((tags >> 1n) << 51n));
    for (const key of ["IA", "IB", "DA", "DB"] as const) {
      state.set(`AP${key}KEYHI_EL1`, random.quad());
      state.set(`AP${key}KEYLO_EL1`, random.quad());
    }
    state.set("TTBR0_EL1", TABLES);
    state.set("VBAR_EL1", RAM + 0x1000n);
    state.set("ID_AA64MMFR0_EL1", 5n);
    state.set("DCZID_EL0", 4n);
    // M, and the keys of pointers.
    state.set("SCTLR_EL1", 1n | (random.chance(50) ? 0xc800_2000n : 0n));
    state.set("ID_AA64ISAR1_EL1", BigInt(random.below(6)) << 4n);
    state.clearExclusive();
  }
}

/** Fails where two machines differ. */
function compare(first: Machine, second: Machine, what: string): void {
  for (let n = 0; n < cells.attention; n++) {
    if (n !== cells.discarded) assert.equal(second.state.quads[n], first.state.quads[n], `cell ${n}, ${what}`);
  }
  for (let n = cells.v; n < cells.temporary; n++) {
    assert.equal(second.state.quads[n], first.state.quads[n], `cell ${n}, ${what}`);
  }
  assert.equal(Buffer.compare(second.ram, first.ram), 0, `memory, ${what}`);
}

/** Words of random rows; of registers, few. */
function block(random: Random, from: readonly Insn[]): number[] {
  return Array.from({ length: 1 + random.below(WORDS) }, () => {
    const row = from === rows && random.chance(5) ? MRS : from[random.below(from.length)]!;
    const values: Record<string, number> = {};
    for (const { name, bits } of row.encoding.fields) values[name] = random.below(2 ** bits);
    return encode(row.encoding, values);
  });
}

/** A program at its place, and the registers that it counts on. */
function settle({ state, ram }: Machine, words: readonly number[], at: number): void {
  const view = new DataView(ram.buffer, ram.byteOffset, ram.byteLength);
  for (const [n, word] of words.entries()) view.setUint32(at + n * 4, word, true);
  const start = RAM + BigInt(at);
  state.pc = start;
  for (let n = 0; n < 12; n++) state.setX(n, state.x(n) >> 8n);
  state.setX(registers.data, DATA + 0x400n);
  state.setX(registers.block, start + 32n);
  state.setX(30, start + 64n);
}

/** Calls what stands at `registers.block` 300 times, writes another ADD there, and again. X2 and X3 are two ADDs. */
// biome-ignore format: one instruction a line
const selfWriting = [
  0x1400_0013, // B .+76
  HVC, HVC,
  0x9400_0005, // BL F
  0xf100_0421, // SUBS X1, X1, #1
  0x54ff_ffc1, // B.NE .-8
  0x1400_0004, // B .+16
  HVC,
  0x9100_0400, // F: ADD X0, X0, #1
  0xd65f_03c0, // RET
  0xb900_02a2, // STR W2, [X21]
  0xd50b_7b35, // DC CVAU, X21
  0xd503_3b9f, // DSB ISH
  0xd50b_7535, // IC IVAU, X21
  0xd503_3b9f, // DSB ISH
  0xd503_3fdf, // ISB
  0x4a03_0042, // EOR W2, W2, W3
  0x4a03_0043, // EOR W3, W2, W3
  0x4a03_0042, // EOR W2, W2, W3
  0xd280_2581, // MOV X1, #300
  0x17ff_ffef, // B BL
];

for (const name of engineNames.slice(1)) {
  describe(`the ${name}, beside the evaluator`, () => {
    for (const [what, from, cases] of [
      ["", rows, CASES],
      [" of SIMD and floating point", vectorRows, VECTOR_CASES],
      [" of branches to registers", branchRows, 300],
    ] as const)
      it(`ends as it does in ${cases} random blocks${what}, to the last bit of registers and memory`, function () {
        this.timeout(240_000);
        const [first, second] = [new Machine("evaluator"), new Machine(name)];
        for (let number = 0; number < cases; number++) {
          const words = block(new Random(number), from);
          const stops = [first, second].map((machine) => machine.run(new Random(number), words));

          const what = `case ${number}: ${words.map((word) => word.toString(16)).join(" ")}`;
          assert.deepEqual(stops[1], stops[0], what);
          compare(first, second, what);
        }
        assert.equal(second.engine.executed, first.engine.executed);
      });

    it(`is where it is after each part of ${PROGRAMS} random programs with loops and calls`, function () {
      this.timeout(120_000);
      const [first, second] = [new Machine("evaluator"), new Machine(name)];
      if (second.engine instanceof Interpreter) second.engine.hot = 100;
      let whole = 0;
      for (let number = 0; number < PROGRAMS; number++) {
        const random = new Random(number);
        const words = program(random);
        for (const machine of [first, second]) machine.prepare(new Random(number), []);
        // In one page, and in two.
        const at = number % 2 === 0 ? 0x2800 : 0x2f90;
        for (const machine of [first, second]) settle(machine, words, at);
        for (let part = 0; part < PARTS; part++) {
          const budget = 2_000 + random.below(20_000);
          const stops = [first, second].map(({ engine }) => engine.run(budget));

          const what = `program ${number}, part ${part}`;
          assert.deepEqual(stops[1], stops[0], what);
          assert.equal(second.engine.executed, first.engine.executed, what);
          compare(first, second, what);
          if (stops[0]!.kind !== "budget") break;
          whole++;
        }
      }
      assert.ok(whole > PROGRAMS, "programs end early");
      const translated = (second.engine as Interpreter).translator?.statistics.made ?? 0;
      assert.equal(translated > PROGRAMS / 2, name === "translator", `${translated} regions`);
    });

    it("sees what a program writes over its own code, after IC", () => {
      const [first, second] = [new Machine("evaluator"), new Machine(name)];
      if (second.engine instanceof Interpreter) second.engine.hot = 100;
      for (const machine of [first, second]) {
        machine.prepare(new Random(1), []);
        settle(machine, selfWriting, 0x2800);
        machine.state.setX(2, 0x9100_0800n);
        machine.state.setX(3, 0x9100_0c00n);
      }
      for (let part = 0; part < 20; part++) {
        for (const { engine } of [first, second]) assert.deepEqual(engine.run(3_000), { kind: "budget" });

        compare(first, second, `part ${part}`);
      }
      const { translator } = second.engine as Interpreter;
      assert.equal((translator?.statistics.stale ?? 0) > 3, name === "translator");
    });
  });
}
