// KVM_CHECK_EXTENSION and KVM_ENABLE_CAP: Documentation/virt/kvm/api.rst 4.4, 4.37, 6, 7.

import type { Kernel } from "../../arm64/sysreg-row.js";
import { Refused } from "../../errors.js";
import { type CapName, caps } from "../../uapi/caps.js";
import { PAGE_BYTES } from "../../uapi/constants.js";
import type { ErrnoName } from "../../uapi/errno.js";
import { hasIts } from "../gic/lpis.js";
import { mostVcpus } from "../gic/v2.js";
import { GUEST_MEMFD_FLAGS } from "../guest-memfd.js";
import type { Host } from "../host/host.js";
import { SLOTS, VmCap } from "../layout.js";
import type { Profile } from "../profile.js";
import { hasGuestMemfdSlot, slotCount } from "../slots.js";
import { Feature } from "../vcpu-features.js";
import type { VmState } from "../vm-state.js";
import { MOST_RING_BYTES } from "./dirty-ring.js";

/** What is asked about: the host, and the VM unless /dev/kvm was asked. */
interface Asked {
  readonly profile: Profile;
  readonly vm: VmState | null;
}

type Answer = number | ((asked: Asked) => number);

interface Row {
  readonly value: Answer;
  readonly since: Kernel;
}

const always = (value: Answer, since: Kernel = "6.1"): Row => ({ value, since });

/** What the machine decides. */
const hosts =
  (answer: (host: Host) => number | boolean): Answer =>
  ({ profile }) =>
    Number(answer(profile.host));

const feature = (bit: number) => (host: Host) => (host.features & bit) !== 0;
/** 7.2 accepts the feature bit on hosts without EL2 for guests too; the capability says the truth. */
const hasEl2WithoutHost = (host: Host) => feature(Feature.hasEl2)(host) && feature(Feature.hasEl2E2h0)(host);

/** A GICv2 leaves room for fewer. */
const vcpuLimit: Answer = ({ profile, vm }) => (vm === null ? profile.host.maxVcpus : mostVcpus(vm));

// biome-ignore format: table
const rows: Partial<Record<CapName, Row>> = {
  USER_MEMORY: always(1), MP_STATE: always(1), SYNC_MMU: always(1), DESTROY_MEMORY_REGION_WORKS: always(1),
  SET_GUEST_DEBUG: always(1), JOIN_MEMORY_REGIONS_WORKS: always(1), IRQFD: always(1), IOEVENTFD: always(1),
  INTERNAL_ERROR_DATA: always(1), VCPU_EVENTS: always(1), ONE_REG: always(1), SIGNAL_MSI: always(1),
  READONLY_MEM: always(1), IRQFD_RESAMPLE: always(1), ARM_PSCI: always(1), ARM_SET_DEVICE_ADDR: always(1),
  DEVICE_CTRL: always(1), ENABLE_CAP_VM: always(1), ARM_PSCI_0_2: always(1), CHECK_EXTENSION_VM: always(1),
  IOEVENTFD_ANY_LENGTH: always(1), VCPU_ATTRIBUTES: always(1), IMMEDIATE_EXIT: always(1), ARM_USER_IRQ: always(1),
  COALESCED_PIO: always(1), ARM_IRQ_LINE_LAYOUT_2: always(1), ARM_NISV_TO_USER: always(1),
  ARM_INJECT_EXT_DABT: always(1), HALT_POLL: always(1), PTP_KVM: always(1), BINARY_STATS_FD: always(1),
  SYSTEM_EVENT_DATA: always(1), ARM_SYSTEM_SUSPEND: always(1),
  IRQCHIP: always(hosts((h) => h.gic !== null)), MSI_DEVID: always(({ vm }) => (vm !== null && hasIts(vm) ? 1 : 0)),
  COALESCED_MMIO: always(1), NR_MEMSLOTS: always(SLOTS), IRQ_ROUTING: always(4096),
  MANUAL_DIRTY_LOG_PROTECT2: always(3), SET_GUEST_DEBUG2: always(0x3_0003),
  NR_VCPUS: always(hosts((h) => h.cpus)), MAX_VCPUS: always(vcpuLimit),
  MAX_VCPU_ID: always(vcpuLimit), ARM_VM_IPA_SIZE: always(hosts((h) => h.ipaBits)),
  ARM_INJECT_SERROR_ESR: always(hosts((h) => h.serrorEsr)), ARM_PMU_V3: always(hosts((h) => h.pmu !== null)),
  STEAL_TIME: always(hosts((h) => h.stolenTime)), ARM_SVE: always(hosts((h) => h.vectorLengths !== 0)),
  GUEST_DEBUG_HW_BPS: always(hosts((h) => h.breakpoints)), GUEST_DEBUG_HW_WPS: always(hosts((h) => h.watchpoints)),
  ARM_EL1_32BIT: always(hosts(feature(Feature.el1_32bit))), ARM_PTRAUTH_ADDRESS: always(hosts(feature(Feature.ptrauthAddress))),
  ARM_PTRAUTH_GENERIC: always(hosts(feature(Feature.ptrauthGeneric))), ARM_MTE: always(hosts((h) => h.mte)),
  ARM_EL2: always(hosts(feature(Feature.hasEl2)), "7.2"), ARM_EL2_E2H0: always(hosts(hasEl2WithoutHost), "7.2"),
  DIRTY_LOG_RING_ACQ_REL: always(MOST_RING_BYTES, "6.12"), DIRTY_LOG_RING_WITH_BITMAP: always(1, "6.12"),
  COUNTER_OFFSET: always(1, "6.12"), USER_MEMORY2: always(1, "6.12"),
  ARM_SUPPORTED_REG_MASK_RANGES: always(1, "6.12"), ARM_SUPPORTED_BLOCK_SIZES: always(hosts((h) => h.blockSizes), "6.12"),
  ARM_EAGER_SPLIT_CHUNK_SIZE: always(({ vm }) => vm?.get("splitChunk") ?? 0, "6.12"),
  GUEST_MEMFD: always(1, "7.2"), GUEST_MEMFD_FLAGS: always(GUEST_MEMFD_FLAGS, "7.2"),
  ARM_WRITABLE_IMP_ID_REGS: always(1, "7.2"), ARM_SEA_TO_USER: always(1, "7.2"),
  ARM_CACHEABLE_PFNMAP_SUPPORTED: always(hosts((h) => h.cacheablePfnmap), "7.2"),
};

