// Firmware feature bitmaps: which hypercall services the guest is offered. No capability tells that they exist: the
// register list does. Documentation/virt/kvm/arm/fw-pseudo-registers.rst, "Bitmap feature firmware registers".

import { shown } from "./argument.js";
import type { RegId } from "./reg-id.js";
import { firmwareFeatures } from "./registers.js";
import type { Kernel } from "./sysreg-row.js";

/** One of the registers. Its services are bits 0, 1, …, in order. */
export interface FirmwareBitmap {
  readonly name: string;
  readonly id: RegId<64>;
  readonly services: readonly string[];
  /** All that the kernel offers; a bit beyond is EINVAL. Absent: this kernel has no such register. */
  readonly maximum: Readonly<Partial<Record<Kernel, bigint>>>;
  /** The value of a new VM. */
  readonly initial: bigint;
}

// biome-ignore format: table
export const firmwareBitmaps = [
  { name: "std",        id: firmwareFeatures.std,        services: ["trng-v1.0"],
    maximum: { "6.1": 1n, "6.12": 1n, "7.2": 1n }, initial: 1n },
  { name: "stdHyp",     id: firmwareFeatures.stdHyp,     services: ["pv-time"],
    maximum: { "6.1": 1n, "6.12": 1n, "7.2": 1n }, initial: 1n },
  { name: "vendorHyp",  id: firmwareFeatures.vendorHyp,  services: ["function-features", "ptp"],
    maximum: { "6.1": 3n, "6.12": 3n, "7.2": 3n }, initial: 3n },
  { name: "vendorHyp2", id: firmwareFeatures.vendorHyp2, services: ["implementation-version", "implementation-cpus"],
    maximum: { "7.2": 3n },                        initial: 0n },
] as const satisfies readonly FirmwareBitmap[];

/** The name of a bitmap register. */
export type FirmwareBitmapName = (typeof firmwareBitmaps)[number]["name"];

type ServicesOf<N> = Extract<(typeof firmwareBitmaps)[number], { readonly name: N }>["services"][number];

/** The name of a service. */
export type FirmwareService<N extends FirmwareBitmapName = FirmwareBitmapName> = ServicesOf<N>;

/** The bitmap register behind an id, if it is one. */
export function firmwareBitmapById(id: bigint): (typeof firmwareBitmaps)[number] | undefined {
  return firmwareBitmaps.find((bitmap) => bitmap.id === id);
}

function bitmapArgument(call: string, name: string): FirmwareBitmap {
  const bitmap = firmwareBitmaps.find((one) => one.name === name);
  if (bitmap === undefined)
    throw new TypeError(
      `${call}: name must be one of ${firmwareBitmaps.map((one) => one.name).join(", ")}, got ${shown(name)}`,
    );
  return bitmap;
}

/** The services in a bitmap's value, and the bits that are none we know. */
export function decodeFirmwareBitmap<N extends FirmwareBitmapName>(
  name: N,
  value: bigint,
): { readonly services: FirmwareService<N>[]; readonly rest: bigint } {
  const bitmap = bitmapArgument("decodeFirmwareBitmap", name);
  if (typeof value !== "bigint")
    throw new TypeError(`decodeFirmwareBitmap: value of ${name} must be a bigint, got ${shown(value)}`);
  const services = bitmap.services.filter((_, bit) => (value >> BigInt(bit)) & 1n);
  const known = (1n << BigInt(bitmap.services.length)) - 1n;
  return { services: services as FirmwareService<N>[], rest: value & ~known };
}

/** The value of a bitmap that offers these services. */
export function encodeFirmwareBitmap<N extends FirmwareBitmapName>(
  name: N,
  services: Iterable<FirmwareService<N>>,
): bigint {
  const bitmap = bitmapArgument("encodeFirmwareBitmap", name);
  let value = 0n;
  for (const service of services) {
    const bit = bitmap.services.indexOf(service);
    if (bit < 0)
      throw new TypeError(
        `encodeFirmwareBitmap: services of ${name} are ${bitmap.services.join(", ")}, got ${shown(service)}`,
      );
    value |= 1n << BigInt(bit);
  }
  return value;
}
