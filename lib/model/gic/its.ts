// The interrupt translation service as a device: Documentation/virt/kvm/devices/arm-vgic-its.rst. And the messages that
// it translates, from wherever they come: KVM_SIGNAL_MSI (Documentation/virt/kvm/api.rst 4.70) and routes of GSIs.

import { Refused } from "../../errors.js";
import {
  KVM_VGIC_ADDR_TYPE as ADDR,
  KVM_ARM_VGIC_CTRL as CTRL,
  KVM_ARM_VGIC_GROUP as GROUP,
  KVM_MSI_VALID_DEVID,
} from "../../uapi/constants.js";
import type { ErrnoName } from "../../uapi/errno.js";
import type { Attribute, DeviceKind } from "../device.js";
import { addDevice, Bus, Kind } from "../kvm/io-bus.js";
import { Busy } from "../layout.js";
import { allVcpus, type VcpuState } from "../vcpu-state.js";
import type { VmState } from "../vm-state.js";
import { answerQuad, givenQuad } from "./attribute-values.js";
import { trigger } from "./its-commands.js";
import { Its, ItsNodes, type NodeRef, Translation } from "./its-nodes.js";
import {
  type ItsRegister,
  initialiseRegisters,
  itsRegisterAt,
  loadFromIts,
  resetRegisters,
  storeToIts,
} from "./its-registers.js";
import { allIts, findTranslation, restoreTables, saveTables } from "./its-tables.js";
import { hasIts, type ItsContext, itsLocked, LPI_BASE_DEFAULT, setPending } from "./lpis.js";

const SET = "KVM_SET_DEVICE_ATTR";
const GET = "KVM_GET_DEVICE_ATTR";
const HAS = "KVM_HAS_DEVICE_ATTR";

const UNSET = 2n ** 64n - 1n;
const ALIGNMENT = 0x1_0000n;
/** The registers' frame, and that of GITS_TRANSLATER. */
const FRAME_BYTES = 0x2_0000n;
const TRANSLATER = 0x1_0040n;
const GITS_TYPER = 0x8n;
const GITS_PIDR4 = 0xffd0n;

function create(vm: VmState): number {
  return vm.gicLocked(() => {
    const nodes = new ItsNodes(vm);
    const its = nodes.make("KVM_CREATE_DEVICE");
    nodes.put(its, Its.next, vm.get("its"));
    nodes.putQuad(its, Its.base, UNSET);
    initialiseRegisters({ vm, gic: null, nodes, runner: null }, its);
    vm.put("its", its);
    vm.putQuad("propbaser", LPI_BASE_DEFAULT);
    return its;
  });
}

const baseOf = ({ nodes }: ItsContext, its: NodeRef) => nodes.quad(its, Its.base);

function wrongPlace(vm: VmState, base: bigint): ErrnoName | null {
  if (base % ALIGNMENT !== 0n || base + FRAME_BYTES >= 1n << 64n) return "EINVAL";
  return base + FRAME_BYTES > 1n << BigInt(vm.get("ipaBits")) ? "E2BIG" : null;
}

function setPlace({ vm, device: its, attr }: Attribute, value: Uint8Array | null): void {
  if (attr !== BigInt(ADDR.ITS)) throw new Refused("ENODEV", SET);
  const base = givenQuad(value);
  const refused = itsLocked(vm, null, (context) => {
    if (baseOf(context, its) !== UNSET) return "EEXIST";
    const wrong = wrongPlace(vm, base);
    if (wrong !== null) return wrong;
    context.nodes.putQuad(its, Its.base, base);
    const frame = { bus: Bus.mmio, kind: Kind.frame, address: base, bytes: Number(FRAME_BYTES) };
    // A bus that is full leaves it where it can not be reached.
    addDevice(vm, { ...frame, datamatch: undefined, fd: -1 }, SET);
    context.nodes.put(its, Its.onBus, 1);
    return null;
  });
  if (refused !== null) throw new Refused(refused, SET);
}

const someVcpuIsBusy = (vm: VmState) => allVcpus(vm).some((vcpu) => vcpu.peek("busy") !== Busy.free);

const controls: ReadonlyMap<bigint, (context: ItsContext, its: NodeRef) => ErrnoName | null> = new Map([
  [BigInt(CTRL.ITS_SAVE_TABLES), saveTables],
  [BigInt(CTRL.ITS_RESTORE_TABLES), restoreTables],
  [
    BigInt(CTRL.ITS_RESET),
    (context, its) => {
      resetRegisters(context, its);
      return null;
    },
  ],
]);

function control({ vm, device: its, attr }: Attribute): void {
  if (attr === BigInt(CTRL.INIT)) return;
  const refused = itsLocked(vm, null, (context) => {
    if (someVcpuIsBusy(vm)) return "EBUSY";
    const meaning = controls.get(attr);
    if (meaning !== undefined) return meaning(context, its);
    return vm.profile.switches.itsControlsChecked ? "ENXIO" : null;
  });
  if (refused !== null) throw new Refused(refused, SET);
}

/** The register of an attribute, whose upper 32 bits nobody looks at but for their place above GITS_PIDR4. */
function registerOf(attr: bigint, call: string): ItsRegister | undefined {
  const alignment = attr < GITS_TYPER || attr >= GITS_PIDR4 ? 4n : 8n;
  if (attr % alignment !== 0n) throw new Refused("EINVAL", call);
  return itsRegisterAt(offsetOf(attr));
}

const offsetOf = (attr: bigint) => Number(BigInt.asUintN(32, attr));

