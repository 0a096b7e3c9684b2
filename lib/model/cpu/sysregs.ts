// The guest's MRS, MSR, SYS: may it, and what happens. All facts about a register come from the table; here is only what
// a 64-bit cell with a mask cannot do. DDI 0487 D24 and C5.

import { type Kernel, onKernel, type SysReg } from "../../arm64/sysreg-row.js";
import { packEncoding, type SysRegName, sysRegIndexByEncoding, sysRegs, unpackEncoding } from "../../arm64/sysregs.js";
import type { PstateField } from "../a64/machine.js";
import type { Environment, TimerIs } from "../engine/stop.js";
import { Ec, interruptStatus, syndrome } from "./exceptions.js";
import { type Maintenance, maintenanceOperation } from "./maintenance.js";
import { type CpuState, cells, Pstate } from "./state.js";

/** The value read (0n after a write), "undefined", or ESR_EL1 of the exception instead. */
export type SystemOutcome = bigint | number | "undefined";

/** What a SYS instruction does besides being allowed. */
export type MaintenanceOutcome = Maintenance["effect"] | "undefined" | number;

// Bits of SCTLR_EL1 that rule EL0.
const SA = 1n << 3n;
const SA0 = 1n << 4n;
const UMA = 1n << 9n;
const EN_RCTX = 1n << 10n;
const DZE = 1n << 14n;
const UCT = 1n << 15n;
const NTWI = 1n << 16n;
const NTWE = 1n << 18n;
const TSCXT = 1n << 20n;
const UCI = 1n << 26n;

/** Which bit of which register lets EL0 in, where the table's `el0` alone does not say it. */
type El0Control = (state: CpuState, write: boolean) => boolean;

const sctlr =
  (bit: bigint): El0Control =>
  (state) =>
    (state.get("SCTLR_EL1") & bit) !== 0n;
const cntkctl =
  (bits: bigint): El0Control =>
  (state) =>
    (state.get("CNTKCTL_EL1") & bits) !== 0n;
const pmuser =
  (bit: bigint, readOnly: "readOnly" | "both" = "both"): El0Control =>
  (state, write) => {
    const enabled = state.get("PMUSERENR_EL0");
    return (enabled & 1n) !== 0n || ((enabled & bit) !== 0n && !(write && readOnly === "readOnly"));
  };

function el0Control(name: string): El0Control | undefined {
  if (name === "DAIF") return sctlr(UMA);
  if (name === "CTR_EL0") return sctlr(UCT);
  if (name === "SCXTNUM_EL0") return (state) => (state.get("SCTLR_EL1") & TSCXT) === 0n;
  if (name === "CNTFRQ_EL0") return cntkctl(3n);
  if (name.startsWith("CNTPCT")) return cntkctl(1n);
  if (name.startsWith("CNTVCT")) return cntkctl(2n);
  if (name.startsWith("CNTV_")) return cntkctl(1n << 8n);
  if (name.startsWith("CNTP_")) return cntkctl(1n << 9n);
  if (name === "PMUSERENR_EL0") return undefined;
  if (name === "PMSWINC_EL0") return pmuser(1n << 1n);
  if (name === "PMCCNTR_EL0") return pmuser(1n << 2n, "readOnly");
  if (name === "PMSELR_EL0") return pmuser(1n << 3n);
  if (name.startsWith("PMXEVCNTR") || name.startsWith("PMEVCNTR")) return pmuser(1n << 3n, "readOnly");
  if (name.startsWith("PM")) return pmuser(0n);
  return undefined;
}

interface Hooks {
  read?(cpu: SystemRegisters): SystemOutcome;
  /** Gives "undefined", or 0n. */
  write?(cpu: SystemRegisters, value: bigint): SystemOutcome;
}

/** A register that is a part of PSTATE, at its place in SPSR format. */
function pstate(bits: number): Hooks {
  return {
    read: ({ state }) => state.pstate & BigInt(bits >>> 0),
    write: ({ state }, value) => {
      const mask = BigInt(bits >>> 0);
      state.pstate = (state.pstate & ~mask) | (value & mask);
      return 0n;
    },
  };
}

/** A register whose cell is elsewhere in the state. */
function cell(get: (state: CpuState) => bigint, set: (state: CpuState, value: bigint) => void): Hooks {
  return {
    read: ({ state }) => get(state),
    write: ({ state }, value) => {
      set(state, value);
      return 0n;
    },
  };
}

const ENABLE = 1n;
const ISTATUS = 4n;

/** What a timer keeps of CTL. */
const controlBits = (is: TimerIs): bigint => (is === "emulated" ? 0xffff_fffbn : 3n);

