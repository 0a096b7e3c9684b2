// Handlers that are functions of modules of their own, made when an instruction of their shape is first met: there are
// thousands of shapes of SIMD instructions, and a program has few of them.

import { Code, I32, I64, type Local, Module, V128 } from "./binary.js";
import type { Context, Flags, Locals } from "./function.js";
import { HandlerEmitter } from "./handlers.js";
import { neededHelpers } from "./helpers.js";
import type { Exports } from "./module.js";
import { Block } from "./record.js";
import { RecordOperands } from "./record-operands.js";
import type { Node, Shape } from "./trace.js";

/** Pages of the largest memory. */
export const MOST_PAGES = 65536;
/** Shapes beyond are the evaluator's. */
export const MOST_OUTLINED = 8192;
/** The vCPU's state, the block, the record. The result: 1, the evaluator does the instruction. */
export const OUTLINED_PARAMETERS = [I32, I32, I32] as const;
export const OUTLINED_RESULTS = [I32] as const;

/** Of the helper "place". */
export const PLACE_PARAMETERS = [I32, I64, I64, I64] as const;

/** What stands in the interpreter's own function, which has the flags and the program counter. */
const plainNodes: ReadonlySet<string> = new Set(["readV", "readLow", "loadedV", "lowV", "scalarV"]);
/** Of one lane, between a register and memory or in a register. */
const laneEffects: ReadonlySet<string> = new Set(["writeLane", "load", "store"]);
/** Not often met. */
const rareNodes: ReadonlySet<string> = new Set(["fpRound", "fpExtreme"]);
const plainAccesses: ReadonlySet<string> = new Set(["4/4", "8/8", "16/16"]);

/** Of conversions, those with a fraction or another rounding than C's. */
function isRare({ op, args, extra }: Node): boolean {
  if (op === "fpToFixed") return args.length > 1 || !String(extra).startsWith("trunc/");
  return rareNodes.has(op) || (op === "fpFromFixed" && args.length > 1);
}

/** Whether a shape's handler is a function of its own. */
export function isOutlined({ effects }: Shape): boolean {
  if (effects[0]?.op !== "checkFp") return false;
  const seen = new Set<Node>();
  const isPlain = (node: Node): boolean => {
    if (seen.has(node)) return true;
    seen.add(node);
    if (node.type === V128 ? !plainNodes.has(node.op) : isRare(node)) return false;
    return node.args.every(isPlain);
  };
  return !effects.every(({ op, args, extra }) => {
    if ((op === "loadV" || op === "storeV") && !plainAccesses.has(String(extra))) return false;
    return !laneEffects.has(op) && args.every(isPlain);
  });
}

const NO_FLAGS = {} as Flags;

/** Modules by the keys of their shapes: those that this thread has met. */
const modules = new Map<string, WebAssembly.Module>();

/** The outlined handlers of one instance of the interpreter. */
export class OutlinedHandlers {
  /** What the interpreter's module exports for them. */
  exports: Pick<Exports, "outlined" | "place"> | null = null;
  private readonly known = new Map<string, number>();

  constructor(
    private readonly memory: WebAssembly.Memory,
    private readonly first: number,
  ) {}

  /** The number of a shape's handler; undefined: it has none. */
  of(shape: Shape): number | undefined {
    const known = this.known.get(shape.key);
    if (known !== undefined) return known;
    const index = this.known.size;
    if (!isOutlined(shape) || index === MOST_OUTLINED) return undefined;
    let module = modules.get(shape.key);
    if (module === undefined) {
      module = new WebAssembly.Module(outlinedModule(shape));
      modules.set(shape.key, module);
    }
    const { outlined, place } = this.exports!;
    const instance = new WebAssembly.Instance(module, { env: { memory: this.memory, place } });
    outlined.set(index, instance.exports["handler"]);
    this.known.set(shape.key, this.first + index);
    return this.first + index;
  }
}

function outlinedModule(shape: Shape): Uint8Array {
  const module = new Module(MOST_PAGES);
  const place = module.import("place", PLACE_PARAMETERS, [I32]);
  const code = new Code(OUTLINED_PARAMETERS.length);
  const [base, block, record] = [0, 1, 2];
  const reads = code.local(I32);
  const writes = code.local(I32);
  const tables: readonly (readonly [string, Local, number])[] = [
    ["load", reads, Block.reads],
    ["store", writes, Block.writes],
  ];
  for (const [kind, local, word] of tables) {
    if (shape.effects.some(({ op }) => op.startsWith(kind)))
      code
        .get(block)
        .memory(0x28, 2, word * 4)
        .set(local);
  }
  const step = code.block();
  const locals = { base, block, record, reads, writes } as Locals;
  const context: Context = {
    code,
    operands: new RecordOperands(code, locals),
    flags: NO_FLAGS,
    locals,
    labels: { step, next: step, jump: step, indirect: step },
    helpers: neededHelpers(module, { place }),
  };
  new HandlerEmitter(context).effects(shape.effects, () => {});
  code.i32(0).return().end().i32(1);
  module.function(OUTLINED_PARAMETERS, OUTLINED_RESULTS, "handler", code);
  return module.bytes();
}
