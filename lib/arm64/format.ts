// Register ids as text, and back.
//
// Each id that the architecture and size fields allow has one text, and parseRegId(formatRegId(id)) === id. A register
// that is asked for in another size than its own is its name and the size: "SCTLR_EL1 u32".

import { shown } from "./argument.js";
import { armCoreNames, armVfpNames } from "./legacy.js";
import type { RegBits, RegId } from "./reg-id.js";
import { ARCH_ARM, ARCH_ARM64, bitsOf, CoreWord, makeId, regId, Space } from "./reg-id.js";
import type { Encoding } from "./sysreg-row.js";
import { sysRegByAnyCase, sysRegById, sysRegId, unpackEncoding } from "./sysregs.js";

const MAX_CCSIDR = 14;

/** In order of their numbers; the kernel's names after KVM_REG_ARM_. */
const firmwareNames = ["PSCI_VERSION", "SMCCC_ARCH_WORKAROUND_1", "SMCCC_ARCH_WORKAROUND_2", "SMCCC_ARCH_WORKAROUND_3"];
const bitmapNames = ["STD_BMAP", "STD_HYP_BMAP", "VENDOR_HYP_BMAP", "VENDOR_HYP_BMAP_2"];

/** A register as its space knows it: what it is called and how wide it is. */
interface Known {
  readonly name: string;
  readonly bits: RegBits;
}

interface SpaceText {
  readonly space: number;
  /** What unknown indexes are called. */
  readonly word: string;
  name(index: number, bits: RegBits): Known | undefined;
}

const coreSingles: readonly (Known & { readonly index: number })[] = Object.entries(CoreWord)
  .filter(([name]) => name !== "x0" && name !== "v0")
  .map(([name, index]) => ({ name, index, bits: name.startsWith("FP") ? 32 : 64 }));

function coreName(index: number): Known | undefined {
  if (index < CoreWord.sp) return index % 2 === 0 ? { name: `x${index / 2}`, bits: 64 } : undefined;
  const vector = index - CoreWord.v0;
  if (vector >= 0 && index < CoreWord.FPSR) return vector % 4 === 0 ? { name: `v${vector / 4}`, bits: 128 } : undefined;
  return coreSingles.find((one) => one.index === index);
}

function sveName(index: number): Known | undefined {
  const slice = `slice ${index & 31}`;
  if (index < 0x400) return { name: `z${index >> 5} ${slice}`, bits: 2048 };
  if (index < 0x600) return { name: `p${(index >> 5) & 15} ${slice}`, bits: 256 };
  if (index < 0x620) return { name: `ffr ${slice}`, bits: 256 };
  return index === 0xffff ? { name: "sve vls", bits: 512 } : undefined;
}

function sysRegName(index: number): Known {
  const reg = sysRegById(makeId(ARCH_ARM64, 64, Space.sysReg, index));
  return { name: reg?.name ?? formatEncoding(unpackEncoding(index)), bits: 64 };
}

function numbered(names: readonly string[], prefix: string) {
  return (index: number): Known | undefined =>
    names[index] === undefined ? undefined : { name: `${prefix} ${names[index]}`, bits: 64 };
}

const ccsidrName = (index: number): Known | undefined =>
  index < MAX_CCSIDR ? { name: `CCSIDR ${index}`, bits: 32 } : undefined;

const arm64Spaces: readonly SpaceText[] = [
  { space: Space.arm64Core, word: "core", name: coreName },
  { space: Space.demux, word: "demux", name: ccsidrName },
  { space: Space.sysReg, word: "sysreg", name: sysRegName },
  { space: Space.firmware, word: "firmware", name: numbered(firmwareNames, "firmware") },
  { space: Space.sve, word: "sve", name: sveName },
  { space: Space.firmwareFeatures, word: "firmware-features", name: numbered(bitmapNames, "firmware") },
];

function cp15Name(index: number, bits: RegBits): Known | undefined {
  if (index >= 0x8000) return undefined;
  const [crn, crm, opc1, opc2] = [index >> 11, (index >> 7) & 15, (index >> 3) & 15, index & 7];
  if (bits === 64) return crn === 0 && opc2 === 0 ? { name: `p15 ${opc1},c${crm}`, bits } : undefined;
  return { name: `p15 ${opc1},c${crn},c${crm},${opc2}`, bits: 32 };
}

function vfpName(index: number): Known | undefined {
  if (index < 32) return { name: `d${index}`, bits: 64 };
  const name = Object.entries(armVfpNames).find(([, number]) => number === index)?.[0];
  return name === undefined ? undefined : { name, bits: 32 };
}

