// What system instructions do without the evaluator.

import { sysRegIndex } from "../../../arm64/sysregs.js";
import { Attention, cells, Pstate } from "../../cpu/state.js";
import { type Code, I32, I64 } from "./binary.js";
import type { Labels, Locals } from "./function.js";
import type { HandlerEmitter } from "./handlers.js";
import { entryOf } from "./memory-access.js";
import { i32, i64 } from "./opcodes.js";
import { Block } from "./record.js";
import type { Needs } from "./system-registers.js";
import type { Effect, Node } from "./trace.js";

const MODE = cells.flags * 8;

/** The code of an effect; false: it is none of these. */
export function systemEffect(emitter: HandlerEmitter, { op, args, extra }: Effect): boolean {
  const { code, locals, labels } = emitter.context;
  switch (op) {
    case "needs":
      if (extra === "CNTVCT" || extra === "UCI") {
        allowed(code, locals, labels, extra);
        return true;
      }
      code.get(locals.base).memory(0x28, 2, MODE);
      if ((extra as Needs) === "EL1") code.i32(Pstate.EL).op(0x71, 0x45);
      else
        code
          .i32(Pstate.EL | Pstate.SP)
          .op(0x71)
          .i32(5)
          .op(0x47);
      code.branchIf(labels.step);
      return true;
    case "mask":
      code.get(locals.base);
      code.get(locals.base).memory(0x28, 2, MODE);
      if (extra === "DAIF") code.i32(~Pstate.DAIF).op(0x71);
      emitter.value(args[0]!);
      if (extra === "DAIF") code.i32(Pstate.DAIF).op(0x71);
      if (extra === "DAIFClr") code.i32(-1).op(0x73, 0x71);
      else code.op(0x72);
      code.memory(0x36, 2, MODE);
      attentionOf(code, locals);
      return true;
    case "zero":
      zero(emitter, args);
      return true;
    case "pointer":
      pointer(emitter, args[0]!, extra as number);
      return true;
    default:
      return called(emitter, op, args, extra);
  }
}

/** Bits of registers that let EL0 in. */
const EL0_CONTROL = {
  CNTVCT: { cell: cells.sysregs + sysRegIndex("CNTKCTL_EL1"), bit: 1 << 1 },
  UCI: { cell: cells.sysregs + sysRegIndex("SCTLR_EL1"), bit: 1 << 26 },
} as const;

function allowed(code: Code, { base }: Locals, { step }: Labels, control: keyof typeof EL0_CONTROL): void {
  const { cell, bit } = EL0_CONTROL[control];
  code.get(base).memory(i32.load, 2, MODE).i32(Pstate.EL).op(i32.and, i32.eqz);
  code
    .get(base)
    .memory(i32.load, 2, cell * 8)
    .i32(bit)
    .op(i32.and, i32.eqz, i32.and)
    .branchIf(step);
}

/** What JavaScript does. */
function called(emitter: HandlerEmitter, op: string, args: readonly Node[], extra: string | number): boolean {
  const { code, locals, labels, helpers, operands, calls } = emitter.context;
  const { block } = locals;
  if (calls === undefined) return false;
  const operand = () => {
    code.get(block);
    emitter.value(args[0]!);
    code.memory(i64.store, 3, Block.operand * 4);
  };
  switch (op) {
    case "counter": {
      const [result] = args as [Node];
      result.local = emitter.temporary(I64);
      code.call(calls.counter).get(block);
      code.memory(i64.load, 3, Block.operand * 4).set(result.local);
      return true;
    }
    case "invalidate":
      operand();
      emitter.value(args[1]!);
      code.call(calls.invalidate);
      code.op(i32.eqz).branchIf(labels.step);
      return true;
    case "maintain": {
      // Whoever maintains a page must be able to read it.
      const address = emitter.address(args[0]!);
      const at = emitter.temporary(I32);
      code.get(address);
      entryOf(code);
      code.get(locals.reads).op(i32.add).get(address).i64(0).i64(0).call(helpers.place).tee(at).op(i32.eqz);
      code.branchIf(labels.step);
      if (extra === "instructions") code.get(block).get(at).call(calls.changed).call(calls.instructions);
      return true;
    }
    case "writeSystem":
      operand();
      emitter.value(args[1]!);
      code.call(calls.write);
      code.op(i32.eqz).branchIf(labels.step);
      // It counts for the next instruction, and so does an interrupt that it brings.
      operands.pc();
      code.i64(4).op(i64.add).set(locals.pc).i32(0).set(locals.btype).branch(labels.indirect);
      return true;
    default:
      return false;
  }
}

/** The attention bits that PSTATE does not mask, into the block. */
export function attentionOf(code: Code, { base, block }: Locals): void {
  const shifts = [
    { bit: Pstate.I, by: Attention.irq },
    { bit: Pstate.F, by: Attention.fiq },
    { bit: Pstate.A, by: Attention.serror },
  ];
  code.get(block).i32(Attention.kick | Attention.flush);
  for (const { bit, by } of shifts) {
    code.get(base).memory(0x28, 2, MODE).i32(-1).op(0x73).i32(bit).op(0x71);
    code.i32(Math.log2(bit) - Math.log2(by)).op(0x76, 0x72);
  }
  code.memory(0x36, 2, Block.attention * 4);
}

/** DC ZVA, where it may be and the page is at hand. */
function zero(emitter: HandlerEmitter, args: Effect["args"]): void {
  const { code, locals, labels, helpers } = emitter.context;
  const at = emitter.temporary(I32);
  const bytes = emitter.temporary(I32);
  const address = emitter.temporary(I64);
  code
    .get(locals.block)
    .memory(0x28, 2, Block.zeroBytes * 4)
    .tee(bytes)
    .op(0x45)
    .branchIf(labels.step);
  emitter.value(args[0]!);
  code.i64(0).get(bytes).op(0xad, 0x7d, 0x83).tee(address);
  entryOf(code);
  code.get(locals.writes).op(0x6a).tee(at).memory(0x29, 3);
  code.get(address).i64(-4096).op(0x83, 0x52).if();
  code.get(at).get(address).get(bytes).op(0xad).i64(1).op(0x7d).i64(-1).call(helpers.place).tee(at).op(0x45);
  code.branchIf(labels.step).else();
  code.get(at).memory(0x28, 2, 8).get(address).op(0xa7, 0x6a).set(at);
  code.end();
  code.get(bytes).i32(64).op(0x46).if();
  for (let n = 0; n < 64; n += 8) code.get(at).i64(0).memory(0x37, 3, n);
  code.else();
  code.get(at).i32(0).get(bytes).op(0xfc, 0x0b, 0);
  code.end();
}

/** A pointer that is signed or authenticated, if any are; what is not remembered, the evaluator computes. */
function pointer(emitter: HandlerEmitter, result: Node, kind: number): void {
  const { code, locals, labels, helpers } = emitter.context;
  const at = emitter.temporary(I32);
  const [value, modifier] = result.args;
  result.local = emitter.temporary(I64);
  emitter.value(value!);
  code.set(result.local);
  code
    .get(locals.block)
    .memory(0x28, 2, Block.pointers * 4)
    .tee(at)
    .if();
  code.get(at).i32(kind).get(result.local);
  emitter.again(modifier!);
  code.call(helpers.pointer).tee(at).op(0x45).branchIf(labels.step);
  code.get(at).memory(0x29, 3).set(result.local);
  code.end();
}
