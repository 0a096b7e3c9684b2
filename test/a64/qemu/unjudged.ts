// What a judge is not asked, where it is wrong, and why. Short, and shorter is better.

import type { Insn } from "../../../lib/model/a64/insn.js";
import { pointerAuth } from "../../../lib/model/a64/insns/pointer-auth.js";
import { decodeA64 } from "../../../lib/model/a64/table.js";
import { type Case, CODE, type Result, registersAgree } from "./case.js";
import type { SystemCase, SystemResult } from "./system-case.js";

/** Rows that user mode cannot judge; the system-mode judge does. */
export const notForUserMode: Readonly<Record<string, string>> = {
  SVC: "would be a system call of the judge",
  ...Object.fromEntries(
    pointerAuth
      .filter(({ needs }) => needs.length > 0)
      .map(({ name }) => [name, "signs with keys that a process can not know"]),
  ),
};

/** QEMU 7.2 aborts when it translates some unallocated words of half-precision two-register miscellaneous. */
export const killsTheJudge = (word: number): boolean => (word & 0x8f7e_0c00) === 0x0e78_0800;

/** QEMU 7.2 executes pairwise and across-lanes operations of half precision whatever sz is; it must be 0 (C7.2, FADDP). And one word more. */
export const wronglyAllocated = (word: number): boolean =>
  [0x5e70_c800, 0x5e70_d800, 0x5e70_f800].includes((word & 0xff7f_fc00) >>> 0) ||
  [0x0e70_c800, 0x0e70_f800].includes((word & 0xbf7f_fc00) >>> 0) ||
  // FMOV (vector, immediate) of doubles has no form of half precision.
  (word & 0xbff8_fc00) === 0x2f00_fc00;

/** What no judge here can show at EL1; test/a64 has unit tests of it. */
export const onlyUnitTests: Readonly<Record<string, string>> = {
  "HVC and SMC at EL1": "QEMU's virt machine answers them itself, as PSCI",
  "WFI at EL1": "would stop QEMU for good",
  "WFE and SEV": "QEMU's WFE is a YIELD",
  "interrupts and SError": "the judges have no device that raises them",
  "stage-2 faults, guest debug": "they go to EL2, which the judges have not got",
  "SP alignment checks": "QEMU 7.2 has none (DDI 0487 D1, 'SP alignment checking')",
  "alignment of Device memory while stage 1 is off": "QEMU 7.2 has none (DDI 0487 B2, 'Alignment support')",
  "AT with stage 1 off": "PAR_EL1 holds attributes that the machines choose",
};

/** Input Denormal: something was flushed. */
const FPSR_IDC = 1 << 7;

interface Disagreement {
  readonly reason: string;
  readonly applies: (row: Insn, ours: Result, theirs: Result) => boolean;
}

/** Where QEMU 7.2 does otherwise than this CPU. `row` is that of the last instruction, or of the one that faulted. */
export const disagreements: readonly Disagreement[] = [
  {
    reason:
      "a store that aborts on its second page may leave memory written before it (DDI 0487 D1: UNKNOWN); ours does not, but for one of several elements",
    applies: (row, ours, theirs) =>
      ours.ending === "abort" &&
      theirs.ending === "abort" &&
      registersAgree(ours, theirs) &&
      (theirs.changes.length > 0 || /^ST[1-4] /.test(row.name)),
  },
  {
    reason:
      "a load of several vectors that aborts leaves its targets UNKNOWN (DDI 0487 D1, 'Definition of a precise exception'); ours keep their values",
    applies: (row, ours, theirs) =>
      /^LD[1-4NP]/.test(row.name) &&
      row.needs.length > 0 &&
      ours.ending === "abort" &&
      registersAgree({ ...ours, v: theirs.v }, theirs),
  },
  {
    reason: "FJCVTZS of a denormal that is flushed is not exact (DDI 0487 J1, FPToFixedJS); QEMU 7.2 sets PSTATE.Z",
    applies: (row, ours, theirs) =>
      row.name === "FJCVTZS" &&
      ours.nzcv === 0n &&
      (ours.v.fpsr & FPSR_IDC) !== 0 &&
      registersAgree({ ...ours, nzcv: theirs.nzcv }, theirs),
  },
  {
    reason:
      "QEMU 7.2 leaves more than 16 bits of a fixed-point number in half precision's FCVTZS (DDI 0487 C7.2, FCVTZS)",
    applies: (row, ours, theirs) =>
      row.name === "FCVTZS (vector, fixed-point) H, scalar" &&
      registersAgree({ ...ours, v: theirs.v }, theirs) &&
      ours.v.fpsr === theirs.v.fpsr &&
      ours.v.words.every((word, n) => [0n, 0xffff_0000n].includes(word ^ theirs.v.words[n]!)),
  },
  {
    reason: "a Store-Exclusive checks its alignment before the monitor (DDI 0487 J1.1 AArch64.ExclusiveMonitorsPass)",
    applies: (row, ours, theirs) => /^STL?X/.test(row.name) && ours.ending === "alignment" && theirs.ending === "done",
  },
  {
    reason: "LDAPR must be aligned without FEAT_LSE2 (DDI 0487 B2, 'Alignment support'); QEMU 7.2 asks it of LDAR only",
    applies: (row, ours, theirs) =>
      row.name.startsWith("LDAPR") && ours.ending === "alignment" && theirs.ending !== "undefined",
  },
  {
    reason:
      "cache maintenance by address translates, and can abort (DDI 0487 D7, 'Cache maintenance instructions'); QEMU does nothing",
    applies: (row, ours, theirs) => row.name === "SYS" && ours.ending === "abort" && theirs.ending === "done",
  },
  {
    reason: "QEMU 7.2's user mode does not know at which instruction of a block DC ZVA aborted",
    applies: (row, ours, theirs) => row.name === "SYS" && ours.ending === "abort" && theirs.ending === "abort",
  },
];

