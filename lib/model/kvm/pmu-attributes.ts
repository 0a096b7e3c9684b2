// The device attributes of a vCPU's PMU: Documentation/virt/kvm/devices/vcpu.rst 1.

import type { ErrnoName } from "../../uapi/errno.js";
import { structs, unpack } from "../../uapi/structs.js";
import { choosePmu, eventSpace, filterEvents } from "../cpu/pmu.js";
import { Feature } from "../vcpu-features.js";
import { allVcpus, type VcpuState } from "../vcpu-state.js";
import { irqchipOf } from "./irqchip.js";
import type { AttributeGroup } from "./vcpu-attributes.js";

const Attr = { irq: 0n, init: 1n, filter: 2n, setPmu: 3n, setCounters: 4n } as const;
const ALLOW = 0;
const DENY = 1;

const FIRST_PPI = 16;
const FIRST_SPI = 32;
const SPIS_END = 1020;

/** Where features are the VM's, a vCPU has them before its own INIT. */
function hasPmu(vcpu: VcpuState): boolean {
  if (!vcpu.vm.profile.switches.featuresAreVmWide) return vcpu.feature(Feature.pmuV3);
  const features = vcpu.vm.get("features");
  return features !== -1 && (features & Feature.pmuV3) !== 0;
}
const isPpi = (intid: number): boolean => intid >= FIRST_PPI && intid < FIRST_SPI;

export const pmuAttributes: AttributeGroup = {
  has(vcpu, attr) {
    const last = vcpu.vm.profile.switches.pmuSetsCounters ? Attr.setCounters : Attr.setPmu;
    return hasPmu(vcpu) && attr <= last ? null : "ENXIO";
  },

  get(vcpu, attr) {
    if (attr !== Attr.irq) return "ENXIO";
    if (irqchipOf(vcpu.vm) === null) return "EINVAL";
    if (!hasPmu(vcpu)) return "ENODEV";
    const intid = vcpu.get("pmuIrq");
    return intid === 0 ? "ENXIO" : { bytes: 4, value: BigInt(intid) };
  },

  set(vcpu, attr, argument) {
    if (!hasPmu(vcpu)) return "ENODEV";
    if (vcpu.get("pmuReady") === 1) return "EBUSY";
    switch (attr) {
      case Attr.irq: {
        if (irqchipOf(vcpu.vm) === null) return "EINVAL";
        const bytes = argument(4);
        return bytes === null ? "EFAULT" : setIrq(vcpu, bytes.getInt32(0, true));
      }
      case Attr.init:
        return initialise(vcpu);
      case Attr.filter: {
        const bytes = argument(structs.kvm_pmu_event_filter.bytes);
        return bytes === null ? "EFAULT" : setFilter(vcpu, bytes);
      }
      case Attr.setPmu: {
        const bytes = argument(4);
        return bytes === null ? "EFAULT" : setPmu(vcpu, bytes.getInt32(0, true));
      }
      case Attr.setCounters: {
        if (!vcpu.vm.profile.switches.pmuSetsCounters) return "ENXIO";
        const bytes = argument(4);
        return bytes === null ? "EFAULT" : setCounters(vcpu, bytes.getUint32(0, true));
      }
      default:
        return "ENXIO";
    }
  },
};

/** A PPI is the same for all vCPUs, an SPI another for each. */
function setIrq(vcpu: VcpuState, intid: number): ErrnoName | null {
  if (intid < FIRST_PPI || intid >= SPIS_END) return "EINVAL";
  return vcpu.vm.locked(() => {
    const others = allVcpus(vcpu.vm)
      .map((one) => one.get("pmuIrq"))
      .filter((irq) => irq !== 0);
    if (others.some((irq) => (isPpi(intid) ? irq !== intid : irq === intid))) return "EINVAL";
    if (vcpu.get("pmuIrq") !== 0) return "EBUSY";
    vcpu.put("pmuIrq", intid);
    return null;
  });
}

function initialise(vcpu: VcpuState): ErrnoName | null {
  const irqchip = irqchipOf(vcpu.vm);
  if (irqchip !== null) {
    if (!irqchip.initialised) return "ENODEV";
    if (vcpu.get("pmuIrq") === 0) return "ENXIO";
    if (vcpu.get("pmuIrq") >= irqchip.intids) return "EINVAL";
    const refused = irqchip.own(vcpu, vcpu.get("pmuIrq"));
    if (refused !== null) return refused;
  }
  vcpu.put("pmuReady", 1);
  return null;
}

function setFilter(vcpu: VcpuState, bytes: DataView): ErrnoName | null {
  const { vm } = vcpu;
  const { base_event, nevents, action } = unpack(
    structs.kvm_pmu_event_filter,
    new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength),
  );
  const [first, events] = [Number(base_event), Number(nevents)];
  if (first + events > eventSpace(vm) || (action !== ALLOW && action !== DENY)) return "EINVAL";
  return vm.locked(() => {
    if (vm.peek("ran") === 1) return "EBUSY";
    filterEvents(vm, first, events, action === ALLOW ? "allow" : "deny");
    return null;
  });
}

function setPmu(vcpu: VcpuState, type: number): ErrnoName | null {
  const { vm } = vcpu;
  if (!vm.profile.host.pmu?.types.includes(type)) return "ENXIO";
  return vm.locked(() => {
    const another = vm.get("pmuType") !== type;
    if (vm.peek("ran") === 1 || (vm.get("pmuFiltered") === 1 && another)) return "EBUSY";
    choosePmu(vm, type);
    return null;
  });
}

function setCounters(vcpu: VcpuState, counters: number): ErrnoName | null {
  if (counters > (vcpu.vm.profile.host.pmu?.counters ?? 0)) return "EINVAL";
  vcpu.vm.put("pmuCounters", counters);
  return null;
}

/** Before the first run. */
export function pmuMayRun(vcpu: VcpuState): boolean {
  if (!hasPmu(vcpu)) return true;
  if (vcpu.get("pmuReady") === 0) return false;
  const intid = vcpu.get("pmuIrq");
  const irqchip = irqchipOf(vcpu.vm);
  return irqchip === null ? intid === 0 : isPpi(intid) || (intid >= FIRST_SPI && intid < irqchip.intids);
}
