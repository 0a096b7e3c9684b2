// Exception generation, hints, barriers, PSTATE, system instructions and system register moves.
// DDI 0487 C4.1, "Branches, Exception Generating and System instructions".

import { insn, type Semantics, todo } from "../insn.js";
import type { Machine, PstateField } from "../machine.js";

// biome-ignore format: table
export const system = [
  // Exception generation
  insn("SVC",        "11010100 000 imm16:16 00001",                       (m, { imm16 }) => m.svc(imm16)),
  insn("HVC",        "11010100 000 imm16:16 00010",                       (m, { imm16 }) => m.hvc(imm16)),
  insn("SMC",        "11010100 000 imm16:16 00011",                       (m, { imm16 }) => m.smc(imm16)),
  insn("BRK",        "11010100 001 imm16:16 00000",                       (m, { imm16 }) => m.brk(imm16)),
  insn("HLT",        "11010100 010 imm16:16 00000",                       (m, { imm16 }) => m.hlt(imm16)),
  todo("TCANCEL",    "11010100 011 imm16:16 00000",                       "TME"),
  insn("DCPS",       "11010100 101 imm16:16 000 ll:2",                    (m) => m.undefined()),
  insn("UDF",        "0000000000000000 imm16:16",                         (m) => m.undefined()),

  // System instructions with register argument
  todo("WFET",       "11010101000000110001 0000 000 rd:5",                "WFxT"),
  todo("WFIT",       "11010101000000110001 0000 001 rd:5",                "WFxT"),

  // Hints. What is not allocated here is a NOP, and so is BTI where it is the target of no branch.
  insn("HINT",       "11010101000000110010 crm:4 op2:3 11111",            () => {}),
  insn("YIELD",      "11010101000000110010 0000 001 11111",               () => {}),
  insn("WFE",        "11010101000000110010 0000 010 11111",               (m) => m.waitForEvent()),
  insn("WFI",        "11010101000000110010 0000 011 11111",               (m) => m.waitForInterrupt()),
  insn("SEV",        "11010101000000110010 0000 100 11111",               (m) => m.sendEvent()),
  insn("SEVL",       "11010101000000110010 0000 101 11111",               (m) => m.sendEventLocal()),
  insn("ESB",        "11010101000000110010 0010 000 11111",               (m) => m.errorSynchronization()),

  insn("BTI",        "11010101000000110010 0100 jc:2 0 11111",            () => {}),

  // Barriers
  insn("CLREX",      "11010101000000110011 crm:4 010 11111",              (m) => m.clearExclusive()),
  insn("DSB",        "11010101000000110011 crm:4 100 11111",              (m) => m.barrier("DSB")),
  todo("DSB nXS",    "11010101000000110011 imm2:2 10 001 11111",          "XS"),
  insn("DMB",        "11010101000000110011 crm:4 101 11111",              (m) => m.barrier("DMB")),
  insn("ISB",        "11010101000000110011 crm:4 110 11111",              (m) => m.barrier("ISB")),
  insn("SB",         "11010101000000110011 0000 111 11111",               (m) => m.barrier("SB"), "SB"),
  todo("TCOMMIT",    "11010101000000110011 0000 011 11111",               "TME"),

  // PSTATE
  insn("CFINV",      "1101010100000 000 0100 0000 000 11111",             cfinv, "FlagM"),
  insn("XAFLAG",     "1101010100000 000 0100 0000 001 11111",             xaflag, "FlagM2"),
  insn("AXFLAG",     "1101010100000 000 0100 0000 010 11111",             axflag, "FlagM2"),
  insn("MSR UAO",    "1101010100000 000 0100 imm4:4 011 11111",           pstate("UAO"), "UAO"),
  insn("MSR PAN",    "1101010100000 000 0100 imm4:4 100 11111",           pstate("PAN"), "PAN"),
  insn("MSR SPSel",  "1101010100000 000 0100 imm4:4 101 11111",           pstate("SPSel")),
  insn("MSR SSBS",   "1101010100000 011 0100 imm4:4 001 11111",           pstate("SSBS"), "SSBS2"),
  insn("MSR DIT",    "1101010100000 011 0100 imm4:4 010 11111",           pstate("DIT"), "DIT"),
  insn("MSR TCO",    "1101010100000 011 0100 imm4:4 100 11111",           pstate("TCO"), "MTE"),
  insn("MSR DAIFSet", "1101010100000 011 0100 imm4:4 110 11111",          pstate("DAIFSet")),
  insn("MSR DAIFClr", "1101010100000 011 0100 imm4:4 111 11111",          pstate("DAIFClr")),
  todo("MSR SVCR",   "1101010100000 011 0100 0 mask:2 imm1 011 11111",    "SME"),

  // System instructions and register moves
  insn("SYS",        "1101010100 0 01 op1:3 crn:4 crm:4 op2:3 rt:5",      sys),
  insn("SYSL",       "1101010100 1 01 op1:3 crn:4 crm:4 op2:3 rt:5",      sysl),
  insn("MSR",        "1101010100 0 1 o0 op1:3 crn:4 crm:4 op2:3 rt:5",    msr),
  insn("MRS",        "1101010100 1 1 o0 op1:3 crn:4 crm:4 op2:3 rt:5",    mrs),
  todo("SYSP",       "1101010101 0 01 op1:3 crn:4 crm:4 op2:3 rt:5",      "SYSINSTR128"),
  todo("MSRR/MRRS",  "1101010101 l 1 o0 op1:3 crn:4 crm:4 op2:3 rt:5",    "SYSREG128"),
  todo("TSTART/TTEST", "11010101001 0 0011 0011 000 . 011 rt:5",          "TME"),
];