/** CTL and TVAL of a timer, in terms of its compare value and its counter. */
function timer(kind: "physical" | "virtual", ctl: SysRegName, cval: SysRegName): { ctl: Hooks; tval: Hooks } {
  return {
    ctl: {
      read: ({ state, environment }) => {
        const is = environment.timerIs?.(kind) ?? "direct";
        const value = state.get(ctl) & controlBits(is);
        const counts = is !== "direct" || (value & ENABLE) !== 0n;
        return counts && environment.counter(kind) >= state.get(cval) ? value | ISTATUS : value;
      },
      write: ({ state, environment }, value) => {
        state.set(ctl, value & controlBits(environment.timerIs?.(kind) ?? "direct"));
        environment.registerWritten?.(ctl);
        return 0n;
      },
    },
    tval: {
      read: ({ state, environment }) => BigInt.asUintN(32, state.get(cval) - environment.counter(kind)),
      write: ({ state, environment }, value) => {
        state.set(cval, BigInt.asUintN(64, environment.counter(kind) + BigInt.asIntN(32, value)));
        environment.registerWritten?.(cval);
        return 0n;
      },
    },
  };
}

/** RNDR and RNDRRS: there is always one, and PSTATE.NZCV says so. */
function randomNumber({ state }: SystemRegisters): bigint {
  state.words[cells.flags * 2 + 1] = 0;
  return crypto.getRandomValues(new BigUint64Array(1))[0]!;
}

const virtualTimer = timer("virtual", "CNTV_CTL_EL0", "CNTV_CVAL_EL0");
const physicalTimer = timer("physical", "CNTP_CTL_EL0", "CNTP_CVAL_EL0");

const hooks: Partial<Record<string, Hooks>> = {
  NZCV: pstate(Pstate.NZCV),
  DAIF: pstate(Pstate.DAIF),
  PAN: pstate(Pstate.PAN),
  UAO: pstate(Pstate.UAO),
  DIT: pstate(Pstate.DIT),
  SSBS: pstate(Pstate.SSBS),
  TCO: pstate(Pstate.TCO),
  SPSel: pstate(Pstate.SP),
  CurrentEL: { read: ({ state }) => BigInt(state.el << 2) },
  SP_EL0: {
    // UNDEFINED while SP_EL0 is the current stack pointer.
    read: ({ state }) => ((state.mode & Pstate.SP) === 0 ? "undefined" : state.spEl0),
    write: ({ state }, value) => {
      if ((state.mode & Pstate.SP) === 0) return "undefined";
      state.spEl0 = value;
      return 0n;
    },
  },
  ELR_EL1: cell(
    (state) => state.elrEl1,
    (state, value) => {
      state.elrEl1 = value;
    },
  ),
  SPSR_EL1: cell(
    (state) => state.spsr(0),
    (state, value) => state.setSpsr(0, value),
  ),
  FPCR: cell(
    (state) => BigInt(state.fpcr),
    (state, value) => {
      state.fpcr = Number(value & 0xffff_ffffn);
    },
  ),
  FPSR: cell(
    (state) => BigInt(state.fpsr),
    (state, value) => {
      state.fpsr = Number(value & 0xffff_ffffn);
    },
  ),
  RNDR: { read: randomNumber },
  RNDRRS: { read: randomNumber },
  ISR_EL1: { read: ({ state }) => interruptStatus(state) },
  DCZID_EL0: {
    // DZP says whether DC ZVA is prohibited here and now.
    read: ({ state }) => {
      const prohibited = state.el === 0 && (state.get("SCTLR_EL1") & DZE) === 0n;
      return (state.get("DCZID_EL0") & 15n) | (prohibited ? 1n << 4n : 0n);
    },
  },
  OSLAR_EL1: {
    write: ({ state }, value) => {
      state.set("OSLSR_EL1", (state.get("OSLSR_EL1") & ~2n) | ((value & 1n) << 1n));
      return 0n;
    },
  },
  CNTPCT_EL0: { read: ({ environment }) => environment.counter("physical") },
  CNTPCTSS_EL0: { read: ({ environment }) => environment.counter("physical") },
  CNTVCT_EL0: { read: ({ environment }) => environment.counter("virtual") },
  CNTVCTSS_EL0: { read: ({ environment }) => environment.counter("virtual") },
  CNTV_CTL_EL0: virtualTimer.ctl,
  CNTV_TVAL_EL0: virtualTimer.tval,
  CNTP_CTL_EL0: physicalTimer.ctl,
  CNTP_TVAL_EL0: physicalTimer.tval,
};

/** PSTATE fields of MSR (immediate): op1:CRm-less op2, and the bits that the immediate's low bits set. */
const pstateFields: Readonly<
  Record<PstateField, { op1: number; op2: number; el0: boolean; bits: number; shift: number }>
