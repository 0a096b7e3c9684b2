// Pointer authentication of the EL1&0 regime: where the code lies in a pointer, and what signing, authenticating and
// stripping make of it. DDI 0487 D8, "Pointer authentication", and J1.1 AddPAC, Auth, Strip, CalculateBottomPACBit.

import type { SysRegName } from "../../arm64/sysregs.js";
import type { PacKey } from "../a64/machine.js";
import { qarma5 } from "./qarma.js";
import type { CpuState } from "./state.js";

/** ID_AA64ISAR1_EL1.APA and API, ID_AA64ISAR2_EL1.APA3: what each value adds. */
export const Level = { none: 0, zeroCode: 2, exclusiveOr: 3, faults: 4, combinedFault: 5 } as const;
const [APA, API, APA3] = [4n, 8n, 12n];

interface Key {
  /** SCTLR_EL1: the bit that enables it. */
  readonly enable: bigint;
  readonly low: SysRegName;
  readonly high: SysRegName;
  /** What a wrong pointer has in its upper bits, and ISS of the exception instead. */
  readonly error: bigint;
  readonly iss: number;
}

// biome-ignore format: table
export const pacKeys: Readonly<Record<PacKey, Key>> = {
  IA: { enable: 1n << 31n, low: "APIAKEYLO_EL1", high: "APIAKEYHI_EL1", error: 1n, iss: 0 },
  IB: { enable: 1n << 30n, low: "APIBKEYLO_EL1", high: "APIBKEYHI_EL1", error: 2n, iss: 1 },
  DA: { enable: 1n << 27n, low: "APDAKEYLO_EL1", high: "APDAKEYHI_EL1", error: 1n, iss: 2 },
  DB: { enable: 1n << 13n, low: "APDBKEYLO_EL1", high: "APDBKEYHI_EL1", error: 2n, iss: 3 },
};

/** TxSZ beyond these is taken for them. */
const LEAST_SIZE = { any: 16, "64k with large addresses": 12 } as const;
const MOST_SIZE = { any: 39, small: 48, "small, 64k": 47 } as const;

const ALL = (1n << 64n) - 1n;
const BIT55 = 1n << 55n;
const bit = (value: bigint, n: number): 0 | 1 => Number((value >> BigInt(n)) & 1n) as 0 | 1;

/** What an authentication gives: the pointer, or ISS of the exception (FEAT_FPAC). */
export type Authenticated = bigint | { readonly iss: number };

export type Kind = "instruction" | "data";
const kindOf = (key: PacKey): Kind => (key[0] === "I" ? "instruction" : "data");

export class PointerAuth {
  constructor(private readonly state: CpuState) {}

  get level(): number {
    // A CPU has one of three algorithms. Theirs but QARMA5 cannot be known by a program, unless it knows its keys, too.
    const [isar1, isar2] = [this.state.get("ID_AA64ISAR1_EL1"), this.state.get("ID_AA64ISAR2_EL1")];
    return Number((isar1 >> APA) & 15n || (isar1 >> API) & 15n || (isar2 >> APA3) & 15n);
  }

  /** AddPACIA and kin. */
  add(key: PacKey, pointer: bigint, modifier: bigint): bigint {
    const { level } = this;
    if (level === Level.none || !this.enabled(key)) return pointer;
    const upper = this.rangeToSign(pointer, kindOf(key));
    const { code, mask, extension } = this.layout(pointer, upper, kindOf(key));
    let pac = this.code(key, (pointer & ~mask) | extension, modifier);
    const inMask = pointer & mask;
    if (inMask !== 0n && inMask !== mask) {
      if (level === Level.zeroCode) pac = 0n;
      // The second highest bit that the code can have.
      else if (level < Level.exclusiveOr) pac ^= bit(mask, 63) === 1 ? 1n << 62n : 1n << 54n;
    }
    const put = level < Level.exclusiveOr ? pac & code : (pointer ^ pac) & code;
    return (pointer & ~mask) | put | (upper === 1 ? BIT55 : 0n);
  }

