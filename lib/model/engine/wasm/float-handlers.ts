// The code of nodes of floating point.

import { F32, F64, I32 } from "./binary.js";
import { bitsOf, constant, FloatCode, opcode } from "./float-code.js";
import { FloatVectorCode } from "./float-vector-code.js";
import type { Node } from "./trace.js";
import { type TraceCode, vectorConstant } from "./vector-handlers.js";

/** The code of a value; false: it is none of these. */
export function floatValue(emitter: TraceCode, node: Node): boolean {
  const { code, operands } = emitter.context;
  const { op, args, extra } = node;
  const bits = bitsOf(node);
  switch (op) {
    case "readF":
      operands.place(args[0]!);
      if (bits === 64) code.memory(0x2b, 3);
      else code.memory(0x2a, 2);
      return true;
    case "zeroF":
      constant(code, bits, 0);
      return true;
    case "laneF":
      emitter.value(args[0]!);
      code.vector(bits === 64 ? 0x21 : 0x1f, extra as number);
      return true;
    case "scalarV":
    case "lanesV":
      vectorConstant(code, 0n, 0n);
      for (const [lane, arg] of args.entries()) {
        emitter.value(arg);
        if (arg.type === F64) code.vector(0x22, lane);
        else if (arg.type === F32) code.vector(0x20, lane);
        else if (arg.type === I32) code.vector(0x1c, lane);
        else if (extra === 64) code.vector(0x1e, lane);
        else code.op(0xa7).vector(0x1c, lane);
      }
      return true;
    case "fpSign":
      emitter.value(args[0]!);
      code.op(opcode(extra as "neg" | "abs", bits));
      return true;
    case "fpFlagsIf":
      emitter.value(args[1]!);
      emitter.value(args[2]!);
      code.i32(16).op(0x74);
      emitter.value(args[0]!);
      code.op(0x1b);
      return true;
    default:
      break;
  }
  const method = methods[op];
  if (method === undefined) return false;
  method(emitter, node);
  return true;
}

type Method = (emitter: TraceCode, node: Node) => void;
const scalar =
  (of: (code: FloatCode, node: Node) => void): Method =>
  (emitter, node) =>
    of(new FloatCode(emitter), node);
const vector =
  (of: (code: FloatVectorCode, node: Node) => void): Method =>
  (emitter, node) =>
    of(new FloatVectorCode(emitter, new FloatCode(emitter)), node);

const methods: Readonly<Record<string, Method>> = {
  fpTwo: scalar((code, node) => code.two(node)),
  fpSqrt: scalar((code, node) => code.sqrt(node)),
  fpExtreme: scalar((code, node) => code.extreme(node)),
  fpMulAdd: scalar((code, node) => code.mulAdd(node)),
  fpWiden: scalar((code, node) => code.widen(node)),
  fpNarrow: scalar((code, node) => code.narrow(node)),
  fpRound: scalar((code, node) => code.round(node)),
  fpToFixed: scalar((code, node) => code.toFixed(node)),
  fpFromFixed: scalar((code, node) => code.fromFixed(node)),
  fpFlags: scalar((code, node) => code.flags(node)),
  fpToJavaScript: scalar((code, node) => code.toJavaScript(node)),
  fpIsJavaScript: scalar((code, node) => code.isJavaScript(node)),
  fpTwoV: vector((code, node) => code.vectorArithmetic(node)),
  fpSqrtV: vector((code, node) => code.vectorArithmetic(node)),
  fpExtremeV: vector((code, node) => code.vectorArithmetic(node)),
  fpCompareV: vector((code, node) => code.vectorCompare(node)),
};