> = {
  UAO: { op1: 0, op2: 3, el0: false, bits: 1, shift: 23 },
  PAN: { op1: 0, op2: 4, el0: false, bits: 1, shift: 22 },
  SPSel: { op1: 0, op2: 5, el0: false, bits: 1, shift: 0 },
  SSBS: { op1: 3, op2: 1, el0: true, bits: 1, shift: 12 },
  DIT: { op1: 3, op2: 2, el0: true, bits: 1, shift: 24 },
  TCO: { op1: 3, op2: 4, el0: true, bits: 1, shift: 25 },
  DAIFSet: { op1: 3, op2: 6, el0: true, bits: 15, shift: 6 },
  DAIFClr: { op1: 3, op2: 7, el0: true, bits: 15, shift: 6 },
};

/** A row with what does not change while the CPU runs. */
interface Prepared {
  readonly row: SysReg<SysRegName>;
  readonly index: number;
  readonly hooks: Hooks;
  readonly el0Control: El0Control | undefined;
  readonly floatingPoint: boolean;
  /** A numbered register beyond those that the host's CPU has. */
  readonly absent: boolean;
}

/** DBGBVR0_EL1 to DBGBVR15_EL1, ICC_AP0R0_EL1 to ICC_AP0R3_EL1, and so on. */
const numbered = /^(DBGB|DBGW|ICC_AP)[01VC]+R(\d+)_EL1$/;

export class SystemRegisters {
  readonly state: CpuState;
  readonly environment: Environment;
  private readonly kernel: Kernel;
  private readonly prepared = new Map<number, Prepared | null>();

  constructor(state: CpuState, environment: Environment) {
    this.state = state;
    this.environment = environment;
    this.kernel = environment.kernel ?? "7.2";
  }

  /** MRS. `id`: op0:op1:CRn:CRm:op2 in 16 bits. */
  read(id: number, rt: number): SystemOutcome {
    const register = this.find(id);
    if (register === null) return this.reservedIdRegister(id) ? 0n : this.undefinedRead(id, rt);
    const refusal = this.refusal(register, id, rt, false);
    if (refusal !== null) return refusal === "undefined" ? this.undefinedRead(id, rt) : refusal;
    const behaviour = onKernel(register.row.guest, this.kernel);
    if (behaviour === "raz-wi") return 0n;
    if (register.hooks.read !== undefined) return register.hooks.read(this);
    return this.environment.readRegister?.(register.row.name, rt) ?? this.state.quads[cells.sysregs + register.index]!;
  }

  /** MSR (register). */
  write(id: number, value: bigint, rt: number): SystemOutcome {
    const register = this.find(id);
    if (register === null) return "undefined";
    const refusal = this.refusal(register, id, rt, true);
    if (refusal !== null) return refusal;
    const { row, index } = register;
    const behaviour = onKernel(row.guest, this.kernel);
    if (behaviour === "raz-wi" || behaviour === "wi") return 0n;
    if (register.hooks.write !== undefined) {
      const outcome = register.hooks.write(this, value & row.guestWritable);
      return outcome;
    }
    const written = this.environment.writeRegister?.(row.name, value) ?? false;
    if (written !== false) return written === true ? 0n : written;
    const at = cells.sysregs + index;
    const { quads } = this.state;
    quads[at] = (quads[at]! & ~row.guestWritable) | (value & row.guestWritable);
    this.environment.registerWritten?.(row.name);
    return 0n;
  }

  /** MSR (immediate). */
  writePstate(field: PstateField, imm4: number): SystemOutcome {
    const { state } = this;
    const { op1, op2, el0, bits, shift } = pstateFields[field];
    if (state.el === 0) {
      if (!el0) return "undefined";
      if (field.startsWith("DAIF") && (state.get("SCTLR_EL1") & UMA) === 0n) {
        return systemTrap(packEncoding([0, op1, 4, imm4, op2]), 31, false);
      }
    }
    const value = (imm4 & bits) << shift;
    if (field === "DAIFSet") state.mode |= value;
    else if (field === "DAIFClr") state.mode &= ~value;
    else state.mode = (state.mode & ~(bits << shift)) | value;
    return 0n;
  }

  /** SYS: cache, TLB and address translation maintenance. */
  maintenance(id: number, rt: number): MaintenanceOutcome {
    const operation = maintenanceOperation(id);
    if (operation === undefined) return "undefined";
    if (!operation.needs.every((feature) => this.environment.promises(feature))) return "undefined";
    if (this.state.el === 0) {
      if (operation.el0 === undefined) return "undefined";
      const bit = { UCI, DZE, EnRCTX: EN_RCTX }[operation.el0];
      if ((this.state.get("SCTLR_EL1") & bit) === 0n) return systemTrap(id, rt, false);
    }
    return operation.effect;
  }

  /** CheckFPAdvSIMDEnabled: CPACR_EL1.FPEN traps the current exception level. */
  fpTrapped(): boolean {
    const fpen = Number((this.state.get("CPACR_EL1") >> 20n) & 3n);
    return this.state.el === 0 ? fpen !== 3 : fpen === 0 || fpen === 2;
  }

