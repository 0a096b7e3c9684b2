// The Machine that writes down what a meaning does. What it has not got, it refuses: the evaluator does such words.

import { packEncoding } from "../../../arm64/sysregs.js";
import { ORDERED, UNPRIVILEGED } from "../../a64/access.js";
import type {
  AccessBytes,
  AtomicOperation,
  Barrier,
  BranchKind,
  MachineOn,
  PacKey,
  PstateField,
  Width,
} from "../../a64/machine.js";
import { CpuState, cells } from "../../cpu/state.js";
import { conditions } from "../wide.js";
import { I32, I64, type ValueType } from "./binary.js";
import { pointerKind } from "./pointer-table.js";
import { recordMaintenance, recordRead, recordWrite } from "./system-registers.js";
import { type Node, refuse, Trace } from "./trace.js";
import { vectorRecorder } from "./vector-recorder.js";

/** Byte offset of a cell in the state. */
const cell = (n: number): bigint => BigInt(n * 8);

export class Recorder implements MachineOn<Node, Node, Node, Node, Node> {
  trace = new Trace();
  readonly w64: WidthRecorder = new WidthRecorder(this, 64);
  readonly w32: WidthRecorder = new WidthRecorder(this, 32);
  readonly simd = vectorRecorder(this);
  /** The stack pointer or a base register is one node, read and written. */
  private readonly stackPointers: (Node | undefined)[] = [];

  begin(): void {
    this.trace = new Trace();
    this.stackPointers.length = 0;
  }

  at(sf: number): Width<Node, Node, Node> {
    return sf === 1 ? this.w64 : this.w32;
  }

  /** The cell of a register; 31 reads zero and is written to where nobody looks. */
  register(n: number, use: "read" | "write"): Node {
    const at = n === 31 ? cell(use === "read" ? cells.zero : cells.discarded) : cell(cells.x + n);
    return this.trace.node("cell", I32, [], "", at);
  }
  registerOrSp(n: number): Node {
    let node = this.stackPointers[n];
    if (node === undefined) {
      node = this.trace.node("cell", I32, [], "", n === 31 ? cell(cells.stackPointer) : cell(cells.x + n));
      this.stackPointers[n] = node;
    }
    return node;
  }

  condition(cond: number): Node {
    return this.trace.node("condition", I32, [this.trace.amount(conditions[cond]!)], "", BigInt(cond));
  }
  not(c: Node): Node {
    return this.trace.node("isZero", I32, [c], 32);
  }
  nzcv(): Node {
    return this.trace.node("nzcv", I32);
  }
  setNzcv(v: Node): void {
    this.trace.effect("setNzcv", [v]);
  }

  pcPlus(offset: number): Node {
    const pc = this.trace.node("pc", I64);
    if (offset === 0) return pc;
    if (offset === 4) return this.trace.node("pc", I64, [], 4);
    return this.trace.node("add", I64, [pc, this.trace.constant(I64, BigInt(offset))]);
  }
  branch(offset: number): void {
    this.trace.effect("branch", [this.trace.constant(I32, BigInt(offset * 4))]);
  }
  branchIf(c: Node, offset: number): void {
    const distance = this.trace.constant(I32, BigInt(offset * 4));
    // The condition of a conditional branch is a part of its handler.
    if (c.op === "condition") this.trace.effect("branchOn", [distance], Number(c.value));
    else this.trace.effect("branchIf", [c, distance]);
  }
  branchTo(target: Node, kind: BranchKind): void {
    this.trace.effect("branchTo", [target], kind);
  }

  addPac(key: PacKey, pointer: Node, modifier: Node): Node {
    return this.result("pointer", I64, [pointer, modifier], pointerKind("sign", key));
  }
  authenticate(key: PacKey, pointer: Node, modifier: Node, use: "alone" | "combined"): Node {
    return this.result("pointer", I64, [pointer, modifier], pointerKind(use, key));
  }
  stripPac(kind: "instruction" | "data", pointer: Node): Node {
    return this.trace.node("strip", I64, [pointer], kind === "data" ? 1 : 0);
  }
  genericPac(): Node {
    return refuse();
  }

  signExtend(v: Node, bits: 8 | 16 | 32): Node {
    return this.trace.node("extendS", I64, [v], bits);
  }
  zeroExtend(v: Node, bits: 8 | 16 | 32): Node {
    return this.trace.node("extendU", I64, [v], bits);
  }
  umulh(a: Node, b: Node): Node {
    return this.trace.node("umulh", I64, [a, b]);
  }
  smulh(a: Node, b: Node): Node {
    return this.trace.node("smulh", I64, [a, b]);
  }
  crc32(poly: "04C11DB7" | "1EDC6F41", accumulator: Node, data: Node, bytes: AccessBytes): Node {
    return this.trace.node("crc32", I32, [accumulator, data], `${poly}/${bytes}`);
  }

