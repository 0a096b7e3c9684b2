// The printer: Machine that writes down what a meaning does, as the manual would. Golden texts are made of it, and the
// rule that writes come last is checked on it.

import { extract } from "./bits.js";
import type { Insn } from "./insn.js";
import type { AccessBytes, AtomicOperation, Barrier, Machine, MachineOn, PstateField, Width } from "./machine.js";
import type { VectorOperations } from "./vector.js";

/** One step of a meaning. */
export interface Step {
  /** compute: makes a value · access: may fault · write: changes registers, flags or PC. */
  readonly effect: "compute" | "access" | "write";
  readonly text: string;
  /** Names that it uses. */
  readonly uses: readonly string[];
  /** Name of the register that it writes. */
  readonly writes?: string;
}

/** What `row` does with the fields of `word`. */
export function steps(row: Insn, word: number): readonly Step[] {
  const printer = new Printer();
  row.run?.(printer as unknown as Machine, extract(row.encoding, word));
  return printer.steps;
}

/** The steps in one line. */
export function print(row: Insn, word: number): string {
  const text = steps(row, word).map((step) => step.text);
  return row.run === null ? "todo" : text.length === 0 ? "nothing" : text.join(" · ");
}

class PrinterWidth implements Width<string, string, string> {
  constructor(
    readonly bits: 64 | 32,
    private readonly printer: Printer,
  ) {}
  private compute(op: string, ...args: (string | number)[]): string {
    return this.printer.compute(this.bits === 64 ? op : `${op}.w`, ...args);
  }
  private name(n: number): string {
    return `${this.bits === 64 ? "x" : "w"}${n}`;
  }
  x(n: number): string {
    return n === 31 ? "0" : this.name(n);
  }
  xsp(n: number): string {
    return n === 31 ? (this.bits === 64 ? "sp" : "wsp") : this.name(n);
  }
  setX(n: number, v: string): void {
    this.printer.write(`${n === 31 ? "nothing" : this.name(n)} := ${v}`, [v], `x${n}`);
  }
  setXsp(n: number, v: string): void {
    this.printer.write(`${this.xsp(n)} := ${v}`, [v], n === 31 ? "sp" : `x${n}`);
  }
  constant(v: bigint): string {
    return `0x${BigInt.asUintN(this.bits, v).toString(16)}`;
  }
  immediate(v: number): string {
    return v < 0 ? `-0x${(-v).toString(16)}` : `0x${v.toString(16)}`;
  }
  carry = () => this.compute("carry");
  add = (a: string, b: string) => this.compute("add", a, b);
  sub = (a: string, b: string) => this.compute("sub", a, b);
  mul = (a: string, b: string) => this.compute("mul", a, b);
  and = (a: string, b: string) => this.compute("and", a, b);
  or = (a: string, b: string) => this.compute("or", a, b);
  xor = (a: string, b: string) => this.compute("xor", a, b);
  not = (a: string) => this.compute("not", a);
  udiv = (a: string, b: string) => this.compute("udiv", a, b);
  sdiv = (a: string, b: string) => this.compute("sdiv", a, b);
  lsl = (a: string, n: number) => (n === 0 ? a : this.compute("lsl", a, n));
  lsr = (a: string, n: number) => (n === 0 ? a : this.compute("lsr", a, n));
  asr = (a: string, n: number) => (n === 0 ? a : this.compute("asr", a, n));
  ror = (a: string, n: number) => (n === 0 ? a : this.compute("ror", a, n));
  lslv = (a: string, b: string) => this.compute("lslv", a, b);
  lsrv = (a: string, b: string) => this.compute("lsrv", a, b);
  asrv = (a: string, b: string) => this.compute("asrv", a, b);
  rorv = (a: string, b: string) => this.compute("rorv", a, b);
  clz = (a: string) => this.compute("clz", a);
  cls = (a: string) => this.compute("cls", a);
  rbit = (a: string) => this.compute("rbit", a);
  rev = (a: string, bytes: number) => this.compute(`rev${bytes * 8}`, a);
  isZero = (a: string) => this.compute("isZero", a);
  bit = (a: string, n: number) => this.compute("bit", a, n);
  select = (c: string, a: string, b: string) => this.compute("select", c, a, b);
  from64 = (a: string) => (this.bits === 64 ? a : this.compute("low32", a));
  to64 = (a: string) => (this.bits === 64 ? a : this.compute("zeroExtend32", a));
  setFlagsAdd = (a: string, b: string, r: string) => this.flags("add", a, b, r);
  setFlagsSub = (a: string, b: string, r: string) => this.flags("sub", a, b, r);
  setFlagsLogic = (r: string) => this.flags("logic", r);
  conditionalCompare(kind: string, condition: number, a: string, b: string, nzcv: number): void {
    this.flags(`${kind} if ${conditions[condition]!} else ${nzcv.toString(2).padStart(4, "0")}`, a, b);
  }
  private flags(op: string, ...args: string[]): void {
    this.printer.write(`nzcv := ${op}${this.bits === 64 ? "" : ".w"} ${args.join(", ")}`, args, "nzcv");
  }
}

