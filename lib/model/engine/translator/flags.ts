// PSTATE.NZCV in a region: as in the interpreter, but what set it last is mostly known while the code is made.

import { type Code, I32, type Local } from "../wasm/binary.js";
import { comparisons, flagsKind, KindInLocal, PACKED, TO_32, withoutCarry } from "../wasm/flags.js";
import type { Flags, Helpers, Locals, Operands } from "../wasm/function.js";
import { Block } from "../wasm/record.js";
import type { Node } from "../wasm/trace.js";
import { conditions } from "../wide.js";

/** Bits 31:28 of the word that holds NZCV. */
const NZCV_BITS = 0xf000_0000;

export type Known =
  /** Whatever the locals say. */
  | null
  | { readonly kind: number }
  /** Those of an operation if a local is not 0; otherwise these. */
  | { readonly kind: number; readonly unless: Local; readonly nzcv: number };

/** CS, VS and HI, which a logical operation leaves false. */
const falseAfterLogic = new Set([2, 6, 8]);
const AL = 14;
const MI = 4;
const VS = 6;

export class RegionFlags implements Flags {
  known: Known = null;
  private readonly unknown: KindInLocal;
  private readonly held: Local;

  constructor(
    private readonly code: Code,
    private readonly locals: Locals,
    helpers: Helpers,
    operands: Operands,
  ) {
    this.unknown = new KindInLocal(code, locals, helpers, operands);
    this.held = code.local(I32);
  }

  load(): void {
    const { code, locals } = this;
    const { block } = locals;
    code
      .get(block)
      .memory(0x28, 2, Block.flagsKind * 4)
      .set(locals.flagsKind);
    code
      .get(block)
      .memory(0x29, 3, Block.flagsA * 4)
      .set(locals.flagsA);
    code
      .get(block)
      .memory(0x29, 3, Block.flagsB * 4)
      .set(locals.flagsB);
    this.known = null;
  }

  store(): void {
    const { code, locals } = this;
    const { block } = locals;
    code
      .get(block)
      .get(locals.flagsKind)
      .memory(0x36, 2, Block.flagsKind * 4);
    code
      .get(block)
      .get(locals.flagsA)
      .memory(0x37, 3, Block.flagsA * 4);
    code
      .get(block)
      .get(locals.flagsB)
      .memory(0x37, 3, Block.flagsB * 4);
  }

  lazy(kind: number, a: () => void, b: () => void): void {
    this.unknown.lazy(kind, a, b);
    this.known = { kind };
  }

  lazyIf(condition: Node, kind: number, { a, b }: { a: () => void; b: () => void }, otherwise: Node): void {
    const { code, locals, held } = this;
    const nzcv = (Number(otherwise.value) << 16) >>> 0;
    this.condition(condition);
    code.set(held);
    a();
    code.i64(nzcv).get(held).op(0x1b).set(locals.flagsA);
    b();
    code.set(locals.flagsB);
    code.i32(kind).i32(PACKED).get(held).op(0x1b).set(locals.flagsKind);
    this.known = { kind, unless: held, nzcv };
  }

  set(value: () => void): void {
    const { code, locals } = this;
    value();
    code.i32(NZCV_BITS).op(0x71, 0xad).set(locals.flagsA).i32(PACKED).set(locals.flagsKind);
    this.known = { kind: PACKED };
  }

  nzcv(): void {
    if (this.known !== null && this.known.kind === PACKED) this.code.get(this.locals.flagsA).op(0xa7);
    else this.unknown.nzcv();
  }

  condition(node: Node): void {
    this.holds(Number(node.value));
  }

  holds(condition: number): void {
    const { code, known } = this;
    if (condition >= AL) code.i32(1);
    else if (known === null) this.unknown.holds(condition);
    else {
      this.holdsAfter(known.kind, condition);
      if ("unless" in known) code.i32((conditions[condition]! >>> (known.nzcv >>> 28)) & 1).get(known.unless).op(0x1b); // biome-ignore format: one line
    }
  }

  private holdsAfter(kind: number, condition: number): void {
    const { code } = this;
    const bits = (kind & 1) === 1 ? 64 : 32;
    const comparison = comparisons[condition];
    if (kind === PACKED) this.amongPacked(condition);
    else if (kind === flagsKind("sub", bits)) {
      if (typeof comparison === "number") this.compare(bits, comparison);
      else this.signOf(bits, condition);
    } else if (kind === flagsKind("logic", bits)) {
      if (typeof comparison === "number" && withoutCarry.has(condition)) this.compare(bits, comparison);
      else if ((condition & ~1) === MI) {
        this.operand("flagsA", bits);
        this.negative(bits, condition);
      } else code.i32((falseAfterLogic.has(condition & ~1) ? 0 : 1) ^ (condition & 1));
    } else this.unknown.holds(condition);
  }

  private operand(of: "flagsA" | "flagsB", bits: 32 | 64): void {
    this.code.get(this.locals[of]);
    if (bits === 32) this.code.op(0xa7);
  }

  private compare(bits: 32 | 64, comparison: number): void {
    this.operand("flagsA", bits);
    this.operand("flagsB", bits);
    this.code.op(bits === 64 ? comparison : comparison + TO_32);
  }

  /** Whether what is on the stack is negative, or with the odd condition not. */
  private negative(bits: 32 | 64, condition: number): void {
    const { code } = this;
    if (bits === 64) code.i64(63).op(0x88, 0xa7);
    else code.i32(31).op(0x76);
    if ((condition & 1) === 1) code.op(0x45);
  }

  /** MI, PL, VS and VC of a subtraction. */
  private signOf(bits: 32 | 64, condition: number): void {
    const { code } = this;
    const [sub, xor, and] = bits === 64 ? [0x7d, 0x85, 0x83] : [0x6b, 0x73, 0x71];
    const difference = () => {
      this.operand("flagsA", bits);
      this.operand("flagsB", bits);
      code.op(sub!);
    };
    if ((condition & ~1) === VS) {
      this.operand("flagsA", bits);
      this.operand("flagsB", bits);
      code.op(xor!);
      this.operand("flagsA", bits);
      difference();
      code.op(xor!, and!);
    } else difference();
    this.negative(bits, condition);
  }

  private amongPacked(condition: number): void {
    this.code.i32(conditions[condition]!);
    this.code.get(this.locals.flagsA).op(0xa7).i32(28).op(0x76, 0x76).i32(1).op(0x71);
  }
}