const armSpaces: readonly SpaceText[] = [
  {
    space: Space.armCore,
    word: "core",
    name: (index) => (armCoreNames[index] === undefined ? undefined : { name: armCoreNames[index], bits: 32 }),
  },
  { space: Space.armCp15, word: "cp15", name: cp15Name },
  { space: Space.armVfp, word: "vfp", name: vfpName },
  { space: Space.demux, word: "demux", name: ccsidrName },
  { space: Space.firmware, word: "firmware", name: numbered(firmwareNames, "firmware") },
];

/** "S3_0_C1_C0_7", as the Arm ARM and assemblers spell a register without a name. */
export function formatEncoding([op0, op1, crn, crm, op2]: Encoding): string {
  return `S${op0}_${op1}_C${crn}_C${crm}_${op2}`;
}

/** A register id in words. An id of no known architecture stays a number. */
export function formatRegId(id: bigint): string {
  if (typeof id !== "bigint") throw new TypeError(`formatRegId: id must be a bigint, got ${shown(id)}`);
  const arch = Number(id >> 56n);
  const size = Number(id >> 52n) & 0xf;
  const spaces = arch === ARCH_ARM64 ? arm64Spaces : arch === ARCH_ARM ? armSpaces : undefined;
  if (spaces === undefined || size > 8 || (id & 0x000f_ffff_f000_0000n) !== 0n) return `0x${id.toString(16)}`;
  const bits = bitsOf(id as RegId);
  const index = Number(id & 0xffffn);
  const space = Number(id >> 16n) & 0xfff;
  const text = spaces.find((one) => one.space === space);
  const known = text?.name(index, bits);
  const prefix = arch === ARCH_ARM ? "arm " : "";
  if (known !== undefined) return `${prefix}${known.name}${known.bits === bits ? "" : ` u${bits}`}`;
  return `${prefix}${text?.word ?? `space 0x${space.toString(16)}`} 0x${index.toString(16)} u${bits}`;
}

/** A number in a text: decimal or hexadecimal, below `count`; otherwise NaN. */
function numberBelow(text: string | undefined, count: number): number {
  const n = text !== undefined && /^(\d+|0x[\da-f]+)$/.test(text) ? Number(text) : Number.NaN;
  return n < count ? n : Number.NaN;
}

/** Numbers put side by side: NaN if one of them is. */
function packed(...parts: readonly (readonly [text: string | undefined, count: number, shift: number])[]): number {
  return parts.reduce((sum, [text, count, shift]) => sum + numberBelow(text, count) * 2 ** shift, 0);
}

/** The place of a name, in any case; otherwise NaN. */
function placed(names: readonly string[], name: string | undefined): number {
  const place = names.findIndex((one) => one.toLowerCase() === name);
  return place < 0 ? Number.NaN : place;
}

/** An id, unless a number in it is none. */
function at(arch: number, bits: RegBits, space: number, index: number): bigint | undefined {
  return Number.isNaN(space) || Number.isNaN(index) ? undefined : makeId(arch, bits, space, index);
}

type Rule = readonly [pattern: RegExp, id: (...groups: (string | undefined)[]) => bigint | undefined];

/** "space 0x17 0x1", "sysreg 0xc080": by number. The size comes behind. */
function numberRules(arch: number, spaces: readonly SpaceText[]): Rule[] {
  return [
    [
      /^space (0x[\da-f]+) (0x[\da-f]+)$/,
      (space, n) => at(arch, 8, numberBelow(space, 0x1000), numberBelow(n, 0x10000)),
    ],
    [
      /^([a-z][a-z\d-]*) (0x[\da-f]+)$/,
      (word, n) => at(arch, 8, spaces.find((one) => one.word === word)?.space ?? Number.NaN, numberBelow(n, 0x10000)),
    ],
  ];
}

function commonRules(arch: number): Rule[] {
  return [
    [/^ccsidr (\d+)$/, (n) => at(arch, 32, Space.demux, numberBelow(n, MAX_CCSIDR))],
    [/^firmware ([a-z]\w*)$/, (name) => at(arch, 64, Space.firmware, placed(firmwareNames, name))],
  ];
}

const armRules: readonly Rule[] = [
  ...commonRules(ARCH_ARM),
  [
    /^p15 (\d+),c(\d+),c(\d+),(\d+)$/,
    (opc1, crn, crm, opc2) =>
      at(ARCH_ARM, 32, Space.armCp15, packed([crn, 16, 11], [crm, 16, 7], [opc1, 16, 3], [opc2, 8, 0])),
  ],
  [/^p15 (\d+),c(\d+)$/, (opc1, crm) => at(ARCH_ARM, 64, Space.armCp15, packed([crm, 16, 7], [opc1, 16, 3]))],
  [/^d(\d+)$/, (n) => at(ARCH_ARM, 64, Space.armVfp, numberBelow(n, 32))],
  [
    /^([a-z]\w*)$/,
    (name) => {
      const vfp = Object.entries(armVfpNames).find(([one]) => one.toLowerCase() === name)?.[1];
      return at(ARCH_ARM, 32, vfp ? Space.armVfp : Space.armCore, vfp ?? placed(armCoreNames, name));
    },
  ],
];

