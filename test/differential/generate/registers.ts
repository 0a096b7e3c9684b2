// Ops on registers, one at a time.

import { sysRegId, sysRegs } from "../../../lib/arm64/sysregs.js";
import { pack, structs } from "../../../lib/uapi/structs.js";
import type { CpuPlan, Maker } from "./maker.js";

const tableIds = sysRegs.map((row) => sysRegId(row) as bigint);

const bytesOf = (id: bigint): number => 1 << Number((id >> 52n) & 15n);
const isSysReg = (id: bigint): boolean => ((id >> 16n) & 0xfffn) === 0x13n;
const isIdRegister = (id: bigint): boolean => isSysReg(id) && (id & 0xffffn) >= 0xc008n && (id & 0xffffn) < 0xc040n;
const isFirmware = (id: bigint): boolean => [0x14n, 0x16n].includes((id >> 16n) & 0xfffn);

/** An id that may be wrong. */
function someId({ random, facts }: Maker): bigint {
  const listed = random.pick(facts.registers);
  switch (random.below(12)) {
    case 0:
      return random.pick(tableIds);
    case 1:
      // Another encoding, or another place in the space.
      return listed ^ (1n << BigInt(random.below(16)));
    case 2: {
      const space = BigInt(random.pick([0x0f, 0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0, 0xfff]));
      return (listed & ~0x0fff_0000n) | (space << 16n);
    }
    case 3:
      return (listed & ~(15n << 52n)) | (BigInt(random.below(12)) << 52n);
    case 4:
      return random.once(4) ? BigInt.asUintN(64, listed ^ (1n << BigInt(16 + random.below(48)))) : listed;
    default:
      return listed;
  }
}

/** A value for a register of so many bytes. */
function someValue(m: Maker, id: bigint): Uint8Array {
  const { random } = m;
  const bytes = new Uint8Array(bytesOf(id));
  if (bytes.length <= 8) {
    const value = new BigUint64Array([isFirmware(id) && !random.once(4) ? firmwareValue(m) : random.value64()]);
    bytes.set(new Uint8Array(value.buffer, 0, bytes.length));
  } else if (!random.once(4)) bytes.set(random.bytes(random.below(bytes.length + 1)));
  return bytes;
}

const firmwareValue = ({ random }: Maker): bigint =>
  random.pick([0n, 1n, 2n, 3n, 4n, 0x10n, 0x1_0000n, 0x1_0001n, 0x1_0002n, 0x1_0003n, 0x1_0004n]);

/** A time that never comes. 2^64 - 1 is none: QEMU 7.2 adds an offset to it, and hangs. */
export const NEVER = 1n << 62n;

/** Timers are put far from now: what they do must not depend on the time of day. */
const timerValues: ReadonlyMap<bigint, readonly bigint[]> = new Map([
  [0x6030_0000_0013_df19n, [0n, 1n, 2n, 3n, 7n]],
  [0x6030_0000_0013_df11n, [0n, 1n, 2n, 3n, 7n]],
  [0x6030_0000_0013_df02n, [0n, 1n, NEVER]],
  [0x6030_0000_0013_df12n, [0n, 1n, NEVER]],
  [0x6030_0000_0013_df1an, [1n << 32n, 1n << 40n]],
  // Not beyond the host's own, which each has another of: KVM adds the difference to deadlines, modulo 2^64.
  [0x6030_0000_0013_df01n, [0n, 1n, 1000n]],
]);

const u64 = (value: bigint) => new Uint8Array(BigUint64Array.of(value).buffer);

const space = (id: bigint): bigint => (id >> 16n) & 0xfffn;
const CORE = 0x10n;
const AARCH32 = 1 << 1;
const SVE_FEATURE = 1 << 4;
/** Not POWER_OFF, AArch32, EL2: those have the same lists, or lists of their own. */
const plain = ~(1 | AARCH32 | (3 << 7));

/** How many registers one stage goes through. */
const STAGE = 12;

/** Goes through the host's list, a stage a time: each is read, written back, and written. In a VM of its own, with what it needs. */
export function registerStage(m: Maker, stage: number): void {
  const { random, facts } = m;
  const first = (STAGE * stage) % facts.registers.length;
  const ids = facts.registers.slice(first, first + STAGE);
  // With SVE the vectors are its own.
  const vectors = ids.some((id) => space(id) === CORE && bytesOf(id) === 16);
  const features = facts.features & plain & (vectors ? ~SVE_FEATURE : ~0);
  const vm = m.make("spare", "kvm.createVm", "kvm", 0n);
  const cpu = m.make("cpu", "vm.createVcpu", vm, 0);
  m.emit("cpu.armVcpuInit", cpu, pack(structs.kvm_vcpu_init, { target: 5, features: [features] }));
  if ((features & SVE_FEATURE) !== 0) m.emit("cpu.armVcpuFinalize", cpu, 4);
  for (const id of ids) {
    const times = timerValues.get(id);
    m.emit("cpu.getOneReg", cpu, id);
    if (times !== undefined) m.emit("cpu.setOneReg", cpu, id, u64(random.pick(times)));
    else {
      m.emit("cpu.alterReg", cpu, id, 0, 1, 0);
      m.emit("cpu.setOneReg", cpu, id, someValue(m, id));
    }
  }
  m.emit("cpu.dump", cpu);
}

export function registerOp(m: Maker, cpu: CpuPlan) {
  const { random, facts } = m;
  if (random.once(16)) {
    // What was read can be written.
    const from = random.below(facts.registers.length);
    const some = facts.registers.slice(from, from + 12).filter((id) => !timerValues.has(id));
    for (const id of some) m.emit("cpu.alterReg", cpu.name, id, 0, 1, 0);
    return;
  }
  const id = someId(m);
  const times = timerValues.get(id);
  if (random.once(3)) {
    if (random.once(8))
      m.emit("cpu.getRegs", cpu.name, ...Array.from({ length: random.between(1, 6) }, () => someId(m)));
    else m.emit("cpu.getOneReg", cpu.name, id);
  } else if (times !== undefined) m.emit("cpu.setOneReg", cpu.name, id, u64(random.pick(times)));
  else if (isIdRegister(id) || random.once(5)) {
    if (bytesOf(id) > 8) m.emit("cpu.getOneReg", cpu.name, id);
    else {
      const shift = 4 * random.below(16);
      m.emit(
        "cpu.alterReg",
        cpu.name,
        id,
        shift,
        random.once(6) ? 1 : 4,
        random.pick([0, 1, 15, 14, random.below(16)]),
      );
    }
  } else m.emit("cpu.setOneReg", cpu.name, id, someValue(m, id));
}
