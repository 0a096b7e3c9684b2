// Compiled, never run: what must compile, and what must not.

import type { IdFieldName, RegId, RegValue, SysRegName } from "../../lib/arm64/index.js";
import {
  ccsidr,
  decode,
  encode,
  encodeEsr,
  encodeFirmwareBitmap,
  fpcr,
  fpsr,
  is,
  legacy,
  packVcpuFeatures,
  regId,
  sp,
  spsr,
  sve,
  sysReg,
  sysRegEncoding,
  v,
  x,
} from "../../lib/arm64/index.js";
import type { FeatureSelection } from "../../lib/index.js";

declare function getReg<B extends 8 | 16 | 32 | 64 | 128 | 256 | 512 | 1024 | 2048>(id: RegId<B>): RegValue<B>;
declare function setReg<B extends 8 | 16 | 32 | 64 | 128 | 256 | 512 | 1024 | 2048>(
  id: RegId<B>,
  value: RegValue<B>,
): void;
declare const count: number;

// The width of a register decides the type of its value.
export const general: bigint = getReg(x(0));
export const status: number = getReg(fpsr);
export const vector: Uint8Array = getReg(v(3));
export const scalable: Uint8Array = getReg(sve.z(3));
export const lengths: Uint8Array = getReg(sve.vls);
export const unknownWidth: number | bigint | Uint8Array = getReg(regId(0x6030_0000_0010_0000n));
export const system: bigint = getReg(sysReg("SCTLR_EL1"));
setReg(sp, 0n);
setReg(fpcr, 0);
// @ts-expect-error: 64 bits are a bigint
setReg(sp, 0);
// @ts-expect-error: 32 bits are a number
setReg(fpcr, 0n);
// @ts-expect-error: 128 bits are bytes
setReg(v(0), 0n);
// @ts-expect-error: a bigint is not a register id
getReg(0x6030_0000_0010_0000n);
// @ts-expect-error: one width is not another
export const narrow: RegId<32> = x(0);

const some = regId(0x6030_0000_0010_0000n);
if (is(some, 64)) setReg(some, 0n);
export const sized: RegId<64> = regId(0x6030_0000_0010_0000n, 64);

// Literal indexes are checked when compiling, numbers when running.
x(30);
x(count);
// @ts-expect-error: X31 is no register
x(31);
// @ts-expect-error: neither is X-1
x(-1);
// @ts-expect-error: nor X0.5
x(0.5);
v(31);
// @ts-expect-error: V32 is no register
v(32);
spsr(4);
spsr("irq");
// @ts-expect-error: there are five
spsr(5);
// @ts-expect-error: not an AArch32 mode with an SPSR
spsr("usr");
ccsidr(13);
// @ts-expect-error: seven levels, two kinds
ccsidr(14);
sve.z(31, 31);
sve.p(15);
// @ts-expect-error: Z32 is no register
sve.z(32);
// @ts-expect-error: 32 slices
sve.p(0, 32);
// @ts-expect-error: 32 slices
sve.ffr(32);
sysRegEncoding(3, 7, 15, 15, 7);
// @ts-expect-error: two bits
sysRegEncoding(4, 0, 0, 0, 0);
// @ts-expect-error: three bits
sysRegEncoding(3, 0, 0, 0, 8);
legacy.core(37);
// @ts-expect-error: 38 words
legacy.core(38);
// @ts-expect-error: no such control register
legacy.vfp("FPCR");

// System registers go by name.
sysReg("DBGBVR15_EL1");
sysReg("PMEVCNTR30_EL0");
sysReg("SPSR_EL1");
// @ts-expect-error: no such register
sysReg("SCTLR_EL9");
// @ts-expect-error: sixteen breakpoints
sysReg("DBGBVR16_EL1");
// @ts-expect-error: 31 event counters
sysReg("PMEVCNTR31_EL0");
// @ts-expect-error: 32 bits wide: use fpcr
sysReg("FPCR");
export const name: SysRegName = "S3_0_C0_C3_3";

// Fields go by name too.
export const mmu: number = decode("SCTLR_EL1", 0n).fields.M;
export const base: bigint = decode("TTBR0_EL1", 0n).fields.BADDR;
export const rounding: number = decode("FPCR", 0).fields.RMode;
export const attributes: number = decode("DBGBCR7_EL1", 0n).fields.BAS;
encode("ID_AA64PFR0_EL1", { EL0: 1, CSV3: 0 }, 0n) satisfies bigint;
encode("FPSR", { QC: 1 }) satisfies number;
// @ts-expect-error: no such field
encode("SCTLR_EL1", { MMU: 1 });
// @ts-expect-error: of more than 32 bits
encode("TTBR0_EL1", { BADDR: 0 });
// @ts-expect-error: a register without named fields
decode("TPIDR_EL1", 0n);
// @ts-expect-error: 64 bits are a bigint
decode("SCTLR_EL1", 0);

encodeEsr("DABT_CUR", { WnR: 1, DFSC: 7 });
// @ts-expect-error: an instruction abort writes nothing
encodeEsr("IABT_CUR", { WnR: 1 });
// @ts-expect-error: no such exception class
encodeEsr("DABT");

packVcpuFeatures(["psci-0.2", "sve"]);
// @ts-expect-error: no such feature
packVcpuFeatures(["psci"]);
encodeFirmwareBitmap("vendorHyp", ["ptp"]);
// @ts-expect-error: a service of another register
encodeFirmwareBitmap("std", ["ptp"]);

const selection: FeatureSelection = { "ID_AA64ISAR0_EL1.RNDR": 0, "CTR_EL0.DIC": 0, "MVFR1_EL1.FPHP": 0 };
export const selectable: IdFieldName = "ID_AA64PFR0_EL1.SVE";
export const selected: number | undefined = selection["ID_AA64ISAR0_EL1.RNDR"];
// @ts-expect-error: no such field
export const noField: FeatureSelection = { "ID_AA64ISAR0_EL1.RNG": 0 };
// @ts-expect-error: not an ID register
export const noIdRegister: FeatureSelection = { "SCTLR_EL1.M": 0 };
// @ts-expect-error: fields of ID registers are numbers
export const noNumber: FeatureSelection = { "ID_AA64ISAR0_EL1.RNDR": 0n };
