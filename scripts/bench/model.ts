// What the model costs: opening, registers, memory. `npm run bench` starts each figure in processes of its own. Times are
// of the processor, not of the clock: a machine that does other things too gives the same.
// usage: model.js open|memory|registers

import { createRequire } from "node:module";
import { Kvm, pc, type RegId, sysReg, x } from "../../lib/index.js";

const RAM_BYTES = 64 << 20;
const ROUNDS = 7;

/** Milliseconds of processor time that this process has used, its collector of garbage included. */
function used(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** Milliseconds from the imported package to a vCPU that could run: loading the model's modules, then opening. */
function open(): void {
  const openOne = () => {
    const began = used();
    Kvm.open({ backend: "model" }).createVm().createVcpu().init();
    return used() - began;
  };
  const began = used();
  createRequire(import.meta.url)("../../lib/model/index.js");
  const load = used() - began;
  console.log(JSON.stringify({ load, first: openOne(), again: openOne() }));
}

/** Resident bytes of a VM with one vCPU that has run, without its RAM, of which the guest uses one page. */
function memory(): void {
  const settle = () => {
    globalThis.gc?.();
    return process.memoryUsage.rss();
  };
  const before = settle();
  const vm = Kvm.open({ backend: "model" }).createVm();
  const ram = vm.addMemory({ at: 0x4000_0000n, bytes: RAM_BYTES });
  const vcpu = vm.createVcpu();
  vcpu.init();
  // str wzr, [x1]: an MMIO exit
  new DataView(ram.bytes.buffer, ram.bytes.byteOffset).setUint32(0, 0xb900003f, true);
  vcpu.setReg(pc, ram.at);
  vcpu.setReg(x(1), 0x0900_0000n);
  const exit = vcpu.runSync();
  if (exit.reason !== "mmio") throw new Error(exit.reason);
  console.log(JSON.stringify({ bytes: settle() - before }));
}

/** Nanoseconds for one round: the median of several batches, after V8 has compiled what is hot. */
function measure(rounds: number, operation: () => void): number {
  const times = Array.from({ length: ROUNDS }, () => {
    const began = used();
    for (let i = 0; i < rounds; i++) operation();
    return ((used() - began) * 1e6) / rounds;
  });
  return times.slice(1).sort((a, b) => a - b)[(ROUNDS - 1) >> 1] as number;
}

function registers(): void {
  const vcpu = Kvm.open({ backend: "model" }).createVm().createVcpu();
  vcpu.init();
  const list = vcpu.regList();
  const ids = BigUint64Array.from(list);
  const values = new Uint8Array(list.reduce((sum, id) => sum + (1 << Number((id >> 52n) & 15n)), 0));
  const single: readonly RegId<64>[] = [
    x(0),
    x(30),
    pc,
    sysReg("SCTLR_EL1"),
    sysReg("ID_AA64PFR0_EL1"),
    sysReg("TTBR0_EL1"),
  ];
  let sum = 0n;
  const getAll = measure(2000, () => {
    vcpu.getRegBytes(ids, values);
  });
  const getRegs = measure(500, () => {
    vcpu.getRegs(list);
  });
  const getOne = measure(20_000, () => {
    for (const id of single) sum ^= vcpu.getReg(id);
  });
  const value = vcpu.getReg(x(0));
  const setOne = measure(100_000, () => {
    vcpu.setReg(x(0) as RegId<64>, value);
  });
  if (sum === 1n) throw new Error("keeps the sum alive");
  console.log(JSON.stringify({ count: ids.length, getAll, getRegs, getOne: getOne / single.length, setOne }));
}

const figures = { open, memory, registers } as const;
const [figure] = process.argv.slice(2);
if (figure === undefined || !Object.hasOwn(figures, figure)) throw new Error("usage: model.js open|memory|registers");
figures[figure as keyof typeof figures]();
