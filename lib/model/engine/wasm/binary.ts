// WebAssembly's binary format, as much of it as the engine needs. WebAssembly Core Specification, chapter 5.

export const I32 = 0x7f;
export const I64 = 0x7e;
export const F32 = 0x7d;
export const F64 = 0x7c;
export const V128 = 0x7b;
export type ValueType = typeof I32 | typeof I64 | typeof F32 | typeof F64 | typeof V128;
const EMPTY = 0x40;

function unsigned(value: number, out: number[]): void {
  let rest = value >>> 0;
  for (; rest > 0x7f; rest >>>= 7) out.push((rest & 0x7f) | 0x80);
  out.push(rest);
}

function leb(value: number): number[] {
  const out: number[] = [];
  unsigned(value, out);
  return out;
}

function signed(value: bigint, out: number[]): void {
  for (let rest = value; ; ) {
    const low = Number(rest & 0x7fn);
    rest >>= 7n;
    if ((rest === 0n && low < 0x40) || (rest === -1n && low >= 0x40)) {
      out.push(low);
      return;
    }
    out.push(low | 0x80);
  }
}

/** A label that code can branch to: how deep it is nested. */
export type Label = number;
export type Local = number;

/** The code of one function. */
export class Code {
  private bytes: number[] = [];
  private beginning: number[] = [];
  private readonly locals: ValueType[] = [];
  private depth = 0;
  /** Branches by their offset in `bytes`, and whether they are taken more often than not. */
  private readonly hints: { readonly at: number; readonly taken: 0 | 1 }[] = [];
  private hint: 0 | 1 | null = null;
  /** Blocks around the whole: the innermost is label 0, the next -1, and so on; `end` leaves them, too. */
  around = 0;

  constructor(private readonly parameters: number) {}

  /** Puts code without branches before all that there is. */
  atBegin(make: () => void): void {
    const { bytes } = this;
    this.bytes = [];
    make();
    this.beginning = this.bytes.concat(this.beginning);
    this.bytes = bytes;
  }

  /** The next `if` or `branchIf` is hardly ever taken. */
  unlikely(): this {
    this.hint = 0;
    return this;
  }
  private hinted(): void {
    if (this.hint !== null) this.hints.push({ at: this.bytes.length, taken: this.hint });
    this.hint = null;
  }

  local(type: ValueType): Local {
    this.locals.push(type);
    return this.parameters + this.locals.length - 1;
  }

  op(...opcodes: number[]): this {
    for (const opcode of opcodes) this.bytes.push(opcode);
    return this;
  }
  /** An instruction of the 0xfd space. */
  vector(opcode: number, ...lanes: number[]): this {
    this.bytes.push(0xfd);
    unsigned(opcode, this.bytes);
    return this.op(...lanes);
  }
  get(local: Local): this {
    this.bytes.push(0x20);
    unsigned(local, this.bytes);
    return this;
  }
  set(local: Local): this {
    this.bytes.push(0x21);
    unsigned(local, this.bytes);
    return this;
  }
  tee(local: Local): this {
    this.bytes.push(0x22);
    unsigned(local, this.bytes);
    return this;
  }
  i32(value: number): this {
    this.bytes.push(0x41);
    signed(BigInt(value | 0), this.bytes);
    return this;
  }
  i64(value: bigint | number): this {
    this.bytes.push(0x42);
    signed(BigInt.asIntN(64, BigInt(value)), this.bytes);
    return this;
  }
  /** A load or store: `opcode` may have a prefix byte (0xfe, 0xfd). `align`: log2. */
  memory(opcode: number | readonly [prefix: number, opcode: number], align: number, offset = 0): this {
    if (typeof opcode === "number") this.bytes.push(opcode);
    else {
      this.bytes.push(opcode[0]);
      unsigned(opcode[1], this.bytes);
    }
    unsigned(align, this.bytes);
    unsigned(offset, this.bytes);
    return this;
  }
  call(index: number): this {
    this.bytes.push(0x10);
    unsigned(index, this.bytes);
    return this;
  }

  /** A function of the module's table, by the index on the stack; `type`: see Module.signature. */
  callIndirect(type: number, table = 0): this {
    this.bytes.push(0x11);
    unsigned(type, this.bytes);
    return this.op(table);
  }

  /** The same instead of this function. */
  returnCallIndirect(type: number): this {
    this.bytes.push(0x13);
    unsigned(type, this.bytes);
    return this.op(0);
  }

  block(): Label {
    this.bytes.push(0x02, EMPTY);
    return ++this.depth;
  }
  loop(): Label {
    this.bytes.push(0x03, EMPTY);
    return ++this.depth;
  }
  if(result: ValueType | typeof EMPTY = EMPTY): Label {
    this.hinted();
    this.bytes.push(0x04, result);
    return ++this.depth;
  }
  else(): this {
    return this.op(0x05);
  }
  end(): this {
    this.depth--;
    return this.op(0x0b);
  }
  branch(label: Label): this {
    this.bytes.push(0x0c);
    unsigned(this.depth - label, this.bytes);
    return this;
  }
  branchIf(label: Label): this {
    this.hinted();
    this.bytes.push(0x0d);
    unsigned(this.depth - label, this.bytes);
    return this;
  }
  /** By index, the last label for all others. */
  branchTable(labels: readonly Label[]): this {
    this.bytes.push(0x0e);
    unsigned(labels.length - 1, this.bytes);
    for (const label of labels) unsigned(this.depth - label, this.bytes);
    return this;
  }
  return(): this {
    return this.op(0x0f);
  }