class PrinterVectors implements VectorOperations<string, string, string, string> {
  constructor(private readonly printer: Printer) {}
  private compute(op: string, ...args: (string | number)[]): string {
    return this.printer.compute(op, ...args);
  }
  private fp(op: string, bits: number, lanes: number, ...args: (string | number)[]): string {
    return this.compute(`fp${op}.${lanes === 1 ? "" : `${lanes}x`}${bits}`, ...args);
  }
  checkFp = () => this.printer.act("access", "checkFp");
  v = (n: number) => `v${n}`;
  setV = (n: number, value: string) => this.printer.write(`v${n} := ${value}`, [value], `v${n}`);
  vector = (low: string, high: string) => this.compute("vector", low, high);
  vectorConstant = (low: bigint, high: bigint) => `0x${((high << 64n) | low).toString(16)}`;
  lane = (bits: number, index: number, v: string) => this.compute(`lane${bits}[${index}]`, v);
  splat = (bits: number, value: string) => this.compute(`splat${bits}`, value);
  withLane = (bits: number, index: number, v: string, value: string) =>
    this.compute(`withLane${bits}[${index}]`, v, value);
  low = (bits: number, v: string) => (bits === 128 ? v : this.compute(`low${bits}`, v));
  unary = (op: string, bits: number, a: string) => this.compute(`${op}.${bits}`, a);
  binary = (op: string, bits: number, a: string, b: string) => this.compute(`${op}.${bits}`, a, b);
  ternary = (op: string, bits: number, accumulator: string, a: string, b: string) =>
    this.compute(`${op}.${bits}`, accumulator, a, b);
  shift = (op: string, bits: number, a: string, amount: number) => this.compute(`${op}.${bits}`, a, amount);
  widen = (signedness: string, bits: number, half: string, a: string) =>
    this.compute(`widen.${signedness}.${half}.${bits}`, a);
  narrow = (op: string, bits: number, a: string) => this.compute(`${op}.${bits}`, a);
  polynomialProduct = (bits: number, half: string, a: string, b: string) =>
    this.compute(`polynomialProduct.${half}.${bits}`, a, b);
  reduce = (op: string, bits: number, lanes: number, a: string) => this.compute(`${op}.${lanes}x${bits}`, a);
  shuffle = (a: string, b: string, bytes: readonly number[]) => this.compute(`shuffle[${bytes.join(" ")}]`, a, b);
  lookUp = (tables: readonly string[], indices: string, otherwise: string | null) =>
    this.compute("lookUp", ...tables, "by", indices, ...(otherwise === null ? [] : ["else", otherwise]));
  crypto1 = (op: string, a: string) => this.compute(op, a);
  crypto2 = (op: string, a: string, b: string) => this.compute(op, a, b);
  crypto3 = (op: string, a: string, b: string, c: string) => this.compute(op, a, b, c);
  fpUnary = (op: string, bits: number, lanes: number, a: string) => this.fp(op, bits, lanes, a);
  fpBinary = (op: string, bits: number, lanes: number, a: string, b: string) => this.fp(op, bits, lanes, a, b);
  fpMulAdd = (bits: number, lanes: number, addend: string, a: string, b: string) =>
    this.fp("MulAdd", bits, lanes, addend, a, b);
  fpMulAddLong = (lanes: number, addend: string, a: string, b: string) =>
    this.fp("MulAddLong", 32, lanes, addend, a, b);
  fpCompare = (op: string, bits: number, lanes: number, a: string, b: string) => this.fp(op, bits, lanes, a, b);
  fpFlags = (bits: number, a: string, b: string, nans: string) => this.fp(`Flags ${nans}`, bits, 1, a, b);
  fpFlagsIf = (c: string, bits: number, a: string, b: string, nans: string, nzcv: number) =>
    this.fp(`Flags ${nans}`, bits, 1, a, b, "if", c, "else", nzcv);
  fpRound = (bits: number, lanes: number, a: string, rounding: string, inexact: string) =>
    this.fp(`Round ${rounding} ${inexact}`, bits, lanes, a);
  fpRoundSized = (bits: number, lanes: number, a: string, size: number, rounding: string) =>
    this.fp(`Round${size} ${rounding}`, bits, lanes, a);
  fpConvert = (from: number, to: number, lanes: number, a: string, rounding: string) =>
    this.fp(`Convert${to} ${rounding}`, from, lanes, a);
  fpToFixed = (bits: number, to: number, lanes: number, a: string, fraction: number, signed: string, how: string) =>
    this.fp(`ToFixed${to} ${signed} ${how}`, bits, lanes, a, fraction);
  fpFromFixed = (from: number, bits: number, lanes: number, a: string, fraction: number, signed: string) =>
    this.fp(`FromFixed${from} ${signed}`, bits, lanes, a, fraction);
  fpToJavaScript(a: string): readonly [string, string] {
    const result = this.compute("fpToJavaScript", a);
    return [result, this.compute("exact", result)];
  }
  loadVector = (bytes: number, address: string, access: number) =>
    this.printer.access(`loadVector${bytes}${how(access)}`, address);
  storeVector = (bytes: number, address: string, value: string, access: number) =>
    this.printer.act("access", `storeVector${bytes}${how(access)}`, address, value);
  storeVectorPair = (bytes: number, address: string, first: string, second: string, access: number) =>
    this.printer.act("access", `storeVectorPair${bytes}${how(access)}`, address, first, second);
  loadStructures(count: number, bits: number, lanes: number, address: string): readonly string[] {
    const first = this.printer.access(`loadStructures${count} ${lanes}x${bits}`, address);
    return Array.from({ length: count }, (_, n) => (n === 0 ? first : this.compute(`vector${n}`, first)));
  }
  storeStructures = (bits: number, lanes: number, address: string, vectors: readonly string[]) =>
    this.printer.act("access", `storeStructures ${lanes}x${bits}`, address, ...vectors);
}

