// From a shape to the code of its handler.

import type { BranchKind } from "../../a64/machine.js";
import { cells } from "../../cpu/state.js";
import { atomicEffect } from "./atomic-handlers.js";
import { F32, F64, I32, I64, type Label, type Local, V128, type ValueType } from "./binary.js";
import { flagsKind } from "./flags.js";
import type { Context } from "./function.js";
import { locate, type Table } from "./memory-access.js";
import { pairEffect } from "./pair-handlers.js";
import { Block, RECORD } from "./record.js";
import { systemEffect } from "./system-handlers.js";
import type { Effect, Node, Shape } from "./trace.js";
import { vectorEffect, vectorValue } from "./vector-handlers.js";

type Bits = 32 | 64;

/** Opcodes of 32 bits and of 64. */
const binary: Readonly<Record<string, readonly [number, number]>> = {
  add: [0x6a, 0x7c],
  sub: [0x6b, 0x7d],
  mul: [0x6c, 0x7e],
  and: [0x71, 0x83],
  or: [0x72, 0x84],
  xor: [0x73, 0x85],
  shl: [0x74, 0x86],
  sar: [0x75, 0x87],
  shr: [0x76, 0x88],
  rotr: [0x78, 0x8a],
  clz: [0x67, 0x79],
};

const loads = { 1: [0x31, 0], 2: [0x33, 0], 4: [0x35, 0], 8: [0x29, 0] } as const;
const stores = { 1: 0x3c, 2: 0x3d, 4: 0x3e, 8: 0x37 } as const;
/** 0xfe: atomic loads (zero-extended) and stores of 64-bit values. */
const atomicLoads = { 1: 0x14, 2: 0x15, 4: 0x16, 8: 0x11 } as const;
const atomicStores = { 1: 0x1b, 2: 0x1c, 4: 0x1d, 8: 0x18 } as const;
type AccessBytes = keyof typeof loads;

/** Effects that write registers, and nodes that read them. */
const writes: ReadonlySet<string> = new Set(["write", "writeV", "writeLane"]);
const reads: ReadonlySet<string> = new Set(["read", "readV", "readLow", "readLane", "readF"]);

/** Effects after which the next instruction may be another than the following. */
export const endings: ReadonlySet<string> = new Set(["branch", "branchOn", "branchIf", "branchTo"]);
const NONE_USED: Readonly<Record<ValueType, number>> = { [I32]: 0, [I64]: 0, [F32]: 0, [F64]: 0, [V128]: 0 };

export class HandlerEmitter {
  private readonly temporaries: Record<ValueType, Local[]> = { [I32]: [], [I64]: [], [F32]: [], [F64]: [], [V128]: [] };
  private used: Record<ValueType, number> = NONE_USED;

  constructor(readonly context: Context) {}

  temporary(type: ValueType): Local {
    const n = this.used[type]++;
    const local = this.temporaries[type][n] ?? this.context.code.local(type);
    this.temporaries[type][n] = local;
    return local;
  }

  /** The code of one handler; it ends in a branch. */
  emit(shape: Shape): void {
    const { code, locals, labels } = this.context;
    let after: Label | null = null;
    this.begin();
    this.effects(shape.effects, (ending) => {
      after = this.jump(ending);
    });
    if (after !== null) code.branch(after);
    else code.get(locals.record).i32(RECORD).op(0x6a).set(locals.record).branch(labels.next);
  }

  /** A branch; where to go after the effects that follow it. null: to the next record. */
  private jump(ending: Effect): Label | null {
    const { code, labels } = this.context;
    const [arg] = ending.args;
    switch (ending.op) {
      case "branch":
        this.jumpTarget(arg!);
        return labels.jump;
      case "branchTo":
        this.branchTo(arg!, ending.extra as BranchKind);
        return labels.indirect;
      default:
        this.taken(ending);
        code.if();
        this.jumpTarget(ending.args.at(-1)!);
        code.branch(labels.jump).end();
        return null;
    }
  }

  /** Another instruction: temporaries are free again. */
  begin(): void {
    this.used = { ...NONE_USED };
  }

  /** The code of an instruction's effects; of a branch, what `ending` makes. */
  effects(effects: readonly Effect[], ending: (effect: Effect) => void): void {
    let written = false;
    for (let n = 0; n < effects.length; n++) {
      const effect = effects[n]!;
      if (writes.has(effect.op) && !written) {
        written = true;
        for (const later of effects.slice(n + 1)) for (const arg of later.args) this.readRegisters(arg);
      }
      if (endings.has(effect.op)) ending(effect);
      else if (effect.op === "load" && this.loadPair(effect, effects[n + 1])) n++;
      else this.effect(effect);
    }
  }

