// Operands as a region has them: numbers are a part of the code, registers are in locals.

import { cells } from "../../cpu/state.js";
import { type Code, I32, I64, type Local, type ValueType } from "../wasm/binary.js";
import type { Operands } from "../wasm/function.js";
import type { Node } from "../wasm/trace.js";
import { registerOf, SP } from "./instruction.js";
import type { Place } from "./region.js";

const ZERO = cells.zero * 8;
const DISCARDED = cells.discarded * 8;

/** Byte offset in the state of a register that has a local. */
export function cellOf(register: number): number {
  return 8 * (register === SP ? cells.stackPointer : cells.x + register);
}

export class Registers implements Operands {
  private readonly locals: (Local | undefined)[] = [];
  /** The place of the instruction whose code is made. */
  at: Place = 0;

  constructor(
    private readonly code: Code,
    private readonly base: Local,
    /** The virtual address of the page. */
    private readonly page: Local,
  ) {}

  local(register: number): Local {
    let local = this.locals[register];
    if (local === undefined) {
      local = this.code.local(I64);
      this.locals[register] = local;
    }
    return local;
  }

  load(register: number): void {
    this.code.get(this.base).memory(0x29, 3, cellOf(register)).set(this.local(register));
  }
  store(register: number): void {
    this.code.get(this.base).get(this.local(register)).memory(0x37, 3, cellOf(register));
  }

  place(cell: Node): void {
    if (registerOf(cell) !== null) throw new Error("a register in a local has no place");
    this.code.get(this.base).i32(Number(cell.value)).op(0x6a);
  }

  read(cell: Node, type: ValueType): void {
    const { code } = this;
    const register = registerOf(cell);
    const offset = Number(cell.value);
    if (offset === ZERO) {
      if (type === I64) code.i64(0);
      else code.i32(0);
    } else if (register === null) code.get(this.base).memory(type === I64 ? 0x29 : 0x28, type === I64 ? 3 : 2, offset);
    else {
      code.get(this.local(register));
      if (type === I32) code.op(0xa7);
    }
  }

  write(cell: Node, value: () => void): void {
    const { code } = this;
    const register = registerOf(cell);
    if (Number(cell.value) === DISCARDED) return;
    if (register === null) {
      code.get(this.base);
      value();
      code.memory(0x37, 3, Number(cell.value));
    } else {
      value();
      code.set(this.local(register));
    }
  }

  constant(node: Node): void {
    if (node.type === I64) this.code.i64(node.value);
    else this.code.i32(Number(BigInt.asIntN(32, node.value)));
  }

  amount(node: Node, type: ValueType): void {
    if (type === I64) this.code.i64(node.value);
    else this.code.i32(Number(node.value));
  }

  pc(): void {
    this.code.get(this.page);
    if (this.at !== 0) this.code.i64(4 * this.at).op(0x7c);
  }

  stackPointer(): void {
    this.code.get(this.local(SP)).op(0xa7);
  }
}
