// What an instruction may do, and nothing else.
//
// A meaning is written once, against this interface. The values of the guest are opaque: a meaning cannot look inside
// one, so it cannot be written for one machine only. Fields of the instruction are plain numbers, known when
// translating; what depends on a guest value goes through `select`, `branchIf` or an operation of the machine.
//
// Two rules keep exceptions precise on every machine, and a test holds all rows to them:
//   - loads, stores and checks come before the first write of a register or a flag;
//   - after a write, nothing reads what was written (`x(n)` may hand out the register itself, not a copy).

import type { VectorOperations } from "./vector.js";

declare const brand: unique symbol;
/** A 64-bit value of the guest. */
export interface I64 {
  readonly [brand]: "I64";
}
/** A 32-bit value of the guest. */
export interface I32 {
  readonly [brand]: "I32";
}
/** A value of 64 or 32 bits, as the instruction's sf bit says. */
export interface Sized {
  readonly [brand]: "Sized";
}
/** 128 bits of the guest: a SIMD&FP register. */
export interface V128 {
  readonly [brand]: "V128";
}
/** A truth of the guest. */
export interface Bool {
  readonly [brand]: "Bool";
}

/** Integer operations at one width, 64 or 32 bits. */
export interface Width<V, W64, B> {
  readonly bits: 64 | 32;
  /** General register; 31 reads as zero. */
  x(n: number): V;
  /** General register; 31 is the stack pointer. */
  xsp(n: number): V;
  /** A 32-bit result clears the upper half. Writing 31 has no effect. */
  setX(n: number, v: V): void;
  setXsp(n: number, v: V): void;
  /** Truncated to the width. */
  constant(v: bigint): V;
  /** A signed immediate, at most 2^53 in magnitude. */
  immediate(v: number): V;
  /** PSTATE.C as 0 or 1. */
  carry(): V;
  add(a: V, b: V): V;
  sub(a: V, b: V): V;
  mul(a: V, b: V): V;
  and(a: V, b: V): V;
  or(a: V, b: V): V;
  xor(a: V, b: V): V;
  not(a: V): V;
  /** Division as A64 does it: by zero gives zero, the most negative by -1 gives itself. */
  udiv(a: V, b: V): V;
  sdiv(a: V, b: V): V;
  /** Shifts by a known amount, 0 to bits - 1. */
  lsl(a: V, amount: number): V;
  lsr(a: V, amount: number): V;
  asr(a: V, amount: number): V;
  ror(a: V, amount: number): V;
  /** Shifts by a value of the guest, modulo the width. */
  lslv(a: V, b: V): V;
  lsrv(a: V, b: V): V;
  asrv(a: V, b: V): V;
  rorv(a: V, b: V): V;
  clz(a: V): V;
  cls(a: V): V;
  rbit(a: V): V;
  /** Reverses the bytes in each group of `bytes` bytes. */
  rev(a: V, bytes: 2 | 4 | 8): V;
  isZero(a: V): B;
  /** Bit `n` is set. */
  bit(a: V, n: number): B;
  select(c: B, a: V, b: V): V;
  /** The lower bits of a 64-bit value. */
  from64(a: W64): V;
  /** Zero-extended. */
  to64(a: V): W64;
  /** PSTATE.NZCV of `r = a + b` or `r = a + b + C`. */
  setFlagsAdd(a: V, b: V, r: V): void;
  /** PSTATE.NZCV of `r = a - b` or `r = a - b - !C`. */
  setFlagsSub(a: V, b: V, r: V): void;
  /** N and Z of `r`; C and V are cleared. */
  setFlagsLogic(r: V): void;
  /** CCMP and CCMN: the flags of `a - b` or `a + b` if the condition holds, else `nzcv`. */
  conditionalCompare(kind: "add" | "sub", condition: number, a: V, b: V, nzcv: number): void;
}

/** Bytes of one memory access. */
export type AccessBytes = 1 | 2 | 4 | 8;

/** The read-modify-write of an LSE atomic. */
export type AtomicOperation = "add" | "clear" | "eor" | "set" | "smax" | "smin" | "umax" | "umin" | "swap";

/** What a barrier orders. */
export type Barrier = "DSB" | "DMB" | "ISB" | "SB";

/** A key of pointer authentication: for instructions or data, A or B. */
export type PacKey = "IA" | "IB" | "DA" | "DB";

/**
 * What a branch to a register is to the page that it goes to (PSTATE.BTYPE): "veneer" is a jump by way of X16 or X17,
 * from anywhere to what may be called.
 */
export type BranchKind = "jump" | "veneer" | "call" | "return";

/** CRm:op2 of MSR (immediate), by the name of the PSTATE field. */
export type PstateField = "UAO" | "PAN" | "SPSel" | "SSBS" | "DIT" | "TCO" | "DAIFSet" | "DAIFClr";

