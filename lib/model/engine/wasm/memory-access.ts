// Loads and stores of guest memory: the translation is looked up in the tables that the evaluator fills; what is not
// there, the evaluator does.

import { ENTRIES, MUST_ALIGN } from "../page-cache.js";
import { Code, I32, type Local } from "./binary.js";
import type { Context } from "./function.js";
import { Block } from "./record.js";

/** Offsets in an entry: the tag of 64 bits, and what turns the address's lower half into the host's. */
const TAG = 0;
const ADDEND = 8;

/** From an address of 64 bits on the stack to its entry's place in a table. */
export function entryOf(code: Code): void {
  code
    .i64(8)
    .op(0x88, 0xa7)
    .i32((ENTRIES - 1) << 4)
    .op(0x71);
}

/** Which table an access looks into. */
export type Table = "reads" | "writes" | "userReads" | "userWrites";

function tableOf({ code, locals }: Context, table: Table): void {
  if (table === "reads" || table === "writes") code.get(locals[table]);
  else code.get(locals.block).memory(0x28, 2, Block[table] * 4);
}

/** The host address of `bytes` bytes, elements of `element` bytes, into `at`; otherwise the evaluator does it all. */
export function locate(
  context: Context,
  table: Table,
  address: Local,
  at: Local,
  bytes: number,
  element: number,
): void {
  const { code, labels, helpers } = context;
  code.get(address);
  entryOf(code);
  tableOf(context, table);
  code.op(0x6a).tee(at).memory(0x29, 3, TAG);
  code.get(address);
  // An entry is found by the first byte: if the last one lies in another page, the tag differs.
  if (bytes > 1) code.i64(bytes - 1).op(0x7c);
  code.i64(-4096).op(0x83, 0x52).unlikely().if();
  code
    .get(at)
    .get(address)
    .i64(bytes - 1)
    .i64(element - 1)
    .call(helpers.place)
    .tee(at)
    .op(0x45)
    .branchIf(labels.step);
  code.else();
  code.get(at).memory(0x28, 2, ADDEND).get(address).op(0xa7, 0x6a).set(at);
  code.end();
}

/** Code of `place(entry, address, bytes - 1, element - 1)`: pages where all must be aligned. 0: not there. */
export function placeHelper(): Code {
  const code = new Code(4);
  const [entry, address, last, mask] = [0, 1, 2, 3];
  code.get(entry).memory(0x29, 3, TAG);
  code.get(address).get(last).op(0x7c).i64(-4096).op(0x83);
  code.get(address).get(mask).op(0x83, 0x84).i64(MUST_ALIGN).op(0x84, 0x51).if(I32);
  code.get(entry).memory(0x28, 2, ADDEND).get(address).op(0xa7, 0x6a);
  code.else().i32(0).end();
  return code;
}