export const conditions = "eq ne cs cc mi pl vs vc hi ls ge lt gt le al nv".split(" ");

class Printer implements MachineOn<string, string, string, string, string> {
  readonly steps: Step[] = [];
  readonly w64 = new PrinterWidth(64, this);
  readonly w32 = new PrinterWidth(32, this);
  readonly simd = new PrinterVectors(this);
  private temporaries = 0;

  compute(op: string, ...args: (string | number)[]): string {
    return this.value("compute", op, args);
  }
  access(op: string, ...args: (string | number)[]): string {
    return this.value("access", op, args);
  }
  private value(effect: "compute" | "access", op: string, args: (string | number)[]): string {
    const name = `t${this.temporaries++}`;
    const uses = args.map(String);
    this.steps.push({ effect, text: `${name} = ${op} ${uses.join(", ")}`.trimEnd(), uses });
    return name;
  }
  write(text: string, uses: string[], writes: string): void {
    this.steps.push({ effect: "write", text, uses, writes });
  }
  act(effect: "access" | "write", op: string, ...args: (string | number)[]): void {
    const uses = args.map(String);
    this.steps.push({ effect, text: `${op} ${uses.join(", ")}`.trimEnd(), uses });
  }

  at(sf: number): PrinterWidth {
    return sf === 1 ? this.w64 : this.w32;
  }
  condition = (cond: number) => this.compute("condition", conditions[cond]!);
  not = (c: string) => this.compute("not", c);
  nzcv = () => "nzcv";
  setNzcv = (v: string) => this.write(`nzcv := ${v}`, [v], "nzcv");
  pcPlus(offset: number): string {
    return offset === 0 ? "pc" : this.compute("add", "pc", offset);
  }
  branch = (offset: number) => this.act("write", "branch", `pc${offset < 0 ? "" : "+"}${offset}`);
  branchIf(c: string, offset: number): void {
    this.act("write", `if ${c} branch`, `pc${offset < 0 ? "" : "+"}${offset}`);
  }
  branchTo = (target: string, kind: string) => this.act("write", kind, target);
  signExtend = (v: string, bits: number) => this.compute(`signExtend${bits}`, v);
  zeroExtend = (v: string, bits: number) => this.compute(`zeroExtend${bits}`, v);
  umulh = (a: string, b: string) => this.compute("umulh", a, b);
  smulh = (a: string, b: string) => this.compute("smulh", a, b);
  crc32 = (poly: string, accumulator: string, data: string, bytes: AccessBytes) =>
    this.compute(`crc32 ${poly} ${bytes}`, accumulator, data);
  checkSpAlignment = () => this.act("access", "checkSpAlignment");
  load = (bytes: AccessBytes, address: string, access: number) => this.access(`load${bytes}${how(access)}`, address);
  store = (bytes: AccessBytes, address: string, value: string, access: number) =>
    this.act("access", `store${bytes}${how(access)}`, address, value);
  storePair = (bytes: number, address: string, first: string, second: string, access: number) =>
    this.act("access", `storePair${bytes}${how(access)}`, address, first, second);
  loadExclusive = (bytes: AccessBytes, address: string) => this.access(`loadExclusive${bytes}`, address);
  loadExclusivePair(bytes: 4 | 8, address: string): readonly [string, string] {
    const first = this.access(`loadExclusivePair${bytes}`, address);
    return [first, this.compute("second", first)];
  }
  storeExclusive = (bytes: AccessBytes, address: string, value: string) =>
    this.access(`storeExclusive${bytes}`, address, value);
  storeExclusivePair = (bytes: number, address: string, first: string, second: string) =>
    this.access(`storeExclusivePair${bytes}`, address, first, second);
  clearExclusive = () => this.act("write", "clearExclusive");
  atomic = (op: AtomicOperation, bytes: AccessBytes, address: string, value: string) =>
    this.access(`atomic ${op}${bytes}`, address, value);
  compareAndSwap = (bytes: AccessBytes, address: string, expected: string, desired: string) =>
    this.access(`compareAndSwap${bytes}`, address, expected, desired);
  compareAndSwapPair(
    bytes: 4 | 8,
    address: string,
    expected: readonly [string, string],
    desired: readonly [string, string],
  ): readonly [string, string] {
    const first = this.access(`compareAndSwapPair${bytes}`, address, ...expected, ...desired);
    return [first, this.compute("second", first)];
  }
  barrier = (kind: Barrier) => this.act("access", kind);
  undefined = () => this.act("write", "undefined");
  svc = (imm16: number) => this.act("write", "svc", imm16);
  hvc = (imm16: number) => this.act("write", "hvc", imm16);
  smc = (imm16: number) => this.act("write", "smc", imm16);
  brk = (imm16: number) => this.act("write", "brk", imm16);
  hlt = (imm16: number) => this.act("write", "hlt", imm16);
  eret(key: string | null): void {
    if (key !== null) this.access(`authenticate.${key}.combined`, "elr", "sp");
    this.act("write", "eret");
  }
  addPac = (key: string, pointer: string, modifier: string) => this.compute(`addPac.${key}`, pointer, modifier);
  authenticate = (key: string, pointer: string, modifier: string, use: string) =>
    this.access(`authenticate.${key}.${use}`, pointer, modifier);
  stripPac = (kind: string, pointer: string) => this.compute(`stripPac.${kind}`, pointer);
  genericPac = (data: string, modifier: string) => this.compute("genericPac", data, modifier);
  waitForInterrupt = () => this.act("write", "waitForInterrupt");
  waitForEvent = () => this.act("write", "waitForEvent");
  sendEvent = () => this.act("write", "sendEvent");
  sendEventLocal = () => this.act("write", "sendEventLocal");
  errorSynchronization = () => this.act("write", "errorSynchronization");
  readSystem = (id: number) => this.access("readSystem", system(id));
  writeSystem = (id: number, value: string) => this.act("access", "writeSystem", system(id), value);
  writePstate = (field: PstateField, imm4: number) => this.act("access", "writePstate", field, imm4);
  system = (id: number, value: string) => this.act("access", "system", system(id), value);
  systemRead = (id: number) => this.access("systemRead", system(id));
}

/** op0_op1_Cn_Cm_op2 of a packed encoding. */
function system(id: number): string {
  return `S${id >> 14}_${(id >> 11) & 7}_C${(id >> 7) & 15}_C${(id >> 3) & 15}_${id & 7}`;
}

/** ISS of a described access; what else the description says. */
function how(access: number): string {
  return access === 0 ? "" : `[${access.toString(16)}]`;
}