  private header(): number[] {
    const out: number[] = [];
    unsigned(this.locals.length, out);
    for (const type of this.locals) out.push(1, type);
    for (let n = 0; n < this.around; n++) out.push(0x02, EMPTY);
    for (const byte of this.beginning) out.push(byte);
    return out;
  }

  /** The function's entry of the code section. */
  body(): number[] {
    const header = this.header();
    const out: number[] = [];
    unsigned(header.length + this.bytes.length + 1, out);
    // Not byte by byte: that is most of the time that a module takes (measured).
    return out.concat(header, this.bytes, 0x0b);
  }

  /** Its entry of the section of branch hints: how many, and each. null: it has none. */
  branchHints(): number[] | null {
    if (this.hints.length === 0) return null;
    const before = this.header().length;
    const out: number[] = [];
    unsigned(this.hints.length, out);
    for (const { at, taken } of this.hints) {
      unsigned(before + at, out);
      out.push(1, taken);
    }
    return out;
  }
}

interface Signature {
  readonly parameters: readonly ValueType[];
  readonly results: readonly ValueType[];
}

/** A module with one imported memory, `env.memory`, imported functions from `env`, and exported functions; perhaps a table. */
export class Module {
  private readonly types: Signature[] = [];
  private readonly imports: { readonly name: string; readonly type: number }[] = [];
  private readonly functions: { readonly type: number; code: Code | null; readonly name: string | null }[] = [];

  private table: { readonly name: string; readonly entries: number } | null = null;
  /** It imports a table of functions, `env.table`: that is number 0, before its own. */
  hasTable = false;

  constructor(private readonly maximumPages: number) {}

  /** Index of a type. */
  signature(parameters: readonly ValueType[], results: readonly ValueType[]): number {
    const same = this.types.findIndex(
      (type) => type.parameters.join() === parameters.join() && type.results.join() === results.join(),
    );
    return same >= 0 ? same : this.types.push({ parameters, results }) - 1;
  }

  /** All imports come before the first function. */
  import(name: string, parameters: readonly ValueType[], results: readonly ValueType[]): number {
    return this.imports.push({ name, type: this.signature(parameters, results) }) - 1;
  }

  /** An exported table of functions, empty at first. */
  exportTable(name: string, entries: number): void {
    this.table = { name, entries };
  }

  /** A function whose code is still to be written; gives its index. */
  function(parameters: readonly ValueType[], results: readonly ValueType[], name: string | null, code: Code): number {
    return this.imports.length + this.functions.push({ type: this.signature(parameters, results), code, name }) - 1;
  }

  bytes(): Uint8Array {
    const out: number[][] = [[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]];
    section(out, 1, this.types.map(({ parameters, results }) => [0x60, parameters.length, ...parameters, results.length, ...results])); // biome-ignore format: one line
    const memory = [...text("env"), ...text("memory"), 2, 3, 1];
    unsigned(this.maximumPages, memory);
    const imported = this.hasTable ? [[...text("env"), ...text("table"), 1, 0x70, 0, 0]] : [];
    section(out, 2, [
      memory,
      ...imported,
      ...this.imports.map(({ name, type }) => [...text("env"), ...text(name), 0, type]),
    ]);
    section(out, 3, this.functions.map(({ type }) => [type])); // biome-ignore format: one line
    const { table } = this;
    if (table !== null) section(out, 4, [[0x70, 0, ...leb(table.entries)]]);
    const exported = this.functions.flatMap(({ name }, n) => (name === null ? [] : [{ name, n }]));
    const exports = exported.map(({ name, n }) => [...text(name), 0, ...leb(this.imports.length + n)]);
    if (table !== null) exports.push([...text(table.name), 1, this.hasTable ? 1 : 0]);
    section(out, 7, exports);
    this.addHints(out);
    section(out, 10, this.functions.map(({ code }) => code!.body())); // biome-ignore format: one line
    return new Uint8Array(([] as number[]).concat(...out));
  }

  /** WebAssembly branch hinting, section "metadata.code.branch_hint". */
  private addHints(out: number[][]): void {
    const hints = this.functions.flatMap(({ code }, n) => {
      const entry = code!.branchHints();
      if (entry === null) return [];
      const index: number[] = [];
      unsigned(this.imports.length + n, index);
      return [index.concat(entry)];
    });
    if (hints.length === 0) return;
    const content = text("metadata.code.branch_hint").concat(leb(hints.length), ...hints);
    out.push([0, ...leb(content.length)], content);
  }
}

function text(name: string): number[] {
  return [name.length, ...Buffer.from(name, "latin1")];
}

function section(out: number[][], id: number, items: readonly (readonly number[])[]): void {
  const content = leb(items.length).concat(...items);
  out.push([id, ...leb(content.length)], content);
}
