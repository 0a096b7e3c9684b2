// What this package adds to an ioctl: the operations of peer.c through the public API, side by side with that program,
// alternating. Runs where /dev/kvm is genuine; `npm run bench` starts it inside the emulated host.
// usage: ioctls.js PEER

import { execFileSync } from "node:child_process";
import { Kvm, pc, x } from "../../lib/index.js";

const [peer] = process.argv.slice(2);
if (peer === undefined) throw new Error("usage: ioctls.js PEER");

using kvm = Kvm.open({ backend: "kvm" });
using vm = kvm.createVm();
const ram = vm.addMemory({ at: 0x4000_0000n, bytes: 4096 });
new DataView(ram.bytes.buffer, ram.bytes.byteOffset).setUint32(0, 0xb9000020, true); // str w0, [x1]
new DataView(ram.bytes.buffer, ram.bytes.byteOffset).setUint32(4, 0x17ffffff, true); // b .-4
using vcpu = vm.createVcpu();
vcpu.init();
vcpu.setReg(pc, ram.at);
vcpu.setReg(x(1), 0x0900_0000n);

const list = vcpu.regList();
const ids = BigUint64Array.from(list);
const values = new Uint8Array(256 * ids.length).subarray(
  0,
  list.reduce((sum, id) => sum + (1 << Number((id >> 52n) & 15n)), 0),
);
let sum = 0;

// biome-ignore format: table
const operations = [
  { name: "register list, getRegBytes", peer: "list", rounds: 60, bar: 1.15, run: () => vcpu.getRegBytes(ids, values) },
  { name: "register list, getRegs", peer: "list", rounds: 60, bar: undefined, run: () => vcpu.getRegs(list) },
  { name: "one 64-bit register, getReg", peer: "reg", rounds: 10_000, bar: 1.5, run: () => { if (vcpu.getReg(x(0)) !== 0n) sum++; } },
  { name: "MMIO exit, runSync", peer: "mmio", rounds: 2_000, bar: 1.25, run: () => {
    const exit = vcpu.runSync();
    if (exit.reason !== "mmio" || !exit.write || exit.address !== 0x0900_0000n) throw new Error(exit.reason);
    sum += exit.data[0] as number;
  } },
] as const;

/** Nanoseconds for one operation: the least of three batches. */
function measure(rounds: number, operation: () => void): number {
  let best = Number.POSITIVE_INFINITY;
  for (let batch = 0; batch < 3; batch++) {
    const start = process.hrtime.bigint();
    for (let i = 0; i < rounds; i++) operation();
    best = Math.min(best, Number(process.hrtime.bigint() - start) / rounds);
  }
  return best;
}

for (const operation of operations) {
  for (let i = 0; i < operation.rounds; i++) operation.run(); // V8 compiles what is hot
  const ratios: { ours: number; theirs: number }[] = [];
  for (let round = 0; round < 5; round++) {
    const theirs = Number(execFileSync(peer, [operation.peer, String(operation.rounds)], { encoding: "utf8" }));
    ratios.push({ ours: measure(operation.rounds, operation.run), theirs });
  }
  ratios.sort((a, b) => a.ours / a.theirs - b.ours / b.theirs);
  const { ours, theirs } = ratios[2] as { ours: number; theirs: number };
  const bar = operation.bar === undefined ? "" : `  (bar ${operation.bar})`;
  console.log(
    `${operation.name.padEnd(30)} ${(ours / 1000).toFixed(2).padStart(10)} µs   C ${(theirs / 1000).toFixed(2).padStart(10)} µs   × ${(ours / theirs).toFixed(3)}${bar}`,
  );
}
if (sum < 0) throw new Error("unreachable: keeps the sum alive");
