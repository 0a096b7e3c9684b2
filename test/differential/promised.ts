// What a run must have met to be worth something: every ioctl, every errno that the ABI promises for it, every register
// of the host's lists, read and written, every device attribute. What a host or a generator cannot show is left out by
// name, with the reason.

import { type Kernel, kernels } from "../../lib/arm64/sysreg-row.js";
import { KVM_ARM_VCPU_GROUP, KVM_ARM_VGIC_GROUP, KVM_DEV_TYPE } from "../../lib/uapi/constants.js";
import type { ErrnoName } from "../../lib/uapi/errno.js";
import { type IoctlName, ioctls } from "../../lib/uapi/ioctls.js";
import type { HostFacts } from "./generate/maker.js";
import { nameOfRegister } from "./register-names.js";

interface Promise {
  readonly call: IoctlName;
  readonly errnos: readonly ErrnoName[];
  /** The kernels that have it; the others do not know the ioctl. */
  readonly since?: Kernel;
  /** A device type that it needs. */
  readonly needs?: number;
}

const { ARM_VGIC_V2: V2, ARM_VGIC_V3: V3, ARM_VGIC_ITS: ITS } = KVM_DEV_TYPE;

/** Documentation/virt/kvm/api.rst, and what the kernels were seen to do. Order: as lib/uapi/ioctls.ts. */
// biome-ignore format: table
export const promises: readonly Promise[] = [
  { call: "KVM_GET_API_VERSION",            errnos: [] },
  { call: "KVM_CREATE_VM",                  errnos: ["EINVAL"] },
  { call: "KVM_CHECK_EXTENSION",            errnos: ["EINVAL"] },
  { call: "KVM_GET_VCPU_MMAP_SIZE",         errnos: [] },
  { call: "KVM_CREATE_VCPU",                errnos: ["EINVAL", "EEXIST"] },
  { call: "KVM_CREATE_VCPU",                errnos: ["EBUSY", "EIO"], needs: V3 },
  { call: "KVM_GET_DIRTY_LOG",              errnos: ["EINVAL", "ENOENT"] },
  { call: "KVM_GET_DIRTY_LOG",              errnos: ["ENXIO"], since: "6.12" },
  { call: "KVM_SET_USER_MEMORY_REGION",     errnos: ["EINVAL", "EEXIST", "EFAULT"] },
  { call: "KVM_SET_USER_MEMORY_REGION2",    errnos: ["EINVAL"] },
  { call: "KVM_SET_USER_MEMORY_REGION2",    errnos: ["EEXIST", "EFAULT"], since: "6.12" },
  { call: "KVM_SET_USER_MEMORY_REGION2",    errnos: ["EBADF"], since: "7.2" },
  { call: "KVM_IRQ_LINE",                   errnos: ["EINVAL", "ENXIO"] },
  { call: "KVM_IRQ_LINE",                   errnos: ["EBUSY"], needs: V3 },
  { call: "KVM_IRQ_LINE_STATUS",            errnos: ["EINVAL", "ENXIO"] },
  { call: "KVM_REGISTER_COALESCED_MMIO",    errnos: ["EINVAL"] },
  { call: "KVM_UNREGISTER_COALESCED_MMIO",  errnos: ["EINVAL"] },
  { call: "KVM_SET_GSI_ROUTING",            errnos: ["EINVAL"], needs: V3 },
  { call: "KVM_IRQFD",                      errnos: ["EINVAL", "EAGAIN", "EBADF"] },
  { call: "KVM_IRQFD",                      errnos: ["EBUSY"], needs: V3 },
  { call: "KVM_IOEVENTFD",                  errnos: ["EINVAL", "EBADF", "EEXIST", "ENOENT"] },
  { call: "KVM_RUN",                        errnos: ["EINTR", "ENOEXEC", "ENOSYS"] },
  { call: "KVM_RUN",                        errnos: ["EBUSY", "ENXIO", "EIO"], needs: V3 },
  { call: "KVM_SET_SIGNAL_MASK",            errnos: ["EINVAL"] },
  { call: "KVM_GET_MP_STATE",               errnos: [] },
  { call: "KVM_SET_MP_STATE",               errnos: ["EINVAL"] },
  { call: "KVM_SET_GUEST_DEBUG",            errnos: ["EINVAL"] },
  { call: "KVM_GET_VCPU_EVENTS",            errnos: [] },
  { call: "KVM_GET_VCPU_EVENTS",            errnos: ["ENOEXEC"], since: "7.2" },
  { call: "KVM_SET_VCPU_EVENTS",            errnos: ["EINVAL"] },
  { call: "KVM_SET_VCPU_EVENTS",            errnos: ["ENOEXEC"], since: "7.2" },
  { call: "KVM_ENABLE_CAP",                 errnos: ["EINVAL"] },
  { call: "KVM_ENABLE_CAP",                 errnos: ["E2BIG"], since: "6.12" },
  { call: "KVM_SIGNAL_MSI",                 errnos: ["EINVAL"] },
  { call: "KVM_SIGNAL_MSI",                 errnos: ["ENODEV"], needs: V3 },
  { call: "KVM_SIGNAL_MSI",                 errnos: ["EBUSY"], needs: ITS },
  { call: "KVM_GET_ONE_REG",                errnos: ["EINVAL", "ENOENT", "ENOEXEC"] },
  { call: "KVM_SET_ONE_REG",                errnos: ["EINVAL", "ENOENT", "ENOEXEC"] },
  { call: "KVM_SET_ONE_REG",                errnos: ["EBUSY"], since: "6.12" },
  { call: "KVM_ARM_VCPU_INIT",              errnos: ["EINVAL", "ENOENT"] },
  { call: "KVM_ARM_PREFERRED_TARGET",       errnos: [] },
  { call: "KVM_GET_REG_LIST",               errnos: ["ENOEXEC"] },
  { call: "KVM_ARM_MTE_COPY_TAGS",          errnos: ["EINVAL"] },
  { call: "KVM_ARM_SET_COUNTER_OFFSET",     errnos: ["EINVAL"] },
  { call: "KVM_ARM_GET_REG_WRITABLE_MASKS", errnos: ["EINVAL"] },
  { call: "KVM_CLEAR_DIRTY_LOG",            errnos: ["EINVAL", "ENOENT"] },
  { call: "KVM_CLEAR_DIRTY_LOG",            errnos: ["ENXIO"], since: "6.12" },
  { call: "KVM_ARM_VCPU_FINALIZE",          errnos: ["EINVAL", "ENOEXEC", "EPERM"] },
  { call: "KVM_RESET_DIRTY_RINGS",          errnos: ["EINVAL"] },
  { call: "KVM_GET_STATS_FD",               errnos: [] },
  { call: "KVM_CREATE_GUEST_MEMFD",         errnos: ["EINVAL"] },
  { call: "KVM_CREATE_DEVICE",              errnos: ["ENODEV"] },
  { call: "KVM_CREATE_DEVICE",              errnos: ["EEXIST", "EBUSY"], needs: V3 },
  { call: "KVM_CREATE_IRQCHIP",             errnos: ["ENODEV"], needs: V3 },
  { call: "KVM_ARM_SET_DEVICE_ADDR",        errnos: ["ENODEV"], needs: V3 },
  { call: "KVM_SET_DEVICE_ATTR",            errnos: ["EINVAL", "ENXIO"] },
  { call: "KVM_SET_DEVICE_ATTR",            errnos: ["EFAULT", "EEXIST"], since: "6.12" },
  { call: "KVM_SET_DEVICE_ATTR",            errnos: ["EBUSY", "E2BIG"], needs: V3 },
  { call: "KVM_GET_DEVICE_ATTR",            errnos: ["EINVAL", "ENXIO"] },
  { call: "KVM_GET_DEVICE_ATTR",            errnos: ["EBUSY", "ENOENT", "EFAULT"], needs: V3 },
  { call: "KVM_HAS_DEVICE_ATTR",            errnos: ["ENXIO"] },
];

