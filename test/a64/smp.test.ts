import assert from "node:assert/strict";
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { CpuState } from "../../lib/model/cpu/state.js";
import { RAM } from "./guest.js";
import type { CpuOnThread } from "./smp-worker.js";

const CPUS = 2;
const ROUNDS = 20_000;
const HVC = 0x16;
const RAM_AT = 0x1_0000;
const PAIR_LOCK = 0xfff0;
const COUNTER = 0x100;
const FLAGS = 0x200;
const TURN = 0x300;

/**
 * Runs the program on two CPUs, each with its rounds in X0, the address of a counter in X1, of its flag in X4, of the
 * other's flag in X5 and of the turn in X6, and the other's number in X8; gives the memory.
 */
async function onTwoCpus(program: number[], rounds = ROUNDS): Promise<DataView> {
  const memory = new WebAssembly.Memory({ initial: 2, maximum: 2, shared: true });
  const ram = new DataView(memory.buffer, RAM_AT);
  for (const [n, word] of program.entries()) ram.setUint32(n * 4, word, true);
  const workers = Array.from({ length: CPUS }, (_, n) => {
    const base = n * Math.ceil(CpuState.bytes / 4096) * 4096;
    const state = new CpuState(memory, base);
    state.pstate = 0x3c5n;
    state.pc = RAM;
    state.setX(0, BigInt(rounds));
    state.setX(1, RAM + BigInt(COUNTER));
    state.setX(4, RAM + BigInt(FLAGS + 64 * n));
    state.setX(5, RAM + BigInt(FLAGS + 64 * (1 - n)));
    state.setX(6, RAM + BigInt(TURN));
    state.setX(8, BigInt(1 - n));
    state.set("ID_AA64MMFR0_EL1", 5n);
    const workerData: CpuOnThread = { memory, base, ramAt: RAM_AT, pairLock: PAIR_LOCK };
    return new Worker(new URL("./smp-worker.js", import.meta.url), { workerData });
  });
  const ends = await Promise.all(workers.map((worker) => once(worker, "message")));
  await Promise.all(workers.map((worker) => worker.terminate()));
  assert.deepEqual(ends.flat(), [HVC, HVC]);
  return ram;
}

const AGAIN = 0xf1000400; // subs x0, x0, #1
const HYPERCALL = 0xd4000002; // hvc #0

describe("two CPUs on two threads lose no increment", () => {
  const each = (title: string, program: number[], read: (ram: DataView) => bigint) => {
    it(`with ${title}`, async function () {
      this.timeout(60_000);

      const ram = await onTwoCpus(program);

      assert.equal(read(ram), BigInt(CPUS * ROUNDS));
    });
  };
  const quad = (ram: DataView) => ram.getBigUint64(COUNTER, true);

  each(
    "LDXR and STXR",
    // 1: ldxr x2, [x1]; add x2, x2, #1; stxr w3, x2, [x1]; cbnz w3, 1b; subs; b.ne 1b
    [0xc85f7c22, 0x91000442, 0xc8037c22, 0x35ffffa3, AGAIN, 0x54ffff61, HYPERCALL],
    quad,
  );
  each(
    "LDADD",
    // mov x2, #1; 1: ldadd x2, x3, [x1]; subs; b.ne 1b
    [0xd2800022, 0xf8220023, AGAIN, 0x54ffffc1, HYPERCALL],
    quad,
  );
  each(
    "LDADDH of a halfword, whose neighbours stay as they are",
    [0xd2800022, 0x78220023, AGAIN, 0x54ffffc1, HYPERCALL],
    (ram) => BigInt(ram.getUint16(COUNTER, true)) + (ram.getUint32(COUNTER + 2, true) === 0 ? 0n : 1n),
  );
  each(
    "CAS",
    // 1: ldr x2, [x1]; 2: mov x4, x2; add x3, x2, #1; cas x2, x3, [x1]; cmp x2, x4; b.ne 2b; subs; b.ne 1b
    [0xf9400022, 0xaa0203e4, 0x91000443, 0xc8a27c23, 0xeb04005f, 0x54ffff81, AGAIN, 0x54ffff21, HYPERCALL],
    quad,
  );
  each(
    "LDXP and STXP",
    // 1: ldxp x2, x5, [x1]; add x2, x2, #1; add x5, x5, #1; stxp w3, x2, x5, [x1]; cbnz w3, 1b; subs; b.ne 1b
    [0xc87f1422, 0x91000442, 0x910004a5, 0xc8231422, 0x35ffff83, AGAIN, 0x54ffff41, HYPERCALL],
    (ram) => (quad(ram) === ram.getBigUint64(COUNTER + 8, true) ? quad(ram) : -1n),
  );
});

describe("Peterson's lock, which fails where a load overtakes a store, keeps two CPUs apart", () => {
  const ENTRIES = 5_000;

  it("with STLR and LDAR", async function () {
    this.timeout(120_000);
    // 1: mov w9, #1; stlr w9, [x4]; stlr w8, [x6]
    // 2: ldar w9, [x5]; cbz w9, 3f; ldar w9, [x6]; cmp w9, w8; b.eq 2b
    // 3: ldr x2, [x1]; add x2, x2, #1; str x2, [x1]; stlr wzr, [x4]; subs; b.ne 1b
    const lock = [0x52800029, 0x889ffc89, 0x889ffcc8, 0x88dffca9, 0x34000089, 0x88dffcc9, 0x6b08013f, 0x54ffff80];
    const inside = [0xf9400022, 0x91000442, 0xf9000022, 0x889ffc9f, AGAIN, 0x54fffe61, HYPERCALL];

    const ram = await onTwoCpus([...lock, ...inside], ENTRIES);

    assert.equal(ram.getBigUint64(COUNTER, true), BigInt(CPUS * ENTRIES));
  });

  it("with DMB", async function () {
    this.timeout(120_000);
    // The same with plain loads and stores, DMB ISH behind the store of the turn and around the counter.
    const lock = [
      0x52800029, 0xb9000089, 0xb90000c8, 0xd5033bbf, 0xb94000a9, 0x34000089, 0xb94000c9, 0x6b08013f, 0x54ffff80,
    ];
    const inside = [
      0xd5033bbf,
      0xf9400022,
      0x91000442,
      0xf9000022,
      0xd5033bbf,
      0xb900009f,
      AGAIN,
      0x54fffe01,
      HYPERCALL,
    ];

    const ram = await onTwoCpus([...lock, ...inside], ENTRIES);

    assert.equal(ram.getBigUint64(COUNTER, true), BigInt(CPUS * ENTRIES));
  });
});
