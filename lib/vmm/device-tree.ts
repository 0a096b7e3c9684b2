// Flattened device trees: the Devicetree Specification 0.4, chapter 5. A tree is plain data; `flattenTree` makes the bytes
// that a kernel is given.

/** `true`: a property without a value. Numbers are cells of 32 bits, strings end in NUL, lists are both by the piece. */
export type PropertyValue = true | string | number | readonly string[] | readonly number[] | Uint8Array;

export interface TreeNode {
  /** With its unit address: "memory@40000000"; the root's is "". */
  readonly name: string;
  readonly properties?: Readonly<Record<string, PropertyValue>>;
  readonly children?: readonly TreeNode[];
}

const MAGIC = 0xd00dfeed;
const VERSION = 17;
const LAST_COMPATIBLE_VERSION = 16;
const HEADER_BYTES = 40;
const END_OF_RESERVATIONS = new Uint8Array(16);

const BEGIN_NODE = 1;
const END_NODE = 2;
const PROP = 3;
const END = 9;

/** A 64-bit number as two cells. */
export const cells64 = (value: bigint): [high: number, low: number] => [
  Number(value >> 32n),
  Number(value & 0xffff_ffffn),
];

/** Big-endian words and padded bytes, one after the other. */
class Block {
  readonly #pieces: Uint8Array[] = [];
  bytes = 0;

  append(bytes: Uint8Array): void {
    this.#pieces.push(bytes);
    this.bytes += bytes.length;
  }

  words(...values: number[]): void {
    const view = new DataView(new ArrayBuffer(4 * values.length));
    for (const [i, value] of values.entries()) view.setUint32(4 * i, value);
    this.append(new Uint8Array(view.buffer));
  }

  /** To a multiple of 4 bytes, where every token begins. */
  pad(): void {
    if (this.bytes % 4 !== 0) this.append(new Uint8Array(4 - (this.bytes % 4)));
  }

  copyTo(target: Uint8Array, at: number): void {
    for (const piece of this.#pieces) {
      target.set(piece, at);
      at += piece.length;
    }
  }
}

const encoder = new TextEncoder();
const text = (value: string): Uint8Array => encoder.encode(`${value}\0`);

function valueBytes(value: PropertyValue): Uint8Array {
  if (value === true) return new Uint8Array(0);
  if (value instanceof Uint8Array) return value;
  if (typeof value === "string") return text(value);
  const block = new Block();
  for (const item of typeof value === "number" ? [value] : value) {
    if (typeof item === "string") block.append(text(item));
    else block.words(item);
  }
  const bytes = new Uint8Array(block.bytes);
  block.copyTo(bytes, 0);
  return bytes;
}

export function flattenTree(root: TreeNode): Uint8Array {
  const structure = new Block();
  const strings = new Block();
  const known = new Map<string, number>();
  const offsetOf = (name: string): number => {
    const before = known.get(name);
    if (before !== undefined) return before;
    const offset = strings.bytes;
    known.set(name, offset);
    strings.append(text(name));
    return offset;
  };
  const write = ({ name, properties = {}, children = [] }: TreeNode): void => {
    structure.words(BEGIN_NODE);
    structure.append(text(name));
    structure.pad();
    for (const [property, value] of Object.entries(properties)) {
      const bytes = valueBytes(value);
      structure.words(PROP, bytes.length, offsetOf(property));
      structure.append(bytes);
      structure.pad();
    }
    children.forEach(write);
    structure.words(END_NODE);
  };
  write(root);
  structure.words(END);

  const structureAt = HEADER_BYTES + END_OF_RESERVATIONS.length;
  const stringsAt = structureAt + structure.bytes;
  const total = stringsAt + strings.bytes;
  const bootCpu = 0;
  const header = new Block();
  header.words(MAGIC, total, structureAt, stringsAt, HEADER_BYTES, VERSION, LAST_COMPATIBLE_VERSION, bootCpu);
  header.words(strings.bytes, structure.bytes);
  const tree = new Uint8Array(total);
  header.copyTo(tree, 0);
  structure.copyTo(tree, structureAt);
  strings.copyTo(tree, stringsAt);
  return tree;
}