  /** The block that DC ZVA zeroes. */
  get zeroBlockBytes(): number {
    return 4 << Number(this.state.get("DCZID_EL0") & 15n);
  }

  /** Whether WFI or WFE at EL0 is an exception to EL1. */
  waitTrapped(what: "WFI" | "WFE"): boolean {
    return this.state.el === 0 && (this.state.get("SCTLR_EL1") & (what === "WFI" ? NTWI : NTWE)) === 0n;
  }

  /** SCTLR_EL1.SA or SA0. */
  checksSpAlignment(): boolean {
    return (this.state.get("SCTLR_EL1") & (this.state.el === 0 ? SA0 : SA)) !== 0n;
  }

  private find(id: number): Prepared | null {
    let found = this.prepared.get(id);
    if (found === undefined) {
      const index = sysRegIndexByEncoding(id);
      const row = sysRegs[index];
      found =
        row === undefined
          ? null
          : {
              row,
              index,
              hooks: hooks[row.name] ?? {},
              el0Control: el0Control(row.name),
              floatingPoint: row.name === "FPCR" || row.name === "FPSR",
              absent: this.isAbsent(row.name),
            };
      this.prepared.set(id, found);
    }
    return found;
  }

  /**
   * DDI 0487 D24.3.2: without breakpoint n, accesses to its registers are UNDEFINED, before any trap. IHI 0069: the
   * second word of active priorities is there with 6 bits of priority, the others with 7.
   */
  private isAbsent(name: SysRegName): boolean {
    const [, family, n] = numbered.exec(name) ?? [];
    const { counts } = this.environment;
    if (counts === undefined || n === undefined) return false;
    if (family === "DBGB") return Number(n) >= counts.breakpoints;
    if (family === "DBGW") return Number(n) >= counts.watchpoints;
    return Number(n) >= 2 ** ((counts.gic?.priorityBits ?? 0) - 5);
  }

  /** Why an access is refused: "undefined", or the syndrome of a trap to EL1. */
  private refusal(register: Prepared, id: number, rt: number, write: boolean): number | "undefined" | null {
    const { row } = register;
    const { el } = this.state;
    if (register.absent) return "undefined";
    if (el === 1 && row.name === "ZCR_EL1" && this.environment.cpuHasSve === true) {
      const trap = this.sveTrap();
      if (trap !== null) return trap;
    }
    if (!row.guestWhen.every((condition) => this.environment.has(condition))) return "undefined";
    if (onKernel(row.guest, this.kernel) === "undefined") return "undefined";
    const allowed = el === 0 ? row.el0 : row.el1;
    if (!allowed.includes(write ? "w" : "r")) return "undefined";
    if (register.floatingPoint && this.fpTrapped()) return syndrome(Ec.fpAccess, 0x1e0_0000);
    if (el === 0 && register.el0Control?.(this.state, write) === false) {
      // KVM traps the PMU's registers, and says so in its own way.
      return row.name.startsWith("PM") ? "undefined" : systemTrap(id, rt, !write);
    }
    return null;
  }

  /** CheckSVEEnabled at EL1, by CPACR_EL1: before it, what a hypervisor traps. */
  private sveTrap(): number | null {
    if (((this.state.get("CPACR_EL1") >> 16n) & 1n) === 0n) return syndrome(Ec.sve, 0);
    return this.fpTrapped() ? syndrome(Ec.fpAccess, 0x1e0_0000) : null;
  }

  /** FEAT_IDST: exceptions that reads of the feature ID space give are reported as system register traps. */
  private undefinedRead(id: number, rt: number): SystemOutcome {
    const [op0, op1, crn, crm] = unpackEncoding(id);
    const idSpace = op0 === 3 && (op1 === 0 || op1 === 1 || op1 === 3) && crn === 0 && crm <= 7;
    return idSpace && this.environment.promises("IDST") ? systemTrap(id, rt, true) : "undefined";
  }

  /** The unallocated part of the ID space reads as zero (DDI 0487 D23.1, "Principles of the ID scheme"). */
  private reservedIdRegister(id: number): boolean {
    const [op0, op1, crn, crm] = unpackEncoding(id);
    return this.state.el === 1 && op0 === 3 && op1 === 0 && crn === 0 && crm >= 1 && crm <= 7;
  }
}

/** ESR_EL1 of a trapped MSR, MRS or SYS (EC 0x18). */
function systemTrap(id: number, rt: number, read: boolean): number {
  const [op0, op1, crn, crm, op2] = unpackEncoding(id);
  const iss = (op0 << 20) | (op2 << 17) | (op1 << 14) | (crn << 10) | (rt << 5) | (crm << 1) | (read ? 1 : 0);
  return syndrome(Ec.system, iss);
}
