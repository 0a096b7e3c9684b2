// What the host offers, as far as the generator wants to know: asked of it, not presumed.

import { release } from "node:os";
import type { Kernel } from "../../lib/arm64/sysreg-row.js";
import type { SystemFd, VcpuFd, VmFd } from "../../lib/backend.js";
import { isRefusal } from "../../lib/errors.js";
import { caps } from "../../lib/uapi/caps.js";
import { KVM_CREATE_DEVICE_TEST, KVM_DEV_TYPE } from "../../lib/uapi/constants.js";
import { pack, structs } from "../../lib/uapi/structs.js";
import { contractOf } from "../support/backends.js";
import type { HostFacts } from "./generate/maker.js";

/** The contract that this machine's kernel holds to. */
export const runningKernel = (): Kernel => contractOf(release());

const PTRAUTH = 3 << 5;
const SVE = 1 << 4;
/** Features that are tried alone; the halves of pointer authentication only come together. */
const trials = [1 << 0, 1 << 1, 1 << 2, 1 << 3, SVE, PTRAUTH, 1 << 7, (1 << 7) | (1 << 8)];

function attempt<T>(verb: () => T): T | null {
  try {
    return verb();
  } catch (error) {
    if (!isRefusal(error)) throw error;
    return null;
  }
}

function withVcpu<T>(system: SystemFd, features: number, use: (cpu: VcpuFd) => T): T | null {
  const vm = system.createVm(0n);
  const cpu = vm.createVcpu(0);
  try {
    return attempt(() => {
      cpu.armVcpuInit(pack(structs.kvm_vcpu_init, { target: 5, features: [features] }));
      if (features & SVE) cpu.armVcpuFinalize(4);
      return use(cpu);
    });
  } finally {
    cpu.close();
    vm.close();
  }
}

export function factsOf(system: SystemFd, kernel: Kernel): HostFacts {
  const accepted = trials.filter((features) => withVcpu(system, features, () => true) === true);
  const registers = new Set<bigint>();
  for (const features of [0, ...accepted]) {
    for (const id of withVcpu(system, features, (cpu) => cpu.getRegList()) ?? []) registers.add(id);
  }
  const vm: VmFd = system.createVm(0n);
  const devices = Object.values(KVM_DEV_TYPE).filter((type) =>
    attempt(() => vm.createDevice(type, KVM_CREATE_DEVICE_TEST) === null),
  );
  vm.close();
  return {
    kernel,
    features: accepted.reduce((all, features) => all | features, 0),
    registers: [...registers],
    devices,
    mte: system.checkExtension(caps.ARM_MTE) === 1,
    ipaBits: system.checkExtension(caps.ARM_VM_IPA_SIZE),
  };
}