  /** Whether a branch with a condition is taken. */
  taken({ op, args, extra }: Effect): void {
    if (op === "branchOn") this.context.flags.holds(Number(extra));
    else this.value(args[0]!);
  }

  /** Reads now what a write might change. */
  private readRegisters(node: Node): void {
    if (node.local >= 0) return;
    if (reads.has(node.op)) {
      this.compute(node);
      node.local = this.temporary(node.type);
      this.context.code.set(node.local);
      return;
    }
    for (const arg of node.args) this.readRegisters(arg);
  }

  private effect(effect: Effect): void {
    const { op, args, extra, target } = effect;
    const { code, locals, flags, operands } = this.context;
    const bits = extra as Bits;
    switch (op) {
      case "write":
        operands.write(target!, () => this.value64(args[0]!));
        return;
      case "load":
        this.load(args[0]!);
        return;
      case "store":
        this.store(args[0]!, args[1]!, String(extra));
        return;
      case "storePair": {
        const bytes = extra as 4 | 8;
        const at = this.located("writes", args[0]!, 2 * bytes, bytes);
        code.get(at);
        this.value(args[1]!);
        code.memory(stores[bytes], 0).get(at);
        this.value(args[2]!);
        code.memory(stores[bytes], 0, bytes);
        return;
      }
      case "checkSp":
        operands.stackPointer();
        code.i32(15).op(0x71).branchIf(this.context.labels.step);
        return;
      case "fence":
        if (extra === "DSB")
          code
            .get(locals.block)
            .memory(0x28, 2, Block.invalidating * 4)
            .branchIf(this.context.labels.step);
        code
          .get(locals.base)
          .i32(0)
          .memory([0xfe, 0x33], 2, cells.fence * 8)
          .op(0x1a);
        return;
      case "addFlags":
      case "subFlags":
        this.lazyFlags(flagsKind(op === "addFlags" ? "add" : "sub", bits), args[0]!, args[1]!);
        return;
      case "logicFlags":
        this.lazyFlags(flagsKind("logic", bits), args[0]!, null);
        return;
      case "addCarryFlags":
      case "subCarryFlags":
        this.carryFlags(op === "subCarryFlags", bits, args);
        return;
      case "addFlagsIf":
      case "subFlagsIf":
        flags.lazyIf(
          args[0]!,
          flagsKind(op === "addFlagsIf" ? "add" : "sub", bits),
          { a: () => this.again64(args[1]!), b: () => this.again64(args[2]!) },
          args[3]!,
        );
        return;
      case "setNzcv":
        flags.set(() => this.value(args[0]!));
        return;
      default:
        if (
          vectorEffect(this, effect) ||
          systemEffect(this, effect) ||
          pairEffect(this, effect) ||
          atomicEffect(this, effect)
        )
          return;
        throw new Error(`no code for the effect ${op}`);
    }
  }

  private jumpTarget(distance: Node): void {
    const { code, locals } = this.context;
    code.get(locals.record);
    this.value(distance);
    code.op(0x6a).set(locals.target);
  }

  /** An address with a tag, or with none of both halves, is the evaluator's. */
  private branchTo(target: Node, kind: BranchKind): void {
    const { code, locals, labels } = this.context;
    this.value(target);
    code.tee(locals.pc).get(locals.pc).i64(8).op(0x86).i64(8).op(0x87, 0x52).branchIf(labels.step);
    const type = (of: "call" | "jump" | "veneer" | "guardedJump") =>
      code.get(locals.block).memory(0x28, 2, Block[of] * 4);
    if (kind === "return") code.i32(0);
    else if (kind === "jump") {
      code.get(locals.guarded).if(I32);
      type("guardedJump");
      code.else();
      type("jump");
      code.end();
    } else type(kind);
    code.set(locals.btype);
  }

  private lazyFlags(kind: number, a: Node, b: Node | null): void {
    const { code, flags } = this.context;
    flags.lazy(
      kind,
      () => this.value64(a),
      () => {
        if (b === null) code.i64(0);
        else this.value64(b);
      },
    );
  }

  private carryFlags(sub: boolean, bits: Bits, args: readonly Node[]): void {
    const { code, flags, helpers } = this.context;
    flags.set(() => {
      for (const [n, arg] of args.entries()) {
        this.value64(arg);
        if (n === 1 && sub) code.i64(-1).op(0x85);
        if (bits === 32) code.i64(32).op(0x86);
      }
      code.call(helpers.carryFlags);
    });
  }