/** Registers that a sequence of calls cannot well write. */
// biome-ignore format: table
const neverWritten: readonly (readonly [id: bigint, reason: string])[] = [
  [0x6060_0000_0015_ffffn, "SVE vector lengths are EPERM once FINALIZE has made the list readable; before it, only the host's own set is taken"],
];

const has = (kernel: Kernel, since: Kernel | undefined): boolean =>
  since === undefined || kernels.indexOf(kernel) >= kernels.indexOf(since);

export interface Judgement {
  readonly title: string;
  readonly missing: readonly string[];
}

export function judge(facts: HostFacts, coverage: Readonly<Record<string, number>>): readonly Judgement[] {
  const met = (key: string): boolean => coverage[key] !== undefined;
  const possible = promises.filter(
    ({ since, needs }) => has(facts.kernel, since) && (needs === undefined || facts.devices.includes(needs)),
  );
  const anyOf = (call: string) => met(call) || Object.keys(coverage).some((key) => key.startsWith(`${call} `));
  const unwritten = new Set(neverWritten.map(([id]) => id));
  const register = (verb: string, ids: readonly bigint[]) =>
    ids.filter((id) => !met(`${verb} 0x${id.toString(16)}`)).map(nameOfRegister);
  return [
    { title: "every ioctl was made", missing: Object.keys(ioctls).filter((call) => !anyOf(call)) },
    {
      title: "every promised errno was met",
      missing: possible
        .flatMap(({ call, errnos }) => errnos.map((name) => `${call} ${name}`))
        .filter((key) => !met(key)),
    },
    { title: "every register was read", missing: register("get", facts.registers) },
    {
      title: "every register was written",
      missing: register(
        "set",
        facts.registers.filter((id) => !unwritten.has(id)),
      ),
    },
    { title: "every device attribute was used", missing: attributes(facts).filter((key) => !met(key)) },
  ];
}

