// Registers of a host that guests read and KVM does not list: a guest reads them.
import type { Choice, Hex } from "../capture-format.js";
import { type Encoding, type Kvm, pc, sysReg, sysRegs, x } from "../index.js";
import { KVM_ARM_VCPU_GROUP } from "../uapi/constants.js";
import { hex, withVcpu } from "./capture-registers.js";

/** In the vector table, which is where the program begins: a synchronous exception of EL1 itself, on SP_EL1. */
const SYNCHRONOUS = 0x200;
/** No memory is there: stores exit. */
const FOUND = 0x10_0000n;
const UNDEFINED = 0x10_1000n;

const PMU_INIT = 1n;

/** STR X0, [X1] and STR X0, [X2]. */
const STORE_TO_X1 = 0xf900_0020;
const STORE_TO_X2 = 0xf900_0040;

const mrsToX0 = ([op0, op1, crn, crm, op2]: Encoding): number =>
  (0xd520_0000 | (op0 << 19) | (op1 << 16) | (crn << 12) | (crm << 8) | (op2 << 5)) >>> 0;

function readByGuest(kvm: Kvm, picked: readonly Choice[], encoding: Encoding): Hex | "undefined" {
  const read = withVcpu(kvm, picked, (vcpu, vm) => {
    const { bytes } = vm.addMemory({ at: 0n, bytes: 0x1_0000 });
    const words = new DataView(bytes.buffer, bytes.byteOffset);
    words.setUint32(0, mrsToX0(encoding), true);
    words.setUint32(4, STORE_TO_X1, true);
    words.setUint32(SYNCHRONOUS, STORE_TO_X2, true);
    vcpu.setRegs([
      [pc, 0n],
      [x(1), FOUND],
      [x(2), UNDEFINED],
      [sysReg("VBAR_EL1"), 0n],
    ]);
    // A vCPU with a PMU runs when that is initialised; without interrupt controller it needs no interrupt.
    if (picked.includes("pmu-v3")) vcpu.setAttr(KVM_ARM_VCPU_GROUP.PMU_V3, PMU_INIT);
    const exit = vcpu.runSync();
    if (exit.reason !== "mmio") throw new Error(`the guest that reads a register ended with ${exit.reason}`);
    return exit.address === FOUND ? hex(new DataView(exit.data.slice().buffer).getBigUint64(0, true)) : "undefined";
  });
  return "refused" in read ? "undefined" : read.value;
}

/** The values, or "undefined" where the guest gets an exception instead. */
export function guestRegisters(kvm: Kvm, offered: readonly Choice[]): Record<string, Hex | "undefined"> {
  const picked = offered.filter((choice) => choice === "pmu-v3");
  const asked = sysRegs.filter(({ kernels, reset, el1 }) => kernels.length === 0 && reset === "host" && el1 !== "");
  return Object.fromEntries(asked.map(({ name, encoding }) => [name, readByGuest(kvm, picked, encoding)]));
}