  /** A value of 32 bits zero-extended to 64, or one of 64, on the stack. */
  private value64(node: Node): void {
    this.value(node);
    if (node.type === I32) this.context.code.op(0xad);
  }

  private again64(node: Node): void {
    this.again(node);
    if (node.type === I32) this.context.code.op(0xad);
  }

  /** On the stack; what is used again is kept. */
  value(node: Node): void {
    const { code } = this.context;
    if (node.local >= 0) {
      code.get(node.local);
      return;
    }
    this.compute(node);
    if (node.uses < 2 || node.op === "const" || node.op === "amount") return;
    node.local = this.temporary(node.type);
    code.tee(node.local);
  }

  address(node: Node): Local {
    if (node.local >= 0) return node.local;
    const local = this.temporary(I64);
    this.compute(node);
    this.context.code.set(local);
    node.local = local;
    return local;
  }

  located(table: Table, address: Node, bytes: number, element = bytes): Local {
    const at = this.temporary(I32);
    const local = this.address(address);
    const { context } = this;
    if (context.locate === undefined) locate(context, table, local, at, bytes, element);
    else context.locate({ table, address, at: local, bytes, element }, at);
    return at;
  }

  private load(node: Node): void {
    const { code } = this.context;
    const { bytes, user, ordered } = accessOf(String(node.extra));
    const at = this.located(user ? "userReads" : "reads", node.args[0]!, bytes);
    code.get(at);
    if (ordered) {
      this.mustAlign(at, bytes);
      code.memory([0xfe, atomicLoads[bytes]], Math.log2(bytes));
    } else code.memory(loads[bytes][0], 0);
    node.local = this.temporary(I64);
    code.set(node.local);
  }

  private store(address: Node, value: Node, way: string): void {
    const { code } = this.context;
    const { bytes, user, ordered } = accessOf(way);
    const at = this.located(user ? "userWrites" : "writes", address, bytes);
    if (ordered) this.mustAlign(at, bytes);
    code.get(at);
    this.value(value);
    if (ordered) code.memory([0xfe, atomicStores[bytes]], Math.log2(bytes));
    else code.memory(stores[bytes], 0);
  }

  mustAlign(at: Local, bytes: number): void {
    if (bytes > 1)
      this.context.code
        .get(at)
        .i32(bytes - 1)
        .op(0x71)
        .branchIf(this.context.labels.step);
  }

  /** Two loads side by side are looked up as one. */
  private loadPair(first: Effect, second: Effect | undefined): boolean {
    const a = first.args[0]!;
    const b = second?.args[0];
    if (second?.op !== "load" || b === undefined || a.op !== "loaded" || b.extra !== a.extra) return false;
    const { bytes, user, ordered } = accessOf(String(a.extra));
    const next = b.args[0]!;
    const beside =
      next.op === "add" &&
      next.args[0] === a.args[0] &&
      next.args[1]!.operand === "code" &&
      next.args[1]!.value === BigInt(bytes);
    if (!beside || user || ordered) return false;
    const { code } = this.context;
    const at = this.located("reads", a.args[0]!, 2 * bytes, bytes);
    for (const [n, node] of [a, b].entries()) {
      node.local = this.temporary(I64);
      code
        .get(at)
        .memory(loads[bytes][0], 0, n * bytes)
        .set(node.local);
    }
    return true;
  }