/** What a kernel offers whatever its host and the model does not have yet: it answers 0, so that who asks first fares well. */
export interface Todo {
  readonly cap: CapName;
  /** What the kernel answers. */
  readonly value: number;
  readonly since: Kernel;
}

// biome-ignore format: table
export const todoCaps: readonly Todo[] = [
];

const order: readonly Kernel[] = ["6.1", "6.12", "7.2"];
const nameOf = new Map<number, CapName>(Object.entries(caps).map(([name, number]) => [number, name as CapName]));
/** Only a VM can say: /dev/kvm refuses the question. */
const vmOnly: ReadonlyMap<CapName, Kernel> = new Map<CapName, Kernel>([
  ["MSI_DEVID", "6.1"],
  ["ARM_CACHEABLE_PFNMAP_SUPPORTED", "7.2"],
]);

const known = (profile: Profile, since: Kernel) => order.indexOf(profile.kernel) >= order.indexOf(since);

/** KVM_CHECK_EXTENSION. */
export function checkExtension(asked: Asked, cap: number): number {
  const name = nameOf.get(cap);
  if (name === undefined) return 0;
  const askVm = vmOnly.get(name);
  if (askVm !== undefined && asked.vm === null && known(asked.profile, askVm)) {
    throw new Refused("EINVAL", "KVM_CHECK_EXTENSION");
  }
  const row = rows[name];
  if (row === undefined || !known(asked.profile, row.since)) return 0;
  return typeof row.value === "number" ? row.value : row.value(asked);
}

type Enable = (vm: VmState, args: DataView) => boolean | ErrnoName;

const setCap =
  (bit: number): Enable =>
  (vm) => {
    vm.setBits("caps", bit);
    return true;
  };
const arg0 = (args: DataView) => args.getBigUint64(8, true);

// Each gives false for EINVAL, or another errno.
const enable: Partial<Record<CapName, Enable>> = {
  ARM_NISV_TO_USER: setCap(VmCap.nisv),
  ARM_SYSTEM_SUSPEND: setCap(VmCap.suspend),
  ARM_SEA_TO_USER: setCap(VmCap.sea),
  ARM_MTE: (vm, args) =>
    vm.profile.host.mte && vm.get("vcpuCount") === 0 && !hasGuestMemfdSlot(vm) && setCap(VmCap.mte)(vm, args),
  ARM_WRITABLE_IMP_ID_REGS: (vm, args) => vm.get("vcpuCount") === 0 && setCap(VmCap.writableImp)(vm, args),
  ARM_EAGER_SPLIT_CHUNK_SIZE: (vm, args) => {
    const bytes = arg0(args);
    const possible =
      bytes === 0n || (bytes === (bytes & -bytes) && (BigInt(vm.profile.host.blockSizes) & bytes) !== 0n);
    if (slotCount(vm) > 0 || !possible) return false;
    vm.put("splitChunk", Number(bytes));
    return true;
  },
  MANUAL_DIRTY_LOG_PROTECT2: (vm, args) => {
    const bits = arg0(args);
    if (bits > 3n || bits === 2n) return false;
    vm.put("dirtyManual", Number(bits));
    return true;
  },
  DIRTY_LOG_RING_ACQ_REL: (vm, args) => {
    const bytes = args.getUint32(8, true);
    if (bytes < PAGE_BYTES || (bytes & (bytes - 1)) !== 0) return false;
    if (bytes > MOST_RING_BYTES) return "E2BIG";
    if (vm.get("ringBytes") > 0 || vm.get("vcpuCount") > 0) return false;
    vm.put("ringBytes", bytes);
    return true;
  },
  DIRTY_LOG_RING_WITH_BITMAP: (vm, args) =>
    vm.get("ringBytes") > 0 && slotCount(vm) === 0 && setCap(VmCap.ringBitmap)(vm, args),
  HALT_POLL: (_, args) => arg0(args) >> 32n === 0n,
};

/** KVM_ENABLE_CAP: struct kvm_enable_cap. Inside `locked`. */
export function enableCap(vm: VmState, cap: Uint8Array): void {
  const args = new DataView(cap.buffer, cap.byteOffset, cap.byteLength);
  const name = nameOf.get(args.getUint32(0, true));
  const row = name === undefined ? undefined : rows[name];
  const can = name !== undefined && row !== undefined && known(vm.profile, row.since) ? enable[name] : undefined;
  // The ring's flags are not looked at.
  const flagged = args.getUint32(4, true) !== 0 && name !== "DIRTY_LOG_RING_ACQ_REL";
  const outcome = !flagged && can !== undefined && can(vm, args);
  if (outcome !== true) throw new Refused(outcome || "EINVAL", "KVM_ENABLE_CAP");
}
