// A guest with a vGICv3, set up by userspace and, as far as only it can, by itself.

import type { Device } from "../../lib/device.js";
import { KVM_ARM_VGIC_CTRL, KVM_ARM_VGIC_GROUP, KVM_VGIC_ADDR_TYPE } from "../../lib/uapi/constants.js";
import { movz, mrs, msr } from "./assemble.js";
import type { Host } from "./backends.js";
import { type Guest, loadWords, makeGuest } from "./guest.js";

/** Where the frames are. Arbitrary. */
export const DISTRIBUTOR = 0x0800_0000n;
export const REDISTRIBUTOR = 0x080a_0000n;

export interface GicOptions {
  /** INTID of a shared interrupt that is enabled, in group 1. */
  readonly spi?: number;
  /** Runs with group 1 enabled and no priority masked. */
  readonly code?: readonly number[];
  readonly vcpus?: number;
}

const GICD_CTLR = 0x0000n;
const GICD_IGROUPR = 0x0080n;
const GICD_ISENABLER = 0x0100n;

/** Places the frames of a vGICv3 and initialises it. */
export function initialiseGic(gic: Device): void {
  gic.setAttr(KVM_ARM_VGIC_GROUP.ADDR, BigInt(KVM_VGIC_ADDR_TYPE.V3_DIST), DISTRIBUTOR);
  gic.setAttr(KVM_ARM_VGIC_GROUP.ADDR, BigInt(KVM_VGIC_ADDR_TYPE.V3_REDIST), REDISTRIBUTOR);
  gic.setAttr(KVM_ARM_VGIC_GROUP.CTRL, BigInt(KVM_ARM_VGIC_CTRL.INIT));
}

/** A guest with an initialised vGICv3. */
export function makeGicGuest(host: Host, options: GicOptions = {}): Guest & { readonly gic: Device } {
  const made: { gic?: Device } = {};
  const guest = makeGuest(host, [], {
    features: ["psci-0.2"],
    vcpus: options.vcpus ?? 1,
    prepare: (vm) => {
      made.gic = host.keep(vm.createDevice("vgic-v3"));
    },
  });
  const gic = made.gic as Device;
  initialiseGic(gic);
  if (options.spi !== undefined) {
    const word = BigInt(4 * (options.spi >> 5));
    const bit = 2 ** (options.spi & 31);
    gic.setAttr(KVM_ARM_VGIC_GROUP.DIST_REGS, GICD_CTLR, 0x12); // ARE, EnableGrp1
    gic.setAttr(KVM_ARM_VGIC_GROUP.DIST_REGS, GICD_IGROUPR + word, bit);
    gic.setAttr(KVM_ARM_VGIC_GROUP.DIST_REGS, GICD_ISENABLER + word, bit);
  }
  loadWords(guest.ram, 0, [
    movz(0, 0xff),
    msr([3, 0, 4, 6, 0], 0), // msr icc_pmr_el1, x0
    movz(0, 1),
    msr([3, 0, 12, 12, 7], 0), // msr icc_igrpen1_el1, x0
    ...(options.code ?? []),
  ]);
  return { ...guest, gic };
}

const GICR_IGROUPR0 = 0x1_0080n;
const GICR_ISENABLER0 = 0x1_0100n;

/** Enables an interrupt, in group 1: a private one of the first vCPU, or a shared one. */
export function enableInterrupt(gic: Device, intid: number): void {
  const isPrivate = intid < 32;
  const group = isPrivate ? KVM_ARM_VGIC_GROUP.REDIST_REGS : KVM_ARM_VGIC_GROUP.DIST_REGS;
  const at = BigInt(4 * (intid >> 5));
  const bit = 2 ** (intid & 31);
  const igroupr = isPrivate ? GICR_IGROUPR0 : GICD_IGROUPR + at;
  gic.setAttr(KVM_ARM_VGIC_GROUP.DIST_REGS, GICD_CTLR, 0x12); // ARE, EnableGrp1
  gic.setAttr(group, igroupr, (gic.getAttr(group, igroupr, 32) | bit) >>> 0);
  gic.setAttr(group, isPrivate ? GICR_ISENABLER0 : GICD_ISENABLER + at, bit);
}

/** The words that acknowledge an interrupt of group 1 into a register. */
export const acknowledge = (rt: number): number => mrs(rt, [3, 0, 12, 12, 0]); // mrs xt, icc_iar1_el1
/** The words that end it. */
export const endOfInterrupt = (rt: number): number => msr([3, 0, 12, 12, 1], rt); // msr icc_eoir1_el1, xt
/** A handler of interrupts of group 1: ends the interrupt, and leaves its INTID in X0. */
export const takeInterrupt: readonly number[] = [acknowledge(0), endOfInterrupt(0)];
