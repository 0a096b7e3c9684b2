// PSTATE.NZCV is computed when somebody asks: what set it is kept in locals. Kinds: 0, it stands in its cell; otherwise
// twice the operation, plus 1 for 64 bits; 1, it is the first operand. Operands of 32 bits are kept zero-extended.

import { cells } from "../../cpu/state.js";
import { conditions } from "../wide.js";
import { Code, I32, I64 } from "./binary.js";
import type { Flags, Helpers, Locals, Operands } from "./function.js";
import type { Node } from "./trace.js";

/** Byte offset of the word that holds NZCV in bits 31:28. */
export const NZCV = cells.flags * 8 + 4;

/** The kind of flags that stand in the first operand. */
export const PACKED = 1;

const operations = { sub: 1, logic: 2, add: 3 } as const;

export function flagsKind(operation: keyof typeof operations, bits: 32 | 64): number {
  return operations[operation] * 2 + (bits === 64 ? 1 : 0);
}

/** N and Z of `r`, in bits 31 and 30; then what of `carry` and `overflow` has bit 63 set, in bits 29 and 28. */
function packed(code: Code, r: number, carry: () => void, overflow: () => void): void {
  code.get(r).i64(63).op(0x88, 0xa7).i32(31).op(0x74);
  code.get(r).op(0x50).i32(30).op(0x74, 0x72);
  carry();
  code.i64(63).op(0x88, 0xa7).i32(29).op(0x74, 0x72);
  overflow();
  code.i64(63).op(0x88, 0xa7).i32(28).op(0x74, 0x72);
}

/** Code of the helper `nzcv(kind, a, b, base)`. */
export function nzcvHelper(): Code {
  const code = new Code(4);
  const [kind, a, b, base] = [0, 1, 2, 3];
  const r = code.local(I64);
  code.get(kind).op(0x45).if();
  code.get(base).memory(0x28, 2, NZCV).return();
  code.end();
  code.get(kind).i32(PACKED).op(0x46).if();
  code.get(a).op(0xa7).return();
  code.end();
  // In the upper half, 32 bits have the flags of 64.
  code.get(kind).i32(1).op(0x71, 0x45).if();
  code.get(a).i64(32).op(0x86).set(a).get(b).i64(32).op(0x86).set(b);
  code.end();
  const result = (operation: keyof typeof operations, body: () => void) => {
    code.get(kind).i32(1).op(0x76).i32(operations[operation]).op(0x46).if();
    body();
    code.return().end();
  };
  result("sub", () => {
    code.get(a).get(b).op(0x7d).set(r);
    packed(
      code,
      r,
      () => code.get(a).get(b).op(0x5a).op(0xad).i64(63).op(0x86),
      () => code.get(a).get(b).op(0x85).get(a).get(r).op(0x85, 0x83),
    );
  });
  result("add", () => {
    code.get(a).get(b).op(0x7c).set(r);
    packed(
      code,
      r,
      () => code.get(r).get(a).op(0x54).op(0xad).i64(63).op(0x86),
      () => code.get(a).get(r).op(0x85).get(b).get(r).op(0x85, 0x83),
    );
  });
  code.get(a).set(r);
  packed(code, r, () => code.i64(0), () => code.i64(0)); // biome-ignore format: one line
  return code;
}

/** Code of `carryFlags(a, b, r)`: of r = a + b + C, in the upper half where they have 32 bits. */
export function carryFlagsHelper(): Code {
  const code = new Code(3);
  const [a, b, r] = [0, 1, 2];
  packed(
    code,
    r,
    () => code.get(a).get(b).op(0x83).get(a).get(b).op(0x84).get(r).i64(-1).op(0x85, 0x83, 0x84),
    () => code.get(a).get(r).op(0x85).get(b).get(r).op(0x85, 0x83),
  );
  return code;
}

/** Comparisons of the operands of a subtraction, by condition: of 64 bits; those of 32 are 11 opcodes before. */
// biome-ignore format: table
export const comparisons: readonly (number | null)[] = [
  0x51, 0x52, 0x5a, 0x54, null, null, null, null, // EQ NE CS CC MI PL VS VC
  0x56, 0x58, 0x59, 0x53, 0x55, 0x57,             // HI LS GE LT GT LE
];
export const TO_32 = -11;
/** Conditions that do not look at C: for them, N and Z of a result are those of subtracting 0. */
export const withoutCarry: ReadonlySet<number> = new Set([0, 1, 10, 11, 12, 13]);

/** What the interpreter knows of the flags is in locals, their kind, too. */
export class KindInLocal implements Flags {
  constructor(
    private readonly code: Code,
    private readonly locals: Locals,
    private readonly helpers: Pick<Helpers, "nzcv">,
    private readonly operands: Operands,
  ) {}

  lazy(kind: number, a: () => void, b: () => void): void {
    const { code, locals } = this;
    a();
    code.set(locals.flagsA);
    b();
    code.set(locals.flagsB).i32(kind).set(locals.flagsKind);
  }

  lazyIf(condition: Node, kind: number, { a, b }: { a: () => void; b: () => void }, otherwise: Node): void {
    const { code } = this;
    this.condition(condition);
    code.if();
    this.lazy(kind, a, b);
    code.else();
    this.set(() => {
      this.operands.amount(otherwise, I32);
      code.i32(16).op(0x74);
    });
    code.end();
  }

  /** Into the cell. */
  set(value: () => void): void {
    const { code, locals } = this;
    code.get(locals.base);
    value();
    code.i32(0xf000_0000).op(0x71).memory(0x36, 2, NZCV);
    code.i32(0).set(locals.flagsKind);
  }

  nzcv(): void {
    const { code, locals } = this;
    code.get(locals.flagsKind).get(locals.flagsA).get(locals.flagsB).get(locals.base).call(this.helpers.nzcv);
  }

  condition(node: Node): void {
    this.among(() => this.operands.amount(node.args[0]!, I32));
  }

  /** Whether the flags are among those of a set of 16. */
  private among(set: () => void): void {
    set();
    this.nzcv();
    this.code.i32(28).op(0x76, 0x76).i32(1).op(0x71);
  }

  holds(condition: number): void {
    const { code, locals } = this;
    if (condition >= 14) {
      code.i32(1);
      return;
    }
    const otherwise = () => this.among(() => code.i32(conditions[condition]!));
    const comparison = comparisons[condition];
    if (comparison === null || comparison === undefined) {
      otherwise();
      return;
    }
    const kinds = (bits: 32 | 64): number =>
      (1 << flagsKind("sub", bits)) | (withoutCarry.has(condition) ? 1 << flagsKind("logic", bits) : 0);
    const isOneOf = (bits: 32 | 64) => {
      const set = kinds(bits);
      if ((set & (set - 1)) === 0) code.get(locals.flagsKind).i32(flagsKind("sub", bits)).op(0x46);
      else code.i32(set).get(locals.flagsKind).op(0x76).i32(1).op(0x71);
    };
    isOneOf(64);
    code.if(I32);
    code.get(locals.flagsA).get(locals.flagsB).op(comparison);
    code.else();
    isOneOf(32);
    code.if(I32);
    code
      .get(locals.flagsA)
      .op(0xa7)
      .get(locals.flagsB)
      .op(0xa7)
      .op(comparison + TO_32);
    code.else();
    otherwise();
    code.end().end();
  }
}
