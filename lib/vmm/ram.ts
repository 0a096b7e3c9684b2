// The guest's RAM as a device sees it: by guest physical address, every access checked, since addresses come from a guest
// that may mean harm.

/** Where the guest's RAM lies. */
export interface RamRange {
  readonly at: bigint;
  readonly bytes: number;
}

export class Ram implements RamRange {
  readonly at: bigint;
  readonly bytes: number;
  readonly #bytes: Uint8Array;
  readonly #halves: Uint16Array;
  readonly #view: DataView;

  constructor({ at, bytes }: { readonly at: bigint; readonly bytes: Uint8Array }) {
    this.at = at;
    this.bytes = bytes.length;
    this.#bytes = bytes;
    this.#halves = new Uint16Array(bytes.buffer, bytes.byteOffset, Math.floor(bytes.length / 2));
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  /** Where `bytes` bytes at a guest address begin in RAM; undefined: they are not all there, or not so aligned. */
  offsetOf(at: bigint, bytes: number, alignment = 1): number | undefined {
    if (at < this.at || at + BigInt(bytes) > this.at + BigInt(this.bytes)) return undefined;
    const offset = Number(at - this.at);
    return offset % alignment === 0 ? offset : undefined;
  }

  /** The bytes themselves, shared with the guest; undefined: they are not all RAM. */
  slice(at: bigint, bytes: number): Uint8Array | undefined {
    const offset = this.offsetOf(at, bytes);
    return offset === undefined ? undefined : this.#bytes.subarray(offset, offset + bytes);
  }

  // Of what `offsetOf` gave. 16-bit words are what CPUs and devices signal each other with: their accesses are ordered.
  loadU16 = (offset: number): number => Atomics.load(this.#halves, offset / 2);
  storeU16 = (offset: number, value: number): number => Atomics.store(this.#halves, offset / 2, value);
  getU16 = (offset: number): number => this.#view.getUint16(offset, true);
  getU32 = (offset: number): number => this.#view.getUint32(offset, true);
  getU64 = (offset: number): bigint => this.#view.getBigUint64(offset, true);
  setU32 = (offset: number, value: number): void => this.#view.setUint32(offset, value, true);
}