  checkSpAlignment(): void {
    this.trace.effect("checkSp", []);
  }
  load(bytes: AccessBytes, address: Node, access: number): Node {
    const node = this.trace.node("loaded", I64, [address], `${bytes}${way(access)}`);
    this.trace.effect("load", [node], `${bytes}${way(access)}`);
    return node;
  }
  store(bytes: AccessBytes, address: Node, value: Node, access: number): void {
    // Of two, the second could fail after the first was made.
    if (this.trace.effects.some(({ op }) => op === "store")) refuse();
    this.trace.effect("store", [address, value], `${bytes}${way(access)}`);
  }
  storePair(bytes: 4 | 8, address: Node, first: Node, second: Node, access: number): void {
    if ((access & (ORDERED | UNPRIVILEGED)) !== 0) refuse();
    this.trace.effect("storePair", [address, first, second], bytes);
  }
  /** What an effect gives. */
  private result(op: string, type: ValueType, args: readonly Node[], extra: string | number): Node {
    const node = this.trace.node("result", type, args, `${op}${extra}`);
    this.trace.effect(op, [node], extra);
    return node;
  }
  loadExclusive(bytes: AccessBytes, address: Node): Node {
    return this.result("loadExclusive", I64, [address], bytes);
  }
  /** Two values of an effect. */
  private pair(op: string, bytes: 4 | 8, args: readonly Node[]): readonly [Node, Node] {
    const first = this.trace.node("result", I64, args, `${op}${bytes}`);
    const second = this.trace.node("second", I64, [first]);
    this.trace.effect(op, [first, second], bytes);
    return [first, second];
  }
  loadExclusivePair(bytes: 4 | 8, address: Node): readonly [Node, Node] {
    return this.pair("loadExclusivePair", bytes, [address]);
  }
  storeExclusive(bytes: AccessBytes, address: Node, value: Node): Node {
    return this.result("storeExclusive", I32, [address, value], bytes);
  }
  storeExclusivePair(bytes: 4 | 8, address: Node, first: Node, second: Node): Node {
    return this.result("storeExclusivePair", I32, [address, first, second], bytes);
  }
  clearExclusive(): void {
    this.trace.effect("clearExclusive", []);
  }
  atomic(op: AtomicOperation, bytes: AccessBytes, address: Node, value: Node): Node {
    return this.result(op, I64, [address, value], bytes);
  }
  compareAndSwap(bytes: AccessBytes, address: Node, expected: Node, desired: Node): Node {
    return this.result("compareAndSwap", I64, [address, expected, desired], bytes);
  }
  compareAndSwapPair(
    bytes: 4 | 8,
    address: Node,
    expected: readonly [Node, Node],
    desired: readonly [Node, Node],
  ): readonly [Node, Node] {
    return this.pair("compareAndSwapPair", bytes, [address, ...expected, ...desired]);
  }
  barrier(kind: Barrier): void {
    // ISB and SB order nothing that generated code reorders.
    if (kind === "DSB" || kind === "DMB") this.trace.effect("fence", [], kind);
  }

  undefined(): void {
    refuse();
  }
  svc(): void {
    refuse();
  }
  hvc(): void {
    refuse();
  }
  smc(): void {
    refuse();
  }
  brk(): void {
    refuse();
  }
  hlt(): void {
    refuse();
  }
  eret(): void {
    refuse();
  }
  waitForInterrupt(): void {
    refuse();
  }
  waitForEvent(): void {
    refuse();
  }
  sendEvent(): void {
    refuse();
  }
  sendEventLocal(): void {
    refuse();
  }
  errorSynchronization(): void {
    refuse();
  }
  readSystem(id: number, _rt: number): Node {
    return recordRead(this.trace, id);
  }
  writeSystem(id: number, value: Node, _rt: number): void {
    recordWrite(this.trace, id, value);
  }
  writePstate(field: PstateField, imm4: number): void {
    if (field !== "DAIFSet" && field !== "DAIFClr") refuse();
    this.trace.effect("needs", [], "EL1");
    this.trace.effect("mask", [this.trace.amount(imm4 << 6)], field);
  }
  system(id: number, value: Node, _rt: number): void {
    if (id === DC_ZVA) this.trace.effect("zero", [value]);
    else recordMaintenance(this.trace, id, value);
  }
  systemRead(): Node {
    return refuse();
  }
}

const DC_ZVA = packEncoding([1, 3, 7, 4, 1]);

/** How an access is made, for its handler: as EL0, in order with others. */
function way(access: number): string {
  return `${(access & UNPRIVILEGED) !== 0 ? "u" : ""}${(access & ORDERED) !== 0 ? "o" : ""}`;
}

class WidthRecorder implements Width<Node, Node, Node> {
  private readonly type: ValueType;

  constructor(
    private readonly machine: Recorder,
    readonly bits: 64 | 32,
  ) {
    this.type = bits === 64 ? I64 : I32;
  }

  private node(op: string, args: readonly Node[], extra: string | number = ""): Node {
    return this.machine.trace.node(op, this.type, args, extra);
  }

