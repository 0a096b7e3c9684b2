// What a generator of ops knows while it writes a sequence: a light picture of what it asked for, whether or not the
// kernel gave it.

import type { Kernel } from "../../../lib/arm64/sysreg-row.js";
import type { Op, Value } from "../op.js";
import type { Random } from "../random.js";

/** What the sequences are made for. */
export interface HostFacts {
  readonly kernel: Kernel;
  /** Bits of features[0] that KVM_ARM_VCPU_INIT accepts. */
  readonly features: number;
  /** KVM_GET_REG_LIST, of all vCPUs that this host can make. */
  readonly registers: readonly bigint[];
  /** Device types that can be made. */
  readonly devices: readonly number[];
  readonly mte: boolean;
  readonly ipaBits: number;
}

export interface CpuPlan {
  readonly name: string;
  readonly id: number;
}

export type DeviceKind = "v2" | "v3" | "its" | "other";

export interface DevicePlan {
  readonly name: string;
  readonly kind: DeviceKind;
}

export interface MapPlan {
  readonly name: string;
  readonly bytes: number;
}

export interface SlotPlan {
  readonly slot: number;
  readonly flags: number;
  readonly at: bigint;
  readonly bytes: bigint;
  readonly map: MapPlan;
  readonly offset: bigint;
}

export interface VmPlan {
  readonly name: string;
  readonly features: number;
  readonly cpus: CpuPlan[];
  readonly devices: DevicePlan[];
  readonly maps: MapPlan[];
  readonly slots: SlotPlan[];
  readonly memfds: string[];
  /** It has a GICv3 that was made as it should be. */
  gicIsWhole: boolean;
  /** Its vCPUs have group 1 enabled, for good: so they may enable group 0, see `groupsOf` in interrupts.ts. */
  hasGroup1: boolean;
  /** Its vCPUs may be stopped anywhere by userspace: they make no calls whose results nobody can foretell. */
  readonly isDebugged: boolean;
  /** Bytes of the dirty rings, where they were asked for. */
  ringBytes: number;
}

export class Maker {
  readonly ops: Op[] = [];
  readonly vms: VmPlan[] = [];
  readonly eventfds: string[] = [];
  readonly random: Random;
  readonly facts: HostFacts;
  #names = 0;

  constructor(random: Random, facts: HostFacts) {
    this.random = random;
    this.facts = facts;
  }

  emit(verb: string, on: string, ...args: Value[]): void {
    this.ops.push({ verb, on, args });
  }

  /** An op that makes an object, whose name it gives. */
  make(kind: string, verb: string, on: string, ...args: Value[]): string {
    const makes = `${kind}${this.#names++}`;
    this.ops.push({ verb, on, args, makes });
    return makes;
  }

  get vm(): VmPlan {
    return this.random.pick(this.vms);
  }

  /** Usually what is right; otherwise something near it. */
  near(right: number, alternatives: readonly number[] = []): number {
    const { random } = this;
    if (!random.once(6)) return right >>> 0;
    if (alternatives.length > 0 && !random.once(3)) return random.pick(alternatives) >>> 0;
    const wrong = [
      right + 1,
      right - 1,
      0,
      1,
      0xffff_ffff,
      0x8000_0000,
      right ^ (1 << random.below(32)),
      random.word(),
    ];
    return random.pick(wrong) >>> 0;
  }

  near64(right: bigint, alternatives: readonly bigint[] = []): bigint {
    const { random } = this;
    if (!random.once(6)) return BigInt.asUintN(64, right);
    if (alternatives.length > 0 && !random.once(3)) return BigInt.asUintN(64, random.pick(alternatives));
    const wrong = [right + 1n, right - 1n, 0n, right ^ (1n << BigInt(random.below(64))), random.value64()];
    return BigInt.asUintN(64, random.pick(wrong));
  }

  /** A structure, now and then with a byte of it changed. */
  nearBytes(bytes: Uint8Array): Uint8Array {
    const { random } = this;
    if (!random.once(12)) return bytes;
    const copy = bytes.slice();
    copy[random.below(copy.length)] = random.pick([0, 1, 0xff, random.below(256)]);
    return copy;
  }
}