  private compute(node: Node): void {
    const { code, locals, flags, operands, helpers } = this.context;
    const { op, type, args } = node;
    const wide = type === I64 ? 1 : 0;
    const opcode = binary[op]?.[wide];
    if (opcode !== undefined) {
      this.value(args[0]!);
      if (args.length === 2) this.operandOf(args[1]!, type);
      code.op(opcode);
      return;
    }
    switch (op) {
      case "const":
        operands.constant(node);
        return;
      case "amount":
        operands.amount(node, I32);
        return;
      case "read":
        operands.read(args[0]!, type);
        return;
      case "pc":
        operands.pc();
        if (node.extra === 4) code.i64(4).op(0x7c);
        return;
      case "not":
        this.value(args[0]!);
        if (wide === 1) code.i64(-1).op(0x85);
        else code.i32(-1).op(0x73);
        return;
      case "wrap":
        this.value(args[0]!);
        code.op(0xa7);
        return;
      case "widen":
        this.value64(args[0]!);
        return;
      case "extendS":
        this.value(args[0]!);
        code.op({ 8: 0xc2, 16: 0xc3, 32: 0xc4 }[node.extra as 8 | 16 | 32]);
        return;
      case "extendU":
        this.value(args[0]!);
        if (node.extra === 32) code.op(0xa7, 0xad);
        else code.i64(node.extra === 8 ? 0xff : 0xffff).op(0x83);
        return;
      case "isZero":
        this.value(args[0]!);
        code.op(args[0]!.type === I64 ? 0x50 : 0x45);
        return;
      case "bit":
        this.value(args[0]!);
        this.operandOf(args[1]!, args[0]!.type);
        if (args[0]!.type === I64) code.op(0x88, 0xa7);
        else code.op(0x76);
        code.i32(1).op(0x71);
        return;
      case "select":
        this.value(args[1]!);
        this.value(args[2]!);
        this.value(args[0]!);
        code.op(0x1b);
        return;
      case "condition":
        flags.condition(node);
        return;
      case "nzcv":
        flags.nzcv();
        return;
      case "pstate":
        code
          .get(locals.base)
          .memory(0x28, 2, cells.flags * 8)
          .i32(node.extra as number)
          .op(0x71, 0xad);
        return;
      case "carry":
        flags.nzcv();
        code.i32(29).op(0x76).i32(1).op(0x71);
        if (wide === 1) code.op(0xad);
        return;
      case "udiv":
      case "sdiv":
        this.divide(op, node, wide);
        return;
      case "cls":
        this.value(args[0]!);
        if (wide === 1) {
          const v = this.temporary(I64);
          code.tee(v).get(v).i64(1).op(0x87, 0x85, 0x79).i64(1).op(0x7d);
        } else {
          const v = this.temporary(I32);
          code.tee(v).get(v).i32(1).op(0x75, 0x73, 0x67).i32(1).op(0x6b);
        }
        return;
      case "rbit":
        this.value64(args[0]!);
        code.call(helpers.rbit);
        if (wide === 0) code.i64(32).op(0x88, 0xa7);
        return;
      case "rev":
        this.value64(args[0]!);
        code.i32(node.extra as number).call(helpers.rev);
        if (wide === 0) code.op(0xa7);
        return;
      case "strip":
        code
          .get(locals.block)
          .memory(0x28, 2, Block.authentication * 4)
          .i32(node.extra as number);
        this.value(args[0]!);
        code.call(helpers.strip);
        return;
      case "crc32": {
        const [poly, bytes] = String(node.extra).split("/");
        this.value(args[0]!);
        this.value(args[1]!);
        code.i32(Number(bytes)).call(poly === "04C11DB7" ? helpers.crc32 : helpers.crc32c);
        return;
      }
      case "umulh":
      case "smulh":
        this.value(args[0]!);
        this.value(args[1]!);
        code.call(helpers[op]);
        return;
      default:
        if (!vectorValue(this, node)) throw new Error(`no code for ${op}`);
    }
  }

  /** An amount at the width of what it is used with; any other value as it is. */
  private operandOf(node: Node, type: ValueType): void {
    if (node.op === "amount") this.context.operands.amount(node, type);
    else this.value(node);
  }

  /** By zero: zero. The most negative by -1: itself, which negation gives, too. */
  private divide(op: "udiv" | "sdiv", { type, args }: Node, wide: number): void {
    const { code } = this.context;
    const b = this.temporary(type);
    const zero = () => (wide === 1 ? code.i64(0) : code.i32(0));
    this.value(args[1]!);
    code
      .tee(b)
      .op(wide === 1 ? 0x50 : 0x45)
      .if(type);
    zero();
    code.else();
    if (op === "sdiv") {
      code.get(b);
      if (wide === 1) code.i64(-1).op(0x51);
      else code.i32(-1).op(0x46);
      code.if(type);
      zero();
      this.again(args[0]!);
      code.op(wide === 1 ? 0x7d : 0x6b).else();
    }
    this.again(args[0]!);
    code.get(b).op(op === "udiv" ? (wide === 1 ? 0x80 : 0x6e) : wide === 1 ? 0x7f : 0x6d);
    if (op === "sdiv") code.end();
    code.end();
  }

  /** A value inside an arm: it must not be kept, since the other arm does not compute it. */
  again(node: Node): void {
    if (node.local >= 0) this.context.code.get(node.local);
    else this.compute(node);
  }
}

function accessOf(way: string): { bytes: AccessBytes; user: boolean; ordered: boolean } {
  return { bytes: Number.parseInt(way, 10) as AccessBytes, user: way.includes("u"), ordered: way.includes("o") };
}
