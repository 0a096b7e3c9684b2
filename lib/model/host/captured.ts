// The host that a capture records.

import { decode, fieldsOf } from "../../arm64/fields.js";
import { type SysRegName, sysRegByName } from "../../arm64/sysregs.js";
import { packVcpuFeatures } from "../../arm64/vcpu-features.js";
import {
  type Choice,
  type Combination,
  choicesOf,
  expectedRegisters,
  type Hex,
  type HostCapture,
  type Listing,
} from "../../capture-format.js";
import type { CapName } from "../../uapi/caps.js";
import { Feature } from "../vcpu-features.js";
import { CHOSEN, type GicHost, type Host, type PmuHost } from "./host.js";

const MTE = 1 << 30;

function keyOf(features: number, mte: boolean): number {
  // HAS_EL2_E2H0 alone is accepted by a 7.2 that can have it, and changes nothing.
  const alone = (features & Feature.hasEl2) === 0 ? Feature.hasEl2E2h0 : 0;
  return (features & CHOSEN & ~alone) | (mte ? MTE : 0);
}

/** The registers of every combination that INIT takes, by key; each is put together when it is first asked for. */
class Combinations {
  readonly #listings = new Map<number, () => Listing>();

  constructor(combinations: readonly Combination[]) {
    const alone = new Map<Choice, Listing>();
    let plain: Listing = new Map();
    for (const one of combinations) {
      if (one.refused !== undefined) continue;
      const made = choicesOf(one);
      const make = (): Listing => {
        const parts = made.length < 2 ? [] : made.map((choice) => alone.get(choice) ?? plain);
        return changed(expectedRegisters(plain, parts), one.registers ?? {});
      };
      if (made.length > 1) {
        this.#listings.set(keyOf(packVcpuFeatures(one.features), one.mte === true), once(make));
        continue;
      }
      const listing = make();
      if (made[0] === undefined) plain = listing;
      else alone.set(made[0], listing);
      this.#listings.set(keyOf(packVcpuFeatures(one.features), one.mte === true), () => listing);
    }
  }

  has(features: number, mte: boolean): boolean {
    return this.#listings.has(keyOf(features, mte));
  }

  /** undefined where INIT refuses. */
  of(features: number, mte: boolean): Listing | undefined {
    return this.#listings.get(keyOf(features, mte))?.();
  }

  get plain(): Listing {
    return this.of(0, false) ?? new Map();
  }

