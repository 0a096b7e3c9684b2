// A device made by KVM_CREATE_DEVICE, and the attribute calls that it shares with VMs and vCPUs.
// Documentation/virt/kvm/api.rst 4.79-4.81, Documentation/virt/kvm/devices/.
import { byteCount, describe, u32, u64 } from "./arguments.js";
import type { AttrFd, DeviceFd } from "./backend.js";
import { isRefusal, refuse } from "./errors.js";
import { KVM_DEV_TYPE } from "./uapi/constants.js";
import { errno } from "./uapi/errno.js";

/** Device types by their kernel names, in our case. */
export const deviceKinds = {
  vfio: KVM_DEV_TYPE.VFIO,
  "vgic-v2": KVM_DEV_TYPE.ARM_VGIC_V2,
  "vgic-v3": KVM_DEV_TYPE.ARM_VGIC_V3,
  "vgic-its": KVM_DEV_TYPE.ARM_VGIC_ITS,
  "pv-time": KVM_DEV_TYPE.ARM_PV_TIME,
  "vgic-v5": KVM_DEV_TYPE.ARM_VGIC_V5,
} as const;

export type DeviceKind = keyof typeof deviceKinds;

/** A number is passed as the kernel's 32-bit, a bigint as its 64-bit attribute value; undefined as a null pointer. */
export type AttrValue = number | bigint | Uint8Array | undefined;

function attrBytes(what: string, value: AttrValue): Uint8Array | null {
  if (value === undefined) return null;
  if (value instanceof Uint8Array) return value;
  const out = new DataView(new ArrayBuffer(typeof value === "bigint" ? 8 : 4));
  if (typeof value === "bigint") out.setBigUint64(0, u64(what, value), true);
  else if (typeof value === "number") out.setUint32(0, u32(what, value < 0 ? value >>> 0 : value), true);
  else throw new TypeError(`${what} must be a number, a bigint, a Uint8Array or undefined, got ${describe(value)}`);
  return new Uint8Array(out.buffer);
}

const subject = (owner: string, group: number, attr: bigint) => ({
  what: `${owner} group ${group} attribute ${attr > 9n ? `0x${attr.toString(16)}` : attr}`,
});

/** KVM_SET_DEVICE_ATTR. */
export function setAttr(fd: AttrFd, owner: string, group: number, attr: bigint, value?: AttrValue): void {
  u32("group", group);
  u64("attr", attr);
  const from = attrBytes("value", value);
  try {
    fd.setDeviceAttr(group, attr, from);
  } catch (error) {
    refuse(error, subject(owner, group, attr));
  }
}

/** KVM_GET_DEVICE_ATTR of `size` bytes; `size` 0 passes a null pointer. */
export function getAttrBytes(fd: AttrFd, owner: string, group: number, attr: bigint, size: number): Uint8Array {
  u32("group", group);
  u64("attr", attr);
  const into = new Uint8Array(byteCount("bytes", size));
  try {
    fd.getDeviceAttr(group, attr, size === 0 ? null : into);
  } catch (error) {
    refuse(error, subject(owner, group, attr));
  }
  return into;
}

/** What an attribute of 32 or 64 bits reads as. */
export type AttrBits<B extends 32 | 64> = B extends 32 ? number : bigint;

/** KVM_GET_DEVICE_ATTR of an attribute that is a 32-bit or a 64-bit word. */
export function getAttr<B extends 32 | 64>(
  fd: AttrFd,
  owner: string,
  group: number,
  attr: bigint,
  bits: B,
): AttrBits<B> {
  if (bits !== 32 && bits !== 64) throw new TypeError(`bits must be 32 or 64, got ${describe(bits)}`);
  const view = new DataView(getAttrBytes(fd, owner, group, attr, bits / 8).buffer);
  return (bits === 32 ? view.getUint32(0, true) : view.getBigUint64(0, true)) as AttrBits<B>;
}

/** KVM_HAS_DEVICE_ATTR: false for ENXIO; other refusals are thrown. */
export function hasAttr(fd: AttrFd, owner: string, group: number, attr: bigint): boolean {
  u32("group", group);
  u64("attr", attr);
  try {
    fd.hasDeviceAttr(group, attr);
    return true;
  } catch (error) {
    if (isRefusal(error) && error.errno === errno("ENXIO")) return false;
    refuse(error, subject(owner, group, attr));
  }
}

export class Device implements Disposable {
  readonly kind: DeviceKind | number;
  readonly #fd: DeviceFd;

  /** Made by `vm.createDevice`. */
  constructor(fd: DeviceFd, kind: DeviceKind | number) {
    this.#fd = fd;
    this.kind = kind;
  }

  /** KVM_SET_DEVICE_ATTR. */
  setAttr(group: number, attr: bigint, value?: AttrValue): void {
    setAttr(this.#fd, `device ${this.kind}`, group, attr, value);
  }

  /** KVM_GET_DEVICE_ATTR of a 32-bit or 64-bit attribute. */
  getAttr<B extends 32 | 64>(group: number, attr: bigint, bits: B): AttrBits<B> {
    return getAttr(this.#fd, `device ${this.kind}`, group, attr, bits);
  }

  /** KVM_GET_DEVICE_ATTR of an attribute of any size; 0 passes a null pointer. */
  getAttrBytes(group: number, attr: bigint, size: number): Uint8Array {
    return getAttrBytes(this.#fd, `device ${this.kind}`, group, attr, size);
  }

  /** KVM_HAS_DEVICE_ATTR. */
  hasAttr(group: number, attr: bigint): boolean {
    return hasAttr(this.#fd, `device ${this.kind}`, group, attr);
  }

  get closed(): boolean {
    return this.#fd.closed;
  }

  /** The device itself lives as long as its VM. */
  close(): void {
    this.#fd.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