function reach<T>(
  { vm, device: its, attr }: Attribute,
  call: string,
  body: (context: ItsContext, register: ItsRegister, offset: number) => T | ErrnoName,
): T {
  const register = registerOf(attr, call);
  const said = itsLocked(vm, null, (context) => {
    if (someVcpuIsBusy(vm)) return "EBUSY";
    if (baseOf(context, its) === UNSET || register === undefined) return "ENXIO";
    return body(context, register, offsetOf(attr) - register.offset);
  });
  if (typeof said === "string") throw new Refused(said as ErrnoName, call);
  return said as T;
}

function setRegister(attribute: Attribute, value: Uint8Array | null): void {
  const { device: its } = attribute;
  const given = givenQuad(value);
  reach(attribute, SET, (context, register, offset) => {
    const quad = BigInt.asUintN(register.bits, given);
    if (register.userWrite !== undefined) return register.userWrite(context, its, quad);
    register.write?.(context, its, offset, quad);
    return null;
  });
}

export const vgicIts: DeviceKind = {
  offered: ({ gic }) => gic?.its ?? false,
  create,
  set(attribute, value) {
    const { group } = attribute;
    if (group === GROUP.ADDR) setPlace(attribute, value);
    else if (group === GROUP.CTRL) control(attribute);
    else if (group === GROUP.ITS_REGS) setRegister(attribute, value);
    else throw new Refused("ENXIO", SET);
  },
  get(attribute, value) {
    const { vm, device: its, group, attr } = attribute;
    if (group === GROUP.ADDR) {
      if (attr !== BigInt(ADDR.ITS)) throw new Refused("ENODEV", GET);
      answerQuad(
        value,
        itsLocked(vm, null, (context) => baseOf(context, its)),
      );
    } else if (group === GROUP.ITS_REGS) {
      const quad = reach(attribute, GET, (context, register, offset) => register.read(context, its, offset));
      answerQuad(value, quad);
    } else throw new Refused("ENXIO", GET);
  },
  has({ group, attr }) {
    if (group === GROUP.ADDR && attr === BigInt(ADDR.ITS)) return;
    if (group === GROUP.CTRL && (attr === BigInt(CTRL.INIT) || controls.has(attr))) return;
    if (group === GROUP.ITS_REGS && registerOf(attr, HAS) !== undefined) return;
    throw new Refused("ENXIO", HAS);
  },
};

/** The ITS in whose frames an address lies; 0: none. */
function itsAt(context: ItsContext, address: bigint): NodeRef {
  for (const its of allIts(context)) {
    const base = baseOf(context, its);
    const inside = address >= base && address < base + FRAME_BYTES;
    if (inside && context.nodes.get(its, Its.onBus) === 1) return its;
  }
  return 0;
}

/** A guest's access to the frames of an ITS: the value of a load, or 0n; null: there is no ITS. */
export function accessIts(vcpu: VcpuState, address: bigint, bytes: number, stored: bigint | null): bigint | null {
  const { vm } = vcpu;
  if (!hasIts(vm)) return null;
  return itsLocked(vm, vcpu, (context) => {
    const its = itsAt(context, address);
    if (its === 0) return null;
    const offset = Number(address - baseOf(context, its));
    if (stored === null) return loadFromIts(context, its, offset, bytes);
    storeToIts(context, its, offset, bytes, stored);
    return 0n;
  });
}

/** struct kvm_msi, and a route of type KVM_IRQ_ROUTING_MSI. */
export interface Message {
  readonly address: bigint;
  readonly data: number;
  readonly flags: number;
  readonly deviceId: number;
}

/** Sends a message: 1, or 0 where the guest keeps it away, or the errno. */
export function sendMessage(vm: VmState, message: Message): 0 | 1 | ErrnoName {
  const { address, data, flags, deviceId } = message;
  if (!hasIts(vm)) return "ENODEV";
  return itsLocked(vm, null, (context) => {
    const its = itsAt(context, address);
    if (its !== 0 && sendRemembered(context, its, message)) return 1;
    if ((flags & KVM_MSI_VALID_DEVID) === 0 || its === 0) return "EINVAL";
    const said = trigger(context, its, deviceId, data);
    if (said === "EBUSY") return said;
    return said === "pending" ? 1 : 0;
  });
}

/** A message that went through before goes through again, whether or not its device is said to be valid. */
function sendRemembered(context: ItsContext, its: NodeRef, { address, data, deviceId }: Message): boolean {
  const { vm, nodes } = context;
  if (!vm.profile.switches.itsCachesApart && address !== baseOf(context, its) + TRANSLATER) return false;
  const translation = findTranslation(context, its, deviceId, data);
  if (translation === 0 || nodes.get(translation, Translation.cached) === 0) return false;
  setPending(context, nodes.get(translation, Translation.lpi), true);
  return true;
}

/** KVM_SIGNAL_MSI. */
export function signalMsi(vm: VmState, args: Uint8Array): number {
  const call = "KVM_SIGNAL_MSI";
  const view = new DataView(args.buffer, args.byteOffset, args.byteLength);
  const [low, high, data, flags, deviceId] = [0, 4, 8, 12, 16].map((at) => view.getUint32(at, true)) as [
    number,
    number,
    number,
    number,
    number,
  ];
  if (vm.get("irqchip") === 0 || (flags & ~KVM_MSI_VALID_DEVID) !== 0) throw new Refused("EINVAL", call);
  const said = sendMessage(vm, { address: (BigInt(high) << 32n) | BigInt(low), data, flags, deviceId });
  if (typeof said === "string") throw new Refused(said, call);
  return said;
}