  /** AuthIA and kin. `use`: combined with a branch or a load. */
  authenticate(key: PacKey, pointer: bigint, modifier: bigint, use: "alone" | "combined"): Authenticated {
    const { level } = this;
    if (level === Level.none || !this.enabled(key)) return pointer;
    const { code, mask, extension } = this.layout(pointer, bit(pointer, 55), kindOf(key));
    const original = (pointer & ~mask) | extension;
    const pac = this.code(key, original, modifier);
    const { error, iss } = pacKeys[key];
    if (level < Level.exclusiveOr) {
      if (((pac ^ pointer) & code) === 0n) return original;
      const lsb = bit(mask, 63) === 1 ? 61n : 53n;
      return (original & ~(3n << lsb)) | (error << lsb);
    }
    const result = pointer ^ (pac & code);
    const faults = level >= Level.combinedFault || (level === Level.faults && use === "alone");
    return faults && result !== original ? { iss } : result;
  }

  /** Strip. */
  strip(kind: Kind, pointer: bigint): bigint {
    if (this.level === Level.none) return pointer;
    const { mask, extension } = this.layout(pointer, bit(pointer, 55), kind);
    return (pointer & ~mask) | extension;
  }

  /** PACGA: the upper half of the code, the lower zero. */
  generic(data: bigint, modifier: bigint): bigint {
    const { state } = this;
    return qarma5(data, modifier, state.get("APGAKEYHI_EL1"), state.get("APGAKEYLO_EL1")) & (0xffff_ffffn << 32n);
  }

  private enabled(key: PacKey): boolean {
    return (this.state.get("SCTLR_EL1") & pacKeys[key].enable) !== 0n;
  }

  private code(key: PacKey, pointer: bigint, modifier: bigint): bigint {
    const { low, high } = pacKeys[key];
    return qarma5(pointer, modifier, this.state.get(high), this.state.get(low));
  }

  /**
   * The bits of a pointer that are not address or tag (`mask`, with bit 55), those that hold the code, and what they are
   * in a canonical pointer of the upper or lower range.
   */
  private layout(pointer: bigint, upper: 0 | 1, kind: Kind): { code: bigint; mask: bigint; extension: bigint } {
    const mask = this.below(bit(pointer, 55), kind) & this.above(upper);
    return { code: mask & ~BIT55, mask, extension: upper === 1 ? mask : 0n };
  }

  /** The bits below a tag, and those above the address, of a pointer of the upper or lower range. */
  below(upper: 0 | 1, kind: Kind): bigint {
    return this.topByteIgnored(upper, kind) ? ALL >> 8n : ALL;
  }
  above(upper: 0 | 1): bigint {
    return (ALL << this.bottomBit(upper)) & ALL;
  }

  private bottomBit(upper: 0 | 1): bigint {
    const tcr = this.state.get("TCR_EL1");
    const mmfr2 = this.state.get("ID_AA64MMFR2_EL1");
    const large = bit(tcr, upper === 1 ? 30 : 14) === 1 && bit(tcr, upper === 1 ? 31 : 15) === upper;
    const small = ((mmfr2 >> 28n) & 15n) !== 0n;
    const most = MOST_SIZE[!small ? "any" : large ? "small, 64k" : "small"];
    const least = LEAST_SIZE[large && ((mmfr2 >> 16n) & 15n) !== 0n ? "64k with large addresses" : "any"];
    const size = Number((tcr >> (upper === 1 ? 16n : 0n)) & 63n);
    return BigInt(64 - Math.min(most, Math.max(least, size)));
  }

  /** EffectiveTBI: TBI0, TBI1, and for instructions without TBID0, TBID1. */
  private topByteIgnored(upper: 0 | 1, kind: Kind): boolean {
    const tcr = this.state.get("TCR_EL1");
    return bit(tcr, 37 + upper) === 1 && !(kind === "instruction" && bit(tcr, 51 + upper) === 1);
  }

  /** Which range a pointer is of that may be anything: bit 63 says so, bit 55 where either range has tags. */
  private rangeToSign(pointer: bigint, kind: Kind): 0 | 1 {
    return bit(pointer, this.rangeBit(kind));
  }
  rangeBit(kind: Kind): number {
    return this.topByteIgnored(0, kind) || this.topByteIgnored(1, kind) ? 55 : 63;
  }
}
