// What a machine tells its guest of itself: the device tree. Documentation/devicetree/bindings has the meaning of each
// node, Documentation/arch/arm64/booting.rst what a kernel needs.

import type { Device } from "./device.js";
import { cells64, type PropertyValue, type TreeNode } from "./device-tree.js";
import type { Gic } from "./gic.js";
import type { RamRange } from "./ram.js";

const GIC_PHANDLE = 1;
/** The clock of PrimeCells, for their nodes. */
export const CLOCK_PHANDLE = 2;

/** Interrupts of the generic timers, as private peripheral interrupts: secure, physical, virtual, of EL2. */
const TIMER_PPIS = [13, 14, 11, 10];
export const PMU_PPI = 7;
const AFFINITY = 0xff_00ff_ffffn;

export interface Board {
  readonly ram: RamRange;
  readonly gic: Gic;
  /** MPIDR_EL1 of each CPU. */
  readonly cpus: readonly bigint[];
  readonly hasPmu: boolean;
  /** A device's shared interrupt is its place in this list. */
  readonly devices: readonly Device[];
  readonly append: string;
  readonly initrd?: { readonly at: bigint; readonly bytes: number } | undefined;
  /** For the guest's random numbers. */
  readonly seed: Uint8Array;
}

const at = (name: string, address: bigint): string => `${name}@${address.toString(16)}`;
const reg = (address: bigint, bytes: number): readonly number[] => [...cells64(address), ...cells64(BigInt(bytes))];

export function boardTree(board: Board): TreeNode {
  const { ram, gic, devices } = board;
  const described = devices.flatMap((device, spi) =>
    device.node === undefined ? [] : [deviceNode(device, device.node, gic.spi(spi))],
  );
  const clock = { compatible: "fixed-clock", "#clock-cells": 0, "clock-frequency": 24_000_000, phandle: CLOCK_PHANDLE };
  const timers = {
    compatible: "arm,armv8-timer",
    interrupts: TIMER_PPIS.flatMap((ppi) => gic.ppi(ppi)),
    "always-on": true as const,
  };
  return {
    name: "",
    properties: {
      compatible: "linux,dummy-virt",
      model: "kvm-arm64",
      "#address-cells": 2,
      "#size-cells": 2,
      "interrupt-parent": GIC_PHANDLE,
    },
    children: [
      chosen(board),
      { name: at("memory", ram.at), properties: { device_type: "memory", reg: reg(ram.at, ram.bytes) } },
      cpusNode(board),
      { name: "psci", properties: { compatible: ["arm,psci-1.0", "arm,psci-0.2"], method: "hvc" } },
      { name: "timer", properties: timers },
      ...(board.hasPmu
        ? [{ name: "pmu", properties: { compatible: "arm,armv8-pmuv3", interrupts: gic.ppi(PMU_PPI) } }]
        : []),
      gic.node(GIC_PHANDLE),
      { name: "clock", properties: clock },
      ...described,
    ],
  };
}

function deviceNode(device: Device, node: NonNullable<Device["node"]>, interrupts: readonly number[]): TreeNode {
  return {
    name: at(node.name, device.at),
    properties: { ...node.properties, reg: reg(device.at, device.bytes), interrupts },
  };
}

function chosen({ append, initrd, devices, seed }: Board): TreeNode {
  const properties: Record<string, PropertyValue> = { bootargs: append, "rng-seed": seed };
  const console = devices.find(({ node }) => node?.name === "pl011");
  if (console !== undefined) properties["stdout-path"] = `/${at("pl011", console.at)}`;
  if (initrd !== undefined) {
    properties["linux,initrd-start"] = cells64(initrd.at);
    properties["linux,initrd-end"] = cells64(initrd.at + BigInt(initrd.bytes));
  }
  return { name: "chosen", properties };
}

function cpusNode({ cpus }: Board): TreeNode {
  return {
    name: "cpus",
    properties: { "#address-cells": 2, "#size-cells": 0 },
    children: cpus.map((mpidr) => ({
      name: at("cpu", mpidr & AFFINITY),
      properties: {
        device_type: "cpu",
        compatible: "arm,armv8",
        reg: cells64(mpidr & AFFINITY),
        "enable-method": "psci",
      },
    })),
  };
}
