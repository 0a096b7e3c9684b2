// Operands as the interpreter has them: in the record of the instruction that runs.

import { cells } from "../../cpu/state.js";
import { type Code, I64, type ValueType } from "./binary.js";
import type { Locals, Operands } from "./function.js";
import { WIDE } from "./record.js";
import type { Node } from "./trace.js";

export class RecordOperands implements Operands {
  constructor(
    private readonly code: Code,
    private readonly locals: Locals,
  ) {}

  place(cell: Node): void {
    const { base, record } = this.locals;
    this.code
      .get(base)
      .get(record)
      .memory(0x2f, 1, cell.operand as number)
      .op(0x6a);
  }

  read(cell: Node, type: ValueType): void {
    this.place(cell);
    if (type === I64) this.code.memory(0x29, 3);
    else this.code.memory(0x28, 2);
  }

  write(cell: Node, value: () => void): void {
    this.place(cell);
    value();
    this.code.memory(0x37, 3);
  }

  constant(node: Node): void {
    const { code, locals } = this;
    const wide = node.type === I64;
    if (node.operand === "code") {
      if (wide) code.i64(node.value);
      else code.i32(Number(BigInt.asIntN(32, node.value)));
      return;
    }
    code.get(locals.record).memory(wide ? 0x29 : 0x28, wide ? 3 : 2, WIDE);
    if (node.operand !== "notWide") return;
    if (wide) code.i64(-1).op(0x85);
    else code.i32(-1).op(0x73);
  }

  amount(node: Node, type: ValueType): void {
    this.code.get(this.locals.record).memory(type === I64 ? 0x33 : 0x2f, 1, node.operand as number);
  }

  /** The record's place in its page, times 4 by 16. */
  pc(): void {
    const { page, record } = this.locals;
    this.code.get(page).get(record).i32(0x3fff).op(0x71).i32(2).op(0x76, 0xad, 0x7c);
  }

  stackPointer(): void {
    this.code.get(this.locals.base).memory(0x28, 2, cells.stackPointer * 8);
  }
}