export interface MachineOn<W64, W32, S, B, V> {
  readonly w64: Width<W64, W64, B>;
  readonly w32: Width<W32, W64, B>;
  /** The operations at the width that the sf bit says. */
  at(sf: number): Width<S, W64, B>;

  /** The SIMD&FP registers. */
  readonly simd: VectorOperations<V, W64, W32, B>;

  /** ConditionHolds. */
  condition(cond: number): B;
  not(c: B): B;
  /** PSTATE.NZCV in bits 31:28, the rest zero. */
  nzcv(): W32;
  /** Sets PSTATE.NZCV from bits 31:28. */
  setNzcv(v: W32): void;

  /** The address of this instruction plus `offset`, at most 2^53 in magnitude. */
  pcPlus(offset: number): W64;
  branch(offset: number): void;
  branchIf(c: B, offset: number): void;
  branchTo(target: W64, kind: BranchKind): void;

  /** AddPACIA and kin: `pointer` itself where the CPU has not got the key or SCTLR_EL1 does not enable it. */
  addPac(key: PacKey, pointer: W64, modifier: W64): W64;
  /** AuthIA and kin; may be an exception (FEAT_FPAC). "combined": with the branch or the load that follows. */
  authenticate(key: PacKey, pointer: W64, modifier: W64, use: "alone" | "combined"): W64;
  stripPac(kind: "instruction" | "data", pointer: W64): W64;
  /** ComputePAC with the generic key, in bits 63:32. */
  genericPac(data: W64, modifier: W64): W64;

  /** Extends from bit `bits - 1`. */
  signExtend(v: W64, bits: 8 | 16 | 32): W64;
  zeroExtend(v: W64, bits: 8 | 16 | 32): W64;
  /** Bits 127:64 of a product. */
  umulh(a: W64, b: W64): W64;
  smulh(a: W64, b: W64): W64;
  /** CRC32 (`poly` "04C11DB7") or CRC32C ("1EDC6F41") of the lower `bytes` bytes of `data`. */
  crc32(poly: "04C11DB7" | "1EDC6F41", accumulator: W32, data: W64, bytes: AccessBytes): W32;

  /** CheckSPAlignment. */
  checkSpAlignment(): void;
  /** `access`: see access.ts. Zero-extended. */
  load(bytes: AccessBytes, address: W64, access: number): W64;
  store(bytes: AccessBytes, address: W64, value: W64, access: number): void;
  /** Two stores, at `address` and `address + bytes`: neither happens if one faults. */
  storePair(bytes: 4 | 8, address: W64, first: W64, second: W64, access: number): void;
  loadExclusive(bytes: AccessBytes, address: W64, access: number): W64;
  /** Both are read as one single-copy atomic access. */
  loadExclusivePair(bytes: 4 | 8, address: W64, access: number): readonly [W64, W64];
  /** 0 if the store happened, 1 if not. */
  storeExclusive(bytes: AccessBytes, address: W64, value: W64, access: number): W32;
  storeExclusivePair(bytes: 4 | 8, address: W64, first: W64, second: W64, access: number): W32;
  clearExclusive(): void;
  /** Gives the old value, zero-extended. */
  atomic(op: AtomicOperation, bytes: AccessBytes, address: W64, value: W64, access: number): W64;
  compareAndSwap(bytes: AccessBytes, address: W64, expected: W64, desired: W64, access: number): W64;
  compareAndSwapPair(
    bytes: 4 | 8,
    address: W64,
    expected: readonly [W64, W64],
    desired: readonly [W64, W64],
    access: number,
  ): readonly [W64, W64];
  barrier(kind: Barrier): void;

  /** Undefined Instruction exception, EC 0. */
  undefined(): void;
  svc(imm16: number): void;
  hvc(imm16: number): void;
  smc(imm16: number): void;
  brk(imm16: number): void;
  hlt(imm16: number): void;
  /** `key`: ELR is authenticated by it first, with SP as the modifier. */
  eret(key: PacKey | null): void;
  waitForInterrupt(): void;
  waitForEvent(): void;
  sendEvent(): void;
  sendEventLocal(): void;
  errorSynchronization(): void;

  /** MRS and MSR (register). `id` packs op0:op1:CRn:CRm:op2 into 16 bits, as the instruction does. */
  readSystem(id: number, rt: number): W64;
  writeSystem(id: number, value: W64, rt: number): void;
  writePstate(field: PstateField, imm4: number): void;
  /** SYS and SYSL: cache, TLB and address-translation maintenance. */
  system(id: number, value: W64, rt: number): void;
  systemRead(id: number, rt: number): W64;
}

export type Machine = MachineOn<I64, I32, Sized, Bool, V128>;
