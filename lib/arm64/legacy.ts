// Register ids of 32-bit ARM hosts. An arm64 kernel refuses each of them with EINVAL; they are here to be built, named
// and recognised in what older VMMs saved. Documentation/virt/kvm/api.rst 4.68, "ARM registers".

import type { Checked } from "./argument.js";
import { indexArgument, nameArgument } from "./argument.js";
import type { RegId } from "./reg-id.js";
import { ARCH_ARM, makeId, Space } from "./reg-id.js";

/** The words of the 32-bit struct kvm_regs, in order. */
export const armCoreNames = [
  ...["r0", "r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11", "r12"],
  ...["sp", "lr", "pc", "cpsr", "orig_r0"],
  ...["sp_svc", "lr_svc", "spsr_svc", "sp_abt", "lr_abt", "spsr_abt"],
  ...["sp_und", "lr_und", "spsr_und", "sp_irq", "lr_irq", "spsr_irq"],
  ...["r8_fiq", "r9_fiq", "r10_fiq", "r11_fiq", "r12_fiq", "sp_fiq", "lr_fiq", "spsr_fiq"],
] as const;

/** VFP control registers, by their number. */
export const armVfpNames = {
  FPSID: 0x1000,
  FPSCR: 0x1001,
  MVFR1: 0x1006,
  MVFR0: 0x1007,
  FPEXC: 0x1008,
  FPINST: 0x1009,
  FPINST2: 0x100a,
} as const;

export const legacy = {
  /** A word of the 32-bit struct kvm_regs. */
  core<const N extends number>(word: Checked<N, 38>): RegId<32> {
    return makeId(ARCH_ARM, 32, Space.armCore, indexArgument("legacy.core", "word", word, 38));
  },
  /** MRC p15, opc1, <Rt>, crn, crm, opc2. */
  cp15_32<const A extends number, const B extends number, const C extends number, const D extends number>(
    crn: Checked<A, 16>,
    crm: Checked<B, 16>,
    opc1: Checked<C, 8>,
    opc2: Checked<D, 8>,
  ): RegId<32> {
    const at = (argument: string, value: number, count: number) =>
      indexArgument("legacy.cp15_32", argument, value, count);
    const index =
      (at("crn", crn, 16) << 11) | (at("crm", crm, 16) << 7) | (at("opc1", opc1, 8) << 3) | at("opc2", opc2, 8);
    return makeId(ARCH_ARM, 32, Space.armCp15, index);
  },
  /** MRRC p15, opc1, <Rt>, <Rt2>, crm. */
  cp15_64<const A extends number, const B extends number>(crm: Checked<A, 16>, opc1: Checked<B, 16>): RegId<64> {
    const index =
      (indexArgument("legacy.cp15_64", "crm", crm, 16) << 7) | (indexArgument("legacy.cp15_64", "opc1", opc1, 16) << 3);
    return makeId(ARCH_ARM, 64, Space.armCp15, index);
  },
  /** D0 to D31. */
  vfpD<const N extends number>(n: Checked<N, 32>): RegId<64> {
    return makeId(ARCH_ARM, 64, Space.armVfp, indexArgument("legacy.vfpD", "n", n, 32));
  },
  /** A VFP control register by name. */
  vfp(name: keyof typeof armVfpNames): RegId<32> {
    const names = Object.keys(armVfpNames) as (keyof typeof armVfpNames)[];
    const number = armVfpNames[nameArgument("legacy.vfp", "name", name, names)];
    return makeId(ARCH_ARM, 32, Space.armVfp, number);
  },
  /** CCSIDR as seen with this value in CSSELR. */
  demux<const N extends number>(csselr: Checked<N, 14>): RegId<32> {
    return makeId(ARCH_ARM, 32, Space.demux, indexArgument("legacy.demux", "csselr", csselr, 14));
  },
  /** A firmware pseudo-register, by the number that it has on arm64 too. */
  firmware(number: number): RegId<64> {
    return makeId(ARCH_ARM, 64, Space.firmware, indexArgument("legacy.firmware", "number", number, 65536));
  },
} as const;