function pstate(field: PstateField): Semantics<{ imm4: number }> {
  return (m, { imm4 }) => m.writePstate(field, imm4);
}

function cfinv(m: Machine) {
  m.setNzcv(m.w32.xor(m.nzcv(), m.w32.immediate(0x2000_0000)));
}

/** A flag in bit 0 of a word. */
function flag(m: Machine, bit: 31 | 30 | 29 | 28) {
  return m.w32.and(m.w32.lsr(m.nzcv(), bit), m.w32.immediate(1));
}

// DDI 0487 C6.2 "AXFLAG": Z becomes Z | V, C becomes C & !V, N and V become 0.
function axflag(m: Machine) {
  const { w32 } = m;
  const v = flag(m, 28);
  const z = w32.or(flag(m, 30), v);
  const c = w32.and(flag(m, 29), w32.xor(v, w32.immediate(1)));
  m.setNzcv(w32.or(w32.lsl(z, 30), w32.lsl(c, 29)));
}

// DDI 0487 C6.2 "XAFLAG": N = !C & !Z, Z = Z & C, C = C | Z, V = !C & Z.
function xaflag(m: Machine) {
  const { w32 } = m;
  const one = w32.immediate(1);
  const z = flag(m, 30);
  const c = flag(m, 29);
  const notC = w32.xor(c, one);
  const notZ = w32.xor(z, one);
  const n = w32.lsl(w32.and(notC, notZ), 31);
  const newZ = w32.lsl(w32.and(z, c), 30);
  const newC = w32.lsl(w32.or(c, z), 29);
  const v = w32.lsl(w32.and(notC, z), 28);
  m.setNzcv(w32.or(w32.or(n, newZ), w32.or(newC, v)));
}

type System = { op1: number; crn: number; crm: number; op2: number; rt: number };

/** op0:op1:CRn:CRm:op2, as the instruction holds them. */
function systemId(op0: number, { op1, crn, crm, op2 }: System): number {
  return (op0 << 14) | (op1 << 11) | (crn << 7) | (crm << 3) | op2;
}

function sys(m: Machine, f: System) {
  m.system(systemId(1, f), m.w64.x(f.rt), f.rt);
}

function sysl(m: Machine, f: System) {
  m.w64.setX(f.rt, m.systemRead(systemId(1, f), f.rt));
}

function msr(m: Machine, f: System & { o0: number }) {
  m.writeSystem(systemId(2 + f.o0, f), m.w64.x(f.rt), f.rt);
}

function mrs(m: Machine, f: System & { o0: number }) {
  m.w64.setX(f.rt, m.readSystem(systemId(2 + f.o0, f), f.rt));
}
