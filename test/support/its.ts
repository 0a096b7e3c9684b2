// A VM with a vGICv3 and an ITS whose tables lie in guest memory, and the commands that an ITS takes. IHI 0069, "ITS
// commands" and "The ITS register map".

import type { Device } from "../../lib/device.js";
import {
  KVM_VGIC_ADDR_TYPE as ADDR,
  KVM_ARM_VGIC_CTRL as CTRL,
  KVM_ARM_VGIC_GROUP as GROUP,
} from "../../lib/uapi/constants.js";
import type { Host } from "./backends.js";
import { DISTRIBUTOR } from "./gic.js";
import { type Guest, makeGuest, RAM } from "./guest.js";

/** Where the frames are. Arbitrary. */
export const ITS = 0x0808_0000n;
export const TRANSLATER = ITS + 0x1_0040n;
const REDISTRIBUTORS = 0x0a00_0000n;

export const [GITS_CTLR, GITS_IIDR, GITS_TYPER] = [0x0n, 0x4n, 0x8n];
export const [GITS_CBASER, GITS_CWRITER, GITS_CREADR] = [0x80n, 0x88n, 0x90n];
export const [GITS_BASER0, GITS_BASER1] = [0x100n, 0x108n];
export const VALID = 1n << 63n;
export const INDIRECT = 1n << 62n;

/** Where in guest memory the guest of these tests has its tables. */
export const QUEUE = RAM + 0x1_0000n;
export const DEVICES = RAM + 0x2_0000n;
export const COLLECTIONS = RAM + 0x3_0000n;
/** Free for translation tables and second levels, to 1 MiB. */
export const FREE = RAM + 0x4_0000n;
/** The byte of INTID n is at CONFIGURATION + n - 8192. */
export const CONFIGURATION = RAM + 0x10_0000n;
const PENDING = RAM + 0x20_0000n;
const RAM_BYTES = 0x40_0000;
const FIRST_LPI = 8192;

/** The four words of a command. */
export type Command = readonly [bigint, bigint, bigint, bigint];

const head = (number: number, device = 0) => BigInt(number) | (BigInt(device) << 32n);
const valid = (on: boolean) => (on ? VALID : 0n);

export const commands = {
  movi: (device: number, event: number, collection: number): Command => [
    head(1, device),
    BigInt(event),
    BigInt(collection),
    0n,
  ],
  int: (device: number, event: number): Command => [head(3, device), BigInt(event), 0n, 0n],
  clear: (device: number, event: number): Command => [head(4, device), BigInt(event), 0n, 0n],
  sync: (target: number): Command => [head(5), 0n, BigInt(target) << 16n, 0n],
  mapd: (device: number, table: bigint, eventBits: number): Command => [
    head(8, device),
    BigInt(eventBits - 1),
    VALID | table,
    0n,
  ],
  unmapd: (device: number): Command => [head(8, device), 0n, 0n, 0n],
  mapc: (collection: number, target: number, on = true): Command => [
    head(9),
    0n,
    valid(on) | (BigInt(target) << 16n) | BigInt(collection),
    0n,
  ],
  mapti: (device: number, event: number, intid: number, collection: number): Command => [
    head(10, device),
    BigInt(event) | (BigInt(intid) << 32n),
    BigInt(collection),
    0n,
  ],
  mapi: (device: number, event: number, collection: number): Command => [
    head(11, device),
    BigInt(event),
    BigInt(collection),
    0n,
  ],
  inv: (device: number, event: number): Command => [head(12, device), BigInt(event), 0n, 0n],
  invall: (collection: number): Command => [head(13), 0n, BigInt(collection), 0n],
  movall: (from: number, to: number): Command => [head(14), 0n, BigInt(from) << 16n, BigInt(to) << 16n],
  discard: (device: number, event: number): Command => [head(15, device), BigInt(event), 0n, 0n],
} as const;

export interface ItsOptions {
  readonly vcpus?: number;
  /** Id of one more vCPU. */
  readonly otherVcpu?: number;
  readonly code?: readonly number[];
  readonly twoLevels?: boolean;
}

export class ItsGuest {
  readonly guest: Guest;
  readonly gic: Device;
  readonly its: Device;
  readonly memory: DataView;
  readonly #twoLevels: boolean;
  #written = 0n;