/** The reason, if what happened is known. */
export function knownDisagreement(c: Case, ours: Result, theirs: Result): string | undefined {
  const at = ours.ending === "done" ? c.code.length - 1 : Number(ours.pc - CODE) / 4;
  const row = decodeA64(c.code[at] ?? 0);
  return row && disagreements.find(({ applies }) => applies(row, ours, theirs))?.reason;
}

const ERET = 0xd69f_03e0;

/** ESR_EL1 of an UNDEFINED instruction. */
const UNDEFINED = 0x0200_0000n;

interface SystemDisagreement {
  readonly reason: string;
  readonly applies: (c: SystemCase, ours: SystemResult, theirs: SystemResult) => boolean;
}

/** Where QEMU 7.2 in system mode does otherwise than the Arm ARM says. */
export const systemDisagreements: readonly SystemDisagreement[] = [
  {
    reason: "QEMU 7.2 keeps PSTATE.PAN on an illegal exception return (DDI 0487 J1.1 SetPSTATEFromPSR: from SPSR)",
    applies: (c, ours, theirs) => {
      const withoutPan = (v: bigint) => v & ~(1n << 22n);
      return (
        c.code.includes(ERET) &&
        (ours.spsr & (1n << 20n)) !== 0n &&
        ours.spsr !== theirs.spsr &&
        withoutPan(ours.spsr) === withoutPan(theirs.spsr) &&
        ours.esr === theirs.esr
      );
    },
  },
  {
    reason:
      "QEMU 7.2 swaps op1 and op2 in the syndrome of a trapped MSR DAIFSet or DAIFClr (DDI 0487 D24.2, 'ESR_EL1', EC 0x18)",
    applies: (c, ours, theirs) => {
      const iss = Number(ours.esr & 0x1ff_ffffn);
      const swapped = (iss & ~0xe_c000 & ~(7 << 17)) | (((iss >> 14) & 7) << 17) | (((iss >> 17) & 7) << 14);
      return (
        (c.pstate & 12n) === 0n &&
        ours.esr >> 26n === 0x18n &&
        theirs.esr === (((ours.esr >> 25n) << 25n) | BigInt(swapped))
      );
    },
  },
  {
    reason: "QEMU strips no pointers while SCTLR_EL1 enables no key (DDI 0487 J1.1 Strip does not look)",
    applies: (c, ours, theirs) =>
      (c.sctlr & KEYS_ENABLED) === 0n &&
      c.code.some((word) => decodeA64(word)?.name.startsWith("XPAC")) &&
      ours.esr === theirs.esr,
  },
  {
    reason:
      "KVM lets EL0's accesses to the PMU come to itself, and what PMUSERENR_EL0 forbids is UNDEFINED (kernel source: arch/arm64/kvm/sys_regs.c); QEMU's CPU is no guest of KVM",
    applies: (c, ours, theirs) =>
      (c.pstate & 12n) === 0n && ours.esr === UNDEFINED && theirs.esr >> 26n === 0x18n && isPmuAccess(theirs.esr),
  },
];

const KEYS_ENABLED = (1n << 31n) | (1n << 30n) | (1n << 27n) | (1n << 13n);

/** ISS of a trapped access to a PMU register of EL0: op0 3, op1 3, CRn 9 with CRm 12 to 14, or CRn 14 with CRm 8 to 15. */
function isPmuAccess(esr: bigint): boolean {
  const iss = Number(esr & 0x1ff_ffffn);
  const [op0, op1, crn, crm] = [(iss >> 20) & 3, (iss >> 14) & 7, (iss >> 10) & 15, (iss >> 1) & 15];
  return op0 === 3 && op1 === 3 && ((crn === 9 && crm >= 12) || (crn === 14 && crm >= 8));
}

export function systemDisagreement(c: SystemCase, ours: SystemResult, theirs: SystemResult): string | undefined {
  return systemDisagreements.find(({ applies }) => applies(c, ours, theirs))?.reason;
}
