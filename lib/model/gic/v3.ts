// The life of a GICv3: made, initialised, mapped when the VM first runs. Documentation/virt/kvm/devices/arm-vgic-v3.rst.

import { Refused } from "../../errors.js";
import { KVM_DEV_TYPE } from "../../uapi/constants.js";
import type { ErrnoName } from "../../uapi/errno.js";
import { settleGicFields } from "../cpu/id-registers.js";
import { setDefaultRouting } from "../kvm/routing.js";
import { Busy } from "../layout.js";
import type { VcpuState } from "../vcpu-state.js";
import { allVcpus } from "../vcpu-state.js";
import type { VmState } from "../vm-state.js";
import { putCell } from "./cpu-interface.js";
import { framesAreApart, redistributorBase, UNSET } from "./frames.js";
import { type Gic, gicOf } from "./gic.js";
import { Field, GIC_BYTES, gicVcpuCells, Irq, PRIVATE } from "./layout.js";
import { wrongFramesV2 } from "./v2-frames.js";

/** Interrupts of a GIC whose user does not say how many (VGIC_NR_IRQS_LEGACY). */
const DEFAULT_INTIDS = 256;
/** SGIs are edge-triggered and enabled, PPIs level-sensitive. */
const SGIS = 16;
/** The newest KVM_VGIC_IMP_REV. */
const REVISION = 3;

/** KVM_CREATE_DEVICE of a GICv2 or GICv3. Inside `locked`. */
export function createGic(vm: VmState, type: number, mostVcpus: number, call: string): void {
  const vcpus = allVcpus(vm);
  if (vm.get("irqchip") !== 0) throw new Refused("EEXIST", call);
  if (vcpus.some((vcpu) => vcpu.peek("busy") !== Busy.free)) throw new Refused("EBUSY", call);
  if (vcpus.some((vcpu) => vcpu.get("firstRunDone") === 1)) throw new Refused("EBUSY", call);
  if (vcpus.length > mostVcpus) throw new Refused("E2BIG", call);
  vm.put("gic", vm.allocationOffset(vm.allocate(GIC_BYTES, call)));
  vm.put("irqchip", type);
  const gic = gicOf(vm)!;
  gic.put("revision", REVISION);
  gic.putQuad("distributorBase", UNSET);
  gic.putQuad("cpuBase", UNSET);
  for (const vcpu of vcpus) vcpu.putQuad("gic", UNSET, gicVcpuCells.redistributorBase);
  if (vm.profile.switches.gicFieldsFollowIrqchip) settleGicFields(vm);
}

/** KVM_DEV_ARM_VGIC_CTRL_INIT. Inside `gicLocked`. */
export function initialise(gic: Gic): void {
  if (gic.get("initialised") === 1) return;
  const { vm } = gic;
  const group1 = vm.get("irqchip") === KVM_DEV_TYPE.ARM_VGIC_V3 ? Irq.group1 : 0;
  if (gic.get("spis") === 0) gic.put("spis", DEFAULT_INTIDS - PRIVATE);
  const [first] = gic.vcpus;
  for (let intid = PRIVATE; intid < gic.intids; intid++) {
    const ref = gic.find(null, intid);
    gic.write(ref, Field.intid, intid);
    gic.write(ref, Field.flags, group1);
    gic.write(ref, Field.target, first === undefined ? 0 : 1);
  }
  for (const vcpu of gic.vcpus) initialiseVcpu(gic, vcpu, group1);
  setDefaultRouting(gic);
  gic.put("initialised", 1);
}

function initialiseVcpu(gic: Gic, vcpu: VcpuState, group1: number): void {
  const host = vcpu.vm.profile.host.gic;
  for (let intid = 0; intid < PRIVATE; intid++) {
    const ref = gic.find(vcpu, intid);
    gic.write(ref, Field.intid, intid);
    gic.write(ref, Field.flags, group1 | (intid < SGIS ? Irq.enabled : Irq.level));
    gic.write(ref, Field.target, vcpu.get("place") + 1);
  }
  putCell(vcpu, "priorityBits", host?.priorityBits ?? 5);
  putCell(vcpu, "idBits", host?.idBits ?? 0);
  // Inner shareable, inner write-back with read allocation: what the kernel makes of GICR_PENDBASER.
  vcpu.putQuad("gic", PENDBASER_DEFAULT, gicVcpuCells.pendbaser);
}

/** InnerCache RaWb, Shareability inner. */
const PENDBASER_DEFAULT = 0x580n;

/** What keeps a VM with a GICv3 from its first run; null: nothing. Inside `gicLocked`. */
function wrongAtFirstRun(gic: Gic): ErrnoName | null {
  if (gic.vcpus.some((vcpu) => redistributorBase(vcpu) === UNSET)) return "ENXIO";
  if (gic.quad("distributorBase") === UNSET) return "ENXIO";
  if (!framesAreApart(gic)) return "EINVAL";
  return gic.get("initialised") === 0 ? "EBUSY" : null;
}

/** Puts the frames into the guest's address space when the VM first runs; a failure kills the VM. */
export function mapGic(vm: VmState): ErrnoName | null {
  const gic = gicOf(vm);
  if (gic === null || gic.get("mapped") === 1) return null;
  return vm.gicLocked(() => {
    const isV2 = vm.get("irqchip") === KVM_DEV_TYPE.ARM_VGIC_V2;
    const wrong = isV2 ? wrongFramesV2(gic) : wrongAtFirstRun(gic);
    if (wrong !== null) return wrong;
    // A GICv2 need not have been initialised.
    initialise(gic);
    gic.put("mapped", 1);
    return null;
  });
}
