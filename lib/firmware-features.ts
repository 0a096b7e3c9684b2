// The firmware feature bitmaps, found through the register list since no capability announces them.
// Documentation/virt/kvm/arm/fw-pseudo-registers.rst, "Bitmap Feature Firmware Registers".
import { firmwareBitmapById } from "./arm64/firmware-features.js";
import type { RegId } from "./arm64/reg-id.js";
import { KvmError } from "./errors.js";

/** The part of a vCPU that is needed here. */
interface Registers {
  regList(): RegId[];
  getReg(id: RegId<64>): bigint;
  setReg(id: RegId<64>, value: bigint): void;
}

/** A service of a bitmap register. */
export interface FirmwareFeature {
  /** "trng-v1.0"; "bit N" for one that this library does not know. */
  readonly name: string;
  readonly bit: number;
  readonly enabled: boolean;
}

/** One bitmap register. */
export interface FirmwareFeatureRegister {
  /** "std", "stdHyp", "vendorHyp", "vendorHyp2"; "bitmap N" for one that this library does not know. */
  readonly name: string;
  readonly id: RegId<64>;
  /** What the guest is offered now. */
  readonly current: bigint;
  /** What this kernel could offer. */
  readonly maximum: bigint;
  /** Every service of `maximum`. */
  readonly services: readonly FirmwareFeature[];
  /**
   * Offers exactly these services, by name or as a bitmap, to every vCPU of the VM.
   * EINVAL: the kernel lacks one. EBUSY: a vCPU has run.
   */
  set(services: bigint | readonly string[]): void;
}

const BITMAP_SPACE = 0x6030_0000_0016_0000n;

/**
 * The bits that the kernel would accept. It refuses a bit that it lacks with EINVAL before it looks at anything else,
 * and a change after the first run with EBUSY: asking bit by bit tells them apart and leaves the value as it was.
 */
function probeMaximum(vcpu: Registers, id: RegId<64>, current: bigint): bigint {
  let maximum = current;
  let changed = false;
  for (let bit = 0n; bit < 64n; bit++) {
    if ((current >> bit) & 1n) continue;
    try {
      vcpu.setReg(id, current | (1n << bit));
      changed = true;
      maximum |= 1n << bit;
    } catch (error) {
      if (!(error instanceof KvmError)) throw error;
      if (error.code === "EBUSY") maximum |= 1n << bit;
      else if (error.code !== "EINVAL") throw error;
    }
  }
  if (changed) vcpu.setReg(id, current);
  return maximum;
}

/** Every bitmap register that the vCPU lists. */
export function readFirmwareFeatures(vcpu: Registers): FirmwareFeatureRegister[] {
  const ids = vcpu.regList().filter((id) => (id & ~0xffffn) === BITMAP_SPACE) as RegId<64>[];
  return ids.map((id) => {
    const known = firmwareBitmapById(id);
    const current = vcpu.getReg(id);
    const maximum = probeMaximum(vcpu, id, current);
    const nameOf = (bit: number) => known?.services[bit] ?? `bit ${bit}`;
    const name = known?.name ?? `bitmap ${id & 0xffffn}`;
    const services: FirmwareFeature[] = [];
    for (let bit = 0; bit < 64; bit++) {
      if ((maximum >> BigInt(bit)) & 1n) {
        services.push({ name: nameOf(bit), bit, enabled: ((current >> BigInt(bit)) & 1n) !== 0n });
      }
    }
    return {
      name,
      id,
      current,
      maximum,
      services,
      set(wanted) {
        if (typeof wanted === "bigint") return vcpu.setReg(id, wanted);
        if (!Array.isArray(wanted)) throw new TypeError("services must be a bigint or an array of names");
        let value = 0n;
        for (const wantedName of wanted) {
          const service = services.find((s) => s.name === wantedName);
          if (!service) {
            throw new TypeError(
              `${name} has no service ${wantedName}; it has ${services.map((s) => s.name).join(", ")}`,
            );
          }
          value |= 1n << BigInt(service.bit);
        }
        vcpu.setReg(id, value);
      },
    };
  });
}