  /** The most that goes together, of AArch64 and without EL2, which changes much. */
  get richest(): Listing {
    const keys = [...this.#listings.keys()].filter((key) => (key & (Feature.el1_32bit | Feature.hasEl2)) === 0);
    return this.#listings.get(keys.at(-1) ?? 0)?.() ?? this.plain;
  }

  /** Features of which some combination is made. */
  get features(): number {
    return [...this.#listings.keys()].reduce((sum, key) => sum | key, 0) & CHOSEN;
  }
}

function once<T>(make: () => T): () => T {
  let made: T | undefined;
  return () => {
    made ??= make();
    return made;
  };
}

function changed(
  expected: Map<string, Hex | "volatile">,
  by: Readonly<Record<string, Hex | "volatile" | null>>,
): Listing {
  for (const [name, value] of Object.entries(by)) {
    if (value === null) expected.delete(name);
    else expected.set(name, value);
  }
  return expected;
}

function valueIn(listing: Listing, name: string): bigint {
  const value = listing.get(name);
  return value === undefined || value === "volatile" ? 0n : BigInt(value);
}

function gicOf({ devices }: HostCapture): GicHost | null {
  const [v2, v3, its] = (["vgic-v2", "vgic-v3", "vgic-its"] as const).map((kind) => devices[kind] !== undefined);
  if (!v2 && !v3) return null;
  const ctlr = devices["vgic-v3"]?.registers["CPU_SYSREGS"]?.["ICC_CTLR_EL1"];
  // What a GICv2 has: 32 priorities, 16 bits of INTID.
  const { PRIbits, IDbits, SEIS, A3V } =
    ctlr === undefined ? { PRIbits: 4, IDbits: 0, SEIS: 0, A3V: 0 } : decode("ICC_CTLR_EL1", BigInt(ctlr)).fields;
  return {
    v2: v2 === true,
    v3: v3 === true,
    its: its === true,
    priorityBits: PRIbits + 1,
    idBits: IDbits === 0 ? 0 : 1,
    seis: SEIS === 0 ? 0 : 1,
    a3v: A3V === 0 ? 0 : 1,
  };
}

function pmuOf(capture: HostCapture, combinations: Combinations): PmuHost | null {
  const listing = combinations.of(Feature.pmuV3, false);
  if (listing === undefined) return null;
  return { counters: decode("PMCR_EL0", valueIn(listing, "PMCR_EL0")).fields.N, types: capture.pmuTypes };
}

/** CCSIDR_EL1 by CSSELR_EL1. */
function cachesOf(listing: Listing): Map<number, number> {
  const named = [...listing.keys()].filter((name) => name.startsWith("CCSIDR "));
  return new Map(named.map((name) => [Number(name.slice("CCSIDR ".length)), Number(valueIn(listing, name))]));
}

function hiddenIn({ hiddenFields }: HostCapture, register: string): bigint {
  let value = 0n;
  for (const { name, lsb } of fieldsOf(register)) {
    value |= BigInt(hiddenFields[`${register}.${name}`] ?? 0) << BigInt(lsb);
  }
  return value;
}

/** Exactly the host that was captured. */
export function capturedHost(capture: HostCapture): Host {
  const combinations = new Combinations(capture.combinations);
  const cap = (name: CapName, on: "system" | "vm" = "system"): number => {
    const value = (on === "vm" ? capture.vmCapabilities[name] : undefined) ?? capture.capabilities[name] ?? 0;
    return typeof value === "number" ? value : 0;
  };
  const alone =
    (capture.init["power-off"] === "ok" ? Feature.powerOff : 0) |
    (capture.init["el2-e2h0"] === "ok" ? Feature.hasEl2E2h0 : 0) |
    Feature.psci02;
  const { plain } = combinations;
  const workaround = (n: 1 | 2 | 3) => Number(valueIn(plain, `firmware SMCCC_ARCH_WORKAROUND_${n}`));
  return {
    value(register) {
      const guest = capture.guest[register];
      if (guest !== undefined) return guest === "undefined" ? 0n : BigInt(guest);
      return valueIn(combinations.richest, register) | hiddenIn(capture, register);
    },
    limit: (register, features, mte) => valueIn(combinations.of(features, mte) ?? plain, register),
    takes: (features, mte) => combinations.has(features, mte),
    features: combinations.features | alone,
    vectorLengths: capture.vectorLengths.reduce((bits, vq) => bits | (1 << (vq - 1)), 0),
    mte: cap("ARM_MTE") !== 0,
    stolenTime: cap("STEAL_TIME") !== 0,
    breakpoints: cap("GUEST_DEBUG_HW_BPS"),
    watchpoints: cap("GUEST_DEBUG_HW_WPS"),
    ipaBits: cap("ARM_VM_IPA_SIZE"),
    counterHz: Number(capture.guest["CNTFRQ_EL0"]),
    cpus: cap("NR_VCPUS"),
    maxVcpus: cap("MAX_VCPUS"),
    serrorEsr: cap("ARM_INJECT_SERROR_ESR") !== 0,
    workarounds: [workaround(1), workaround(2), workaround(3)],
    blockSizes: cap("ARM_SUPPORTED_BLOCK_SIZES"),
    cacheablePfnmap: cap("ARM_CACHEABLE_PFNMAP_SUPPORTED", "vm") !== 0,
    caches: cachesOf(plain),
    gic: gicOf(capture),
    pmu: pmuOf(capture, combinations),
  };
}

/** Whether a register's value is part of what a host promises its guests. */
export const isIdRegister = (name: SysRegName): boolean => {
  const [op0, op1, crn, crm] = sysRegByName(name).encoding;
  return op0 === 3 && op1 === 0 && crn === 0 && crm > 0 && crm < 8;
};
