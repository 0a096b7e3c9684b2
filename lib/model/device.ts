// A device of KVM_CREATE_DEVICE: the kinds that there are, and the descriptor of one. Documentation/virt/kvm/api.rst
// 4.79, 4.80.

import type { DeviceFd } from "../backend.js";
import { Refused } from "../errors.js";
import { KVM_DEV_TYPE } from "../uapi/constants.js";
import { letGo } from "./descriptors.js";
import type { EventFds } from "./eventfd.js";
import { vgicIts } from "./gic/its.js";
import { vgicV2 } from "./gic/v2.js";
import { vgicV3 } from "./gic/v3-attributes.js";
import type { Host } from "./host/host.js";
import type { VmState } from "./vm-state.js";

/** What a device is asked: an attribute of a VM's device number `device` of its kind. */
export interface Attribute {
  readonly vm: VmState;
  readonly device: number;
  readonly group: number;
  readonly attr: bigint;
}

/** A kind of device. Each function throws `Refused` for what the kernel refuses. */
export interface DeviceKind {
  /** Whether KVM_CREATE_DEVICE knows it on this host. */
  offered(host: Host): boolean;
  /** Makes one; gives its number among those of its kind. Inside `locked`. */
  create(vm: VmState): number;
  set(attribute: Attribute, value: Uint8Array | null): void;
  get(attribute: Attribute, value: Uint8Array | null): void;
  has(attribute: Attribute): void;
}

const kinds: ReadonlyMap<number, DeviceKind> = new Map([
  [KVM_DEV_TYPE.ARM_VGIC_V2, vgicV2],
  [KVM_DEV_TYPE.ARM_VGIC_V3, vgicV3],
  [KVM_DEV_TYPE.ARM_VGIC_ITS, vgicIts],
]);

/** KVM_CREATE_DEVICE with flags: bit 0 only asks. */
export function createDevice(vm: VmState, fds: EventFds, type: number, flags: number): ModelDevice | null {
  const kind = kinds.get(type);
  if (kind === undefined || !kind.offered(vm.profile.host)) throw new Refused("ENODEV", "KVM_CREATE_DEVICE");
  if ((flags & 1) !== 0) return null;
  return new ModelDevice(
    vm,
    fds,
    kind,
    vm.locked(() => kind.create(vm)),
  );
}

export class ModelDevice implements DeviceFd {
  readonly #fds: EventFds;
  readonly #kind: DeviceKind;
  readonly #number: number;
  #vm: VmState | null;

  constructor(vm: VmState, fds: EventFds, kind: DeviceKind, number: number) {
    this.#vm = vm;
    this.#fds = fds;
    this.#kind = kind;
    this.#number = number;
    vm.add("open", 1);
  }

  get closed(): boolean {
    return this.#vm === null;
  }

  setDeviceAttr(group: number, attr: bigint, value: Uint8Array | null): void {
    this.#kind.set(this.#asked("KVM_SET_DEVICE_ATTR", group, attr), value);
  }

  getDeviceAttr(group: number, attr: bigint, value: Uint8Array | null): void {
    this.#kind.get(this.#asked("KVM_GET_DEVICE_ATTR", group, attr), value);
  }

  hasDeviceAttr(group: number, attr: bigint): void {
    this.#kind.has(this.#asked("KVM_HAS_DEVICE_ATTR", group, attr));
  }

  close(): void {
    if (this.#vm === null) return;
    letGo(this.#vm, this.#fds);
    this.#vm = null;
  }

  #asked(call: string, group: number, attr: bigint): Attribute {
    if (this.#vm === null) throw new Refused("EBADF", call);
    if (this.#vm.peek("dead") === 1) throw new Refused("EIO", call);
    return { vm: this.#vm, device: this.#number, group, attr };
  }
}
