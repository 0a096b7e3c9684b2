// The interrupt controller of a machine: the kernel's vGICv3, or the vGICv2 where the host has no other.
// Documentation/virt/kvm/devices/arm-vgic-v3.rst, arm-vgic.rst.
import type { Vm } from "../index.js";
import { KVM_ARM_VGIC_CTRL, KVM_ARM_VGIC_GROUP, KVM_VGIC_ADDR_TYPE } from "../uapi/constants.js";
import { cells64, type PropertyValue, type TreeNode } from "./device-tree.js";
import { MachineError } from "./errors.js";
import { GIC_DISTRIBUTOR_AT, GICV2_CPU_INTERFACE_AT, GICV3_REDISTRIBUTORS_AT, PL011_AT } from "./memory-map.js";

type Kind = "vgic-v3" | "vgic-v2";

interface Frame {
  readonly type: number;
  readonly at: bigint;
  readonly bytes: (cpus: number) => number;
}

interface Row {
  readonly kind: Kind;
  readonly compatible: string;
  readonly frames: readonly Frame[];
  readonly mostCpus: number;
}

const REDISTRIBUTOR_BYTES = 0x2_0000;

// biome-ignore format: table
const rows: readonly Row[] = [
  { kind: "vgic-v3", compatible: "arm,gic-v3", mostCpus: Number(PL011_AT - GICV3_REDISTRIBUTORS_AT) / REDISTRIBUTOR_BYTES | 0, frames: [
    { type: KVM_VGIC_ADDR_TYPE.V3_DIST,   at: GIC_DISTRIBUTOR_AT,      bytes: () => 0x1_0000 },
    { type: KVM_VGIC_ADDR_TYPE.V3_REDIST, at: GICV3_REDISTRIBUTORS_AT, bytes: (cpus) => cpus * REDISTRIBUTOR_BYTES },
  ] },
  { kind: "vgic-v2", compatible: "arm,cortex-a15-gic", mostCpus: 8, frames: [
    { type: KVM_VGIC_ADDR_TYPE.V2_DIST,   at: GIC_DISTRIBUTOR_AT,      bytes: () => 0x1000 },
    { type: KVM_VGIC_ADDR_TYPE.V2_CPU,    at: GICV2_CPU_INTERFACE_AT,  bytes: () => 0x2000 },
  ] },
];

/** How the device tree speaks of interrupts: type, number, and "level, active high". */
const SPI_CELL = 0;
const PPI_CELL = 1;
const LEVEL_HIGH = 4;
/** INTID of the first shared interrupt. */
export const FIRST_SPI = 32;

export interface Gic {
  /** After all vCPUs are created, before any runs. */
  initialise(): void;
  node(phandle: number): TreeNode;
  /** `interrupts` of a device with a shared interrupt. */
  spi(number: number): readonly number[];
  /** `interrupts` of something that each CPU has. */
  ppi(number: number): readonly number[];
}

/** Makes the best that the host offers. */
export function createGic(vm: Vm, cpus: number): Gic {
  const row = rows.find(({ kind }) => vm.offersDevice(kind));
  if (row === undefined) throw new MachineError("the host offers neither a vGICv3 nor a vGICv2 to its guests");
  if (cpus > row.mostCpus) throw new MachineError(`a machine with a ${row.kind} has at most ${row.mostCpus} CPUs`);
  const device = vm.createDevice(row.kind);
  // A vGICv2 wants to be told which CPUs a private interrupt goes to: bits 15:8.
  const everyCpu = row.kind === "vgic-v2" ? ((1 << cpus) - 1) << 8 : 0;
  return {
    initialise() {
      for (const { type, at } of row.frames) device.setAttr(KVM_ARM_VGIC_GROUP.ADDR, BigInt(type), at);
      device.setAttr(KVM_ARM_VGIC_GROUP.CTRL, BigInt(KVM_ARM_VGIC_CTRL.INIT));
      device.close();
    },
    node(phandle) {
      const properties: Record<string, PropertyValue> = {
        compatible: row.compatible,
        "interrupt-controller": true,
        "#interrupt-cells": 3,
        "#address-cells": 2,
        "#size-cells": 2,
        ranges: true,
        reg: row.frames.flatMap(({ at, bytes }) => [...cells64(at), ...cells64(BigInt(bytes(cpus)))]),
        phandle,
      };
      return { name: `interrupt-controller@${GIC_DISTRIBUTOR_AT.toString(16)}`, properties };
    },
    spi: (number) => [SPI_CELL, number, LEVEL_HIGH],
    ppi: (number) => [PPI_CELL, number, LEVEL_HIGH | everyCpu],
  };
}