  constructor(host: Host, options: ItsOptions = {}) {
    const made: Device[] = [];
    const vcpus = options.vcpus ?? 1;
    this.guest = makeGuest(host, options.code ?? [], {
      features: ["psci-0.2"],
      vcpus,
      memory: { bytes: RAM_BYTES },
      prepare: (vm) => made.push(host.keep(vm.createDevice("vgic-v3"))),
    });
    this.gic = made[0] as Device;
    const others = options.otherVcpu === undefined ? [] : [options.otherVcpu];
    for (const id of others) host.keep(this.guest.vm.createVcpu(id)).init({ features: ["psci-0.2"] });
    this.its = host.keep(this.guest.vm.createDevice("vgic-its"));
    this.gic.setAttr(GROUP.ADDR, BigInt(ADDR.V3_DIST), DISTRIBUTOR);
    this.gic.setAttr(GROUP.ADDR, BigInt(ADDR.V3_REDIST), REDISTRIBUTORS);
    this.gic.setAttr(GROUP.CTRL, BigInt(CTRL.INIT));
    this.its.setAttr(GROUP.ADDR, BigInt(ADDR.ITS), ITS);
    this.its.setAttr(GROUP.CTRL, BigInt(CTRL.INIT));
    const { bytes } = this.guest.ram;
    this.memory = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#twoLevels = options.twoLevels ?? false;
    for (const id of [...Array(vcpus).keys(), ...others]) this.enableLpis(id);
    this.enable();
  }

  read(register: bigint): bigint {
    return this.its.getAttr(GROUP.ITS_REGS, register, 64);
  }
  write(register: bigint, value: bigint): void {
    this.its.setAttr(GROUP.ITS_REGS, register, value);
  }

  /** Gives the ITS its tables, without enabling it. */
  setTables(): void {
    this.write(GITS_CBASER, VALID | QUEUE | 15n);
    this.write(GITS_BASER0, VALID | (this.#twoLevels ? INDIRECT : 0n) | DEVICES);
    this.write(GITS_BASER1, VALID | COLLECTIONS);
    this.#written = 0n;
  }
  enable(): void {
    this.setTables();
    this.write(GITS_CTLR, 1n);
  }

  /** Has the ITS do commands. */
  send(...list: readonly Command[]): void {
    for (const command of list) {
      for (const [i, word] of command.entries()) this.put(QUEUE + this.#written + BigInt(8 * i), word);
      this.#written += 32n;
    }
    this.write(GITS_CWRITER, this.#written);
  }

  save(): void {
    this.its.setAttr(GROUP.CTRL, BigInt(CTRL.ITS_SAVE_TABLES));
  }
  restore(): void {
    this.its.setAttr(GROUP.CTRL, BigInt(CTRL.ITS_RESTORE_TABLES));
  }
  reset(): void {
    this.its.setAttr(GROUP.CTRL, BigInt(CTRL.ITS_RESET));
  }
  savePending(): void {
    this.gic.setAttr(GROUP.CTRL, BigInt(CTRL.SAVE_PENDING_TABLES));
  }

  redistributor(vcpu: number, offset: bigint, value: number): void {
    this.gic.setAttr(GROUP.REDIST_REGS, (BigInt(vcpu) << 32n) | offset, value);
  }
  enableLpis(vcpu: number): void {
    this.redistributor(vcpu, 0x70n, Number(CONFIGURATION | 15n)); // GICR_PROPBASER: 16 bits of INTIDs
    this.redistributor(vcpu, 0x74n, 0);
    this.redistributor(vcpu, 0x78n, Number(this.pendingTable(vcpu))); // GICR_PENDBASER
    this.redistributor(vcpu, 0x7cn, 0);
    this.redistributor(vcpu, 0n, 1); // GICR_CTLR.EnableLPIs
  }
  pendingTable(vcpu: number): bigint {
    return PENDING + BigInt(vcpu) * 0x1_0000n;
  }

  /** A quadword of guest memory. */
  at(address: bigint): bigint {
    return this.memory.getBigUint64(Number(address - RAM), true);
  }
  put(address: bigint, value: bigint): void {
    this.memory.setBigUint64(Number(address - RAM), value, true);
  }
  /** Configures an LPI, in memory only. */
  configure(intid: number, byte: number): void {
    this.memory.setUint8(Number(CONFIGURATION - RAM) + intid - FIRST_LPI, byte);
  }
  /** Whether the pending tables name an LPI, by vCPU. */
  pending(intid: number): boolean[] {
    const byteOf = (vcpu: number) => this.memory.getUint8(Number(this.pendingTable(vcpu) - RAM) + (intid >> 3));
    return this.guest.cpus.map((_, vcpu) => ((byteOf(vcpu) >> (intid & 7)) & 1) === 1);
  }
  setPending(vcpu: number, intid: number): void {
    const at = Number(this.pendingTable(vcpu) - RAM) + (intid >> 3);
    this.memory.setUint8(at, this.memory.getUint8(at) | (1 << (intid & 7)));
  }

  /** KVM_SIGNAL_MSI: whether the guest took it. */
  message(deviceId: number, data: number): boolean {
    return this.guest.vm.signalMsi({ address: TRANSLATER, data, deviceId });
  }
}
