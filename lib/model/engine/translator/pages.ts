// Loads and stores in loops: the page of the last access that began at a register is in locals, so that the tables are
// looked at when the page changes. While a region runs, nobody changes the tables.

import { Code, I32, I64, type Local } from "../wasm/binary.js";
import type { Access, Context } from "../wasm/function.js";
import { entryOf, locate } from "../wasm/memory-access.js";
import { Block } from "../wasm/record.js";
import type { Node } from "../wasm/trace.js";

/** No address: bits 63:52 of one are alike, but for a tag above bit 55. */
const NOWHERE = 0x0080_0000_0000_0000n;
const PAGE_BYTES = 4096;

interface Page {
  /** Virtual, and in the memory. */
  readonly address: Local;
  readonly place: Local;
}

/** `page(table, address, bytes - 1, element - 1)`: the page to remember, its place, and that of the access; 0: not there. */
export const PAGE_PARAMETERS = [I32, I64, I64, I64] as const;
export const PAGE_RESULTS = [I64, I32, I32] as const;

export function pageFinder(placeHelper: number): Code {
  const code = new Code(PAGE_PARAMETERS.length);
  const [table, address, last, mask] = [0, 1, 2, 3];
  const entry = code.local(I32);
  code.get(address);
  entryOf(code);
  code.get(table).op(0x6a).tee(entry).memory(0x29, 3);
  code.get(address).get(last).op(0x7c).i64(-PAGE_BYTES).op(0x83, 0x51).if();
  code.get(entry).memory(0x29, 3);
  code.get(entry).memory(0x28, 2, 8).get(entry).memory(0x28, 2).op(0x6a);
  code.get(entry).memory(0x28, 2, 8).get(address).op(0xa7, 0x6a);
  code.return().end();
  // Perhaps all must be aligned: such a page is looked up each time.
  code.i64(NOWHERE).i32(0);
  code.get(entry).get(address).get(last).get(mask).call(placeHelper);
  return code;
}

export class Pages {
  private readonly known = new Map<string, Page>();
  /** The code is in a loop. */
  inLoop = false;

  constructor(
    private readonly context: Context,
    private readonly find: () => number,
  ) {}

  locate({ table, address, at, bytes, element }: Access, place: Local): void {
    if (!this.inLoop) {
      locate(this.context, table, at, place, bytes, element);
      return;
    }
    const { code, locals, labels } = this.context;
    const page = this.page(`${table}${baseOf(address)}`);
    const offset = this.offset();
    code.get(at).get(page.address).op(0x7d).tee(offset);
    code
      .i64(PAGE_BYTES - bytes)
      .op(0x56)
      .unlikely()
      .if();
    if (table === "reads" || table === "writes") code.get(locals[table]);
    else code.get(locals.block).memory(0x28, 2, Block[table] * 4);
    code
      .get(at)
      .i64(bytes - 1)
      .i64(element - 1)
      .call(this.find());
    code.set(place).set(page.place).set(page.address);
    code.get(place).op(0x45).unlikely().branchIf(labels.step);
    code.else();
    code.get(page.place).get(offset).op(0xa7, 0x6a).set(place);
    code.end();
  }

  private offsetLocal: Local | null = null;
  private offset(): Local {
    this.offsetLocal ??= this.context.code.local(I64);
    return this.offsetLocal;
  }

  private page(key: string): Page {
    let page = this.known.get(key);
    if (page === undefined) {
      const { code } = this.context;
      page = { address: code.local(I64), place: code.local(I32) };
      this.known.set(key, page);
    }
    return page;
  }

  /** To the function's begin. */
  begin(): void {
    const { code } = this.context;
    code.atBegin(() => {
      for (const { address } of this.known.values()) code.i64(NOWHERE).set(address);
    });
  }
}

/** The cell of the register that an address begins at. */
function baseOf(address: Node): string {
  let node = address;
  while (node.op !== "read" && node.args.length > 0) node = node.args[0]!;
  return node.op === "read" ? String(node.args[0]!.value) : "";
}