  x(n: number): Node {
    return this.node("read", [this.machine.register(n, "read")]);
  }
  xsp(n: number): Node {
    return this.node("read", [this.machine.registerOrSp(n)]);
  }
  setX(n: number, v: Node): void {
    this.machine.trace.effect("write", [v], "", this.machine.register(n, "write"));
  }
  setXsp(n: number, v: Node): void {
    this.machine.trace.effect("write", [v], "", this.machine.registerOrSp(n));
  }

  constant(v: bigint): Node {
    return this.machine.trace.constant(this.type, v);
  }
  immediate(v: number): Node {
    return this.constant(BigInt(v));
  }
  carry(): Node {
    return this.node("carry", []);
  }

  private binary(op: string, a: Node, b: Node, fold?: (a: bigint, b: bigint) => bigint): Node {
    if (fold !== undefined && a.op === "const" && b.op === "const") return this.constant(fold(a.value, b.value));
    return this.node(op, [a, b]);
  }
  add(a: Node, b: Node): Node {
    return this.binary("add", a, b, (x, y) => x + y);
  }
  sub(a: Node, b: Node): Node {
    return this.binary("sub", a, b);
  }
  mul(a: Node, b: Node): Node {
    return this.binary("mul", a, b);
  }
  and(a: Node, b: Node): Node {
    return this.binary("and", a, b, (x, y) => x & y);
  }
  or(a: Node, b: Node): Node {
    return this.binary("or", a, b, (x, y) => x | y);
  }
  xor(a: Node, b: Node): Node {
    return this.binary("xor", a, b, (x, y) => x ^ y);
  }
  not(a: Node): Node {
    if (a.op === "const") return this.constant(~a.value);
    return this.node("not", [a]);
  }
  udiv(a: Node, b: Node): Node {
    return this.node("udiv", [a, b]);
  }
  sdiv(a: Node, b: Node): Node {
    return this.node("sdiv", [a, b]);
  }

  private shift(op: string, a: Node, amount: number): Node {
    return this.node(op, [a, this.machine.trace.amount(amount)], "n");
  }
  lsl(a: Node, amount: number): Node {
    if (a.op === "const") return this.constant(a.value << BigInt(amount));
    return this.shift("shl", a, amount);
  }
  lsr(a: Node, amount: number): Node {
    return this.shift("shr", a, amount);
  }
  asr(a: Node, amount: number): Node {
    return this.shift("sar", a, amount);
  }
  ror(a: Node, amount: number): Node {
    return this.shift("rotr", a, amount);
  }
  lslv(a: Node, b: Node): Node {
    return this.node("shl", [a, b]);
  }
  lsrv(a: Node, b: Node): Node {
    return this.node("shr", [a, b]);
  }
  asrv(a: Node, b: Node): Node {
    return this.node("sar", [a, b]);
  }
  rorv(a: Node, b: Node): Node {
    return this.node("rotr", [a, b]);
  }
  clz(a: Node): Node {
    return this.node("clz", [a]);
  }
  cls(a: Node): Node {
    return this.node("cls", [a]);
  }
  rbit(a: Node): Node {
    return this.node("rbit", [a]);
  }
  rev(a: Node, bytes: 2 | 4 | 8): Node {
    return this.node("rev", [a], bytes);
  }
  isZero(a: Node): Node {
    return this.machine.trace.node("isZero", I32, [a], this.bits);
  }
  bit(a: Node, n: number): Node {
    return this.machine.trace.node("bit", I32, [a, this.machine.trace.amount(n)], this.bits);
  }
  select(c: Node, a: Node, b: Node): Node {
    return this.node("select", [c, a, b]);
  }
  from64(a: Node): Node {
    return this.bits === 64 ? a : this.node("wrap", [a]);
  }
  to64(a: Node): Node {
    return this.bits === 64 ? a : this.machine.trace.node("widen", I64, [a]);
  }

  setFlagsAdd(a: Node, b: Node, r: Node): void {
    this.arithmetic("add", a, b, r);
  }
  setFlagsSub(a: Node, b: Node, r: Node): void {
    this.arithmetic("sub", a, b, r);
  }
  private arithmetic(op: "add" | "sub", a: Node, b: Node, r: Node): void {
    const plain = r.op === op && r.args[0] === a && r.args[1] === b;
    if (plain) this.machine.trace.effect(`${op}Flags`, [a, b], this.bits);
    else this.machine.trace.effect(`${op}CarryFlags`, [a, b, r], this.bits);
  }
  setFlagsLogic(r: Node): void {
    this.machine.trace.effect("logicFlags", [r], this.bits);
  }
  conditionalCompare(kind: "add" | "sub", cond: number, a: Node, b: Node, nzcv: number): void {
    const { trace } = this.machine;
    trace.effect(`${kind}FlagsIf`, [this.machine.condition(cond), a, b, trace.amount(nzcv << 12)], this.bits);
  }
}

/** What a vCPU's cells must span for the operands of a record. */
if (CpuState.bytes > 0x1_0000) throw new Error("a record's operands cannot name every cell of the state");