/** The kernel's own names for the timer ids: KVM_REG_ARM_TIMER_CNT is the count, whatever its encoding says. */
const timerNames: ReadonlyMap<string, string> = new Map([
  ["timer_ctl", "CNTV_CTL_EL0"],
  ["timer_cnt", "CNTVCT_EL0"],
  ["timer_cval", "CNTV_CVAL_EL0"],
  ["ptimer_ctl", "CNTP_CTL_EL0"],
  ["ptimer_cnt", "CNTPCT_EL0"],
  ["ptimer_cval", "CNTP_CVAL_EL0"],
]);

function arm64Named(name = ""): bigint | undefined {
  const single = coreSingles.find((one) => one.name.toLowerCase() === name);
  if (single !== undefined) return makeId(ARCH_ARM64, single.bits, Space.arm64Core, single.index);
  const reg = sysRegByAnyCase(timerNames.get(name) ?? name);
  return reg === undefined ? undefined : sysRegId(reg);
}

function sveAt(bits: RegBits, base: number, n: string | undefined, count: number, slice: string | undefined) {
  return at(ARCH_ARM64, bits, Space.sve, base + packed([n, count, 5], [slice ?? "0", 32, 0]));
}

const arm64Rules: readonly Rule[] = [
  ...commonRules(ARCH_ARM64),
  [/^firmware ([a-z]\w*)$/, (name) => at(ARCH_ARM64, 64, Space.firmwareFeatures, placed(bitmapNames, name))],
  [/^x(\d+)$/, (n) => at(ARCH_ARM64, 64, Space.arm64Core, CoreWord.x0 + packed([n, 31, 1]))],
  [/^v(\d+)$/, (n) => at(ARCH_ARM64, 128, Space.arm64Core, CoreWord.v0 + packed([n, 32, 2]))],
  [/^z(\d+)(?: slice (\d+))?$/, (n, slice) => sveAt(2048, 0, n, 32, slice)],
  [/^p(\d+)(?: slice (\d+))?$/, (n, slice) => sveAt(256, 0x400, n, 16, slice)],
  [/^ffr(?: slice (\d+))?$/, (slice) => sveAt(256, 0x600, "0", 1, slice)],
  [/^sve vls$/, () => makeId(ARCH_ARM64, 512, Space.sve, 0xffff)],
  [
    /^s(\d)_(\d)_c(\d+)_c(\d+)_(\d)$/,
    (op0, op1, crn, crm, op2) =>
      at(ARCH_ARM64, 64, Space.sysReg, packed([op0, 4, 14], [op1, 8, 11], [crn, 16, 7], [crm, 16, 3], [op2, 8, 0])),
  ],
  [/^([a-z]\w*)$/, arm64Named],
];

const sizes: Readonly<Record<string, bigint>> = Object.fromEntries(
  [8, 16, 32, 64, 128, 256, 512, 1024, 2048].map((bits, size) => [`u${bits}`, BigInt(size)]),
);

function byRules(text: string, rules: readonly Rule[]): bigint | undefined {
  for (const [pattern, id] of rules) {
    const match = pattern.exec(text);
    const found = match === null ? undefined : id(...match.slice(1));
    if (found !== undefined) return found;
  }
  return undefined;
}

function parsed(text: string): bigint | undefined {
  if (/^(0x[\da-f]+|\d+)$/.test(text)) return BigInt(text);
  const [, arm, name, size] = /^(arm )?(.*?)(?: (u\d+))?$/.exec(text) ?? [];
  const [arch, rules, spaces] =
    arm === undefined ? ([ARCH_ARM64, arm64Rules, arm64Spaces] as const) : ([ARCH_ARM, armRules, armSpaces] as const);
  const id = byRules(name ?? "", size === undefined ? rules : [...rules, ...numberRules(arch, spaces)]);
  if (id === undefined || size === undefined) return id;
  const code = sizes[size];
  return code === undefined ? undefined : (id & ~(0xfn << 52n)) | (code << 52n);
}

/**
 * The id that a text names: what `formatRegId` gives, in any case of letters, or a number. `z3` is slice 0 of Z3. The
 * kernel's names of the timer ids (TIMER_CNT, PTIMER_CVAL, …) are understood too.
 */
export function parseRegId(text: string): RegId {
  if (typeof text !== "string") throw new TypeError(`parseRegId: text must be a string, got ${shown(text)}`);
  const id = parsed(text.trim().toLowerCase().replace(/\s+/g, " "));
  if (id === undefined) throw new RangeError(`parseRegId: text ${JSON.stringify(text)} names no register`);
  return regId(id);
}