/** The keys of coverage.ts. */
function attributes({ devices, kernel, features }: HostFacts): string[] {
  const PMU = 1 << 3;
  const GROUP = KVM_ARM_VGIC_GROUP;
  const v3 = devices.includes(V3)
    ? [
        ...[2, 3, 5].flatMap((attr) => [
          `setDeviceAttr device ${V3} ${GROUP.ADDR} ${attr}`,
          `getDeviceAttr device ${V3} ${GROUP.ADDR} ${attr}`,
        ]),
        `setDeviceAttr device ${V3} ${GROUP.NR_IRQS} 0`,
        `getDeviceAttr device ${V3} ${GROUP.NR_IRQS} 0`,
        `setDeviceAttr device ${V3} ${GROUP.CTRL} 0`,
        `setDeviceAttr device ${V3} ${GROUP.DIST_REGS} 0`,
        `getDeviceAttr device ${V3} ${GROUP.DIST_REGS} 0`,
        `getDeviceAttr device ${V3} ${GROUP.LEVEL_INFO} 0`,
        `setDeviceAttr device ${V3} ${GROUP.LEVEL_INFO} 32`,
      ]
    : [];
  const its = devices.includes(ITS)
    ? [
        `setDeviceAttr device ${ITS} ${GROUP.ADDR} 4`,
        `getDeviceAttr device ${ITS} ${GROUP.ITS_REGS} 0`,
        `setDeviceAttr device ${ITS} ${GROUP.CTRL} 0`,
      ]
    : [];
  const v2 = devices.includes(V2)
    ? [
        `setDeviceAttr device ${V2} ${GROUP.ADDR} 0`,
        `setDeviceAttr device ${V2} ${GROUP.ADDR} 1`,
        `getDeviceAttr device ${V2} ${GROUP.CPU_REGS} 0`,
      ]
    : [];
  const { PMU_V3, TIMER } = KVM_ARM_VCPU_GROUP;
  const timers = kernel === "6.1" ? [0, 1] : [0, 1, 2, 3];
  return [
    ...v3,
    ...its,
    ...v2,
    ...timers.map((attr) => `getDeviceAttr cpu ${TIMER} ${attr}`),
    ...(v3.length > 0 ? timers.map((attr) => `setDeviceAttr cpu ${TIMER} ${attr}`) : []),
    ...((features & PMU) === 0 ? [] : [`setDeviceAttr cpu ${PMU_V3} 1`, `setDeviceAttr cpu ${PMU_V3} 2`]),
    ...((features & PMU) !== 0 && v3.length > 0
      ? [`setDeviceAttr cpu ${PMU_V3} 0`, `getDeviceAttr cpu ${PMU_V3} 0`]
      : []),
    ...(kernel === "6.1" ? [] : ["setDeviceAttr vm 0 0", "hasDeviceAttr vm 0 0"]),
  ];
}
