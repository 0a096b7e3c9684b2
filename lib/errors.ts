// The kernel's no, on both backends. What the caller got wrong before the kernel could be asked is a TypeError or a
// RangeError instead, thrown where it is noticed.
import type { Refusal } from "./backend.js";
import { type ErrnoName, errno, errnoName, errnos } from "./uapi/errno.js";

/** How the model refuses: the same shape as what the addon throws. */
export class Refused extends Error implements Refusal {
  readonly errno: number;
  readonly call: string;
  constructor(name: ErrnoName, call: string) {
    super(`${name}: ${call}`);
    this.errno = errno(name);
    this.call = call;
  }
}

/** What a call was about, for the message. */
export interface Subject {
  /** Name of the register, attribute, slot …, as the reader knows it: "SCTLR_EL1 (0x603000000013c080)". */
  readonly what?: string;
  /** What to do about it; overrides the table of known causes. */
  readonly help?: string;
}

/** A call that the kernel, or the model in its place, refused. Shaped like Node's system errors. */
export class KvmError extends Error {
  override readonly name = "KvmError";
  /** "ENOENT" */
  readonly code: string;
  /** Negative, as in Node: -2 */
  readonly errno: number;
  /** The ioctl or system call: "KVM_GET_ONE_REG" */
  readonly syscall: string;
  /** What the call was about, where that is known: "SCTLR2_EL1 (0x603000000013c083)" */
  readonly subject: string | undefined;
  /** What to do about it, where that is known. */
  readonly help: string | undefined;

  constructor(positiveErrno: number, syscall: string, subject: Subject = {}, options?: ErrorOptions) {
    const code = errnoName(positiveErrno);
    const text = code in errnos ? errnos[code as ErrnoName][1] : "refused";
    const help = subject.help ?? knownHelp(code, syscall);
    super(
      `${code}: ${text}, ${syscall}${subject.what === undefined ? "" : ` ${subject.what}`}${help === undefined ? "" : `: ${help}`}`,
      options,
    );
    this.code = code;
    this.errno = -positiveErrno;
    this.syscall = syscall;
    this.subject = subject.what;
    this.help = help;
  }
}

/** True for what a seam method throws when the kernel says no. */
export function isRefusal(error: unknown): error is Refusal {
  return error instanceof Error && typeof (error as Partial<Refusal>).errno === "number" && "call" in error;
}

/** Rethrows a refusal as a KvmError with its subject; anything else as it is. */
export function refuse(error: unknown, subject: Subject = {}): never {
  if (isRefusal(error)) throw new KvmError(error.errno, error.call, subject);
  throw error;
}

// Causes that are known from the ioctl and the errno alone. "" as ioctl: any. The first row that fits is used.
// biome-ignore format: table
const causes: readonly (readonly [code: ErrnoName, calls: readonly string[], help: string])[] = [
  ["EBADF",   [], "it is closed"],
  ["EIO",     [], "the VM is dead (a failed first run kills it) or belongs to another process"],
  ["EBUSY",   ["KVM_CREATE_VCPU"], "the in-kernel GIC is initialised: create every vCPU before it"],
  ["EBUSY",   ["KVM_RUN"], "the vCPU is already running, or its vGICv3 was not initialised by KVM_DEV_ARM_VGIC_CTRL_INIT"],
  ["EBUSY",   ["KVM_CREATE_DEVICE"], "a vCPU of this VM has already run, or is in use"],
  ["EEXIST",  ["KVM_CREATE_VCPU"], "this VM already has a vCPU of that id"],
  ["EEXIST",  ["KVM_SET_USER_MEMORY_REGION", "KVM_SET_USER_MEMORY_REGION2"], "it overlaps another memory slot"],
  ["EFAULT",  ["KVM_SET_USER_MEMORY_REGION", "KVM_SET_USER_MEMORY_REGION2"], "it ends beyond the VM's IPA size"],
  ["ENOEXEC", [], "call vcpu.init() first"],
  ["ENOSYS",  ["KVM_RUN"], "the guest accessed unmapped memory with an instruction that has no syndrome (ISV=0); enable the capability ARM_NISV_TO_USER to get such accesses as exits"],
  ["EFAULT",  ["KVM_RUN"], "the guest touched a memory slot whose host memory is not there"],
  ["EPERM",   ["KVM_RUN", "KVM_GET_REG_LIST"], "SVE is not finalized: call vcpu.finalize(\"sve\") first"],
  ["EPERM",   ["KVM_ARM_VCPU_FINALIZE"], "it is already finalized"],
  ["EINVAL",  ["KVM_ARM_VCPU_FINALIZE"], "the vCPU was not given that feature by vcpu.init()"],
  ["EINVAL",  ["KVM_ARM_VCPU_INIT"], "the host lacks one of the features, or they differ from those of the VM's first vCPU"],
  ["ENOENT",  ["KVM_ARM_VCPU_INIT"], "this kernel does not know one of the feature bits"],
  ["EAGAIN",  ["KVM_IRQFD"], "the VM has no initialised in-kernel interrupt controller"],
  ["ENXIO",   ["KVM_CREATE_IRQCHIP", "KVM_ARM_SET_DEVICE_ADDR"], "the host has no usable vGIC"],
  ["ENODEV",  ["KVM_CREATE_DEVICE"], "the host does not offer this device type"],
  ["ENOENT",  ["KVM_GET_DIRTY_LOG", "KVM_CLEAR_DIRTY_LOG"], "the slot does not exist or does not log dirty pages"],
];

function knownHelp(code: string, call: string): string | undefined {
  return causes.find(([c, calls]) => c === code && (calls.length === 0 || calls.includes(call)))?.[2];
}
