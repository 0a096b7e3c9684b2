// Names for a guest's addresses, out of an ELF file's symbol table.

export interface GuestSymbol {
  readonly name: string;
  readonly at: bigint;
  readonly bytes: bigint;
}

export class SymbolTable {
  /** By address. */
  readonly #symbols: readonly GuestSymbol[];

  constructor(symbols: readonly GuestSymbol[]) {
    this.#symbols = [...symbols].sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0));
  }

  get size(): number {
    return this.#symbols.length;
  }

  /** The address of a name. */
  find(name: string): bigint | undefined {
    return this.#symbols.find((symbol) => symbol.name === name)?.at;
  }

  /** "start_kernel+0x40"; undefined: before all symbols, or behind the end of the one before. */
  nameOf(address: bigint): string | undefined {
    let [low, high] = [0, this.#symbols.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#symbols[middle] as GuestSymbol).at <= address) low = middle + 1;
      else high = middle;
    }
    const symbol = this.#symbols[low - 1];
    if (symbol === undefined) return undefined;
    const offset = address - symbol.at;
    if (symbol.bytes > 0n && offset >= symbol.bytes) return undefined;
    return offset === 0n ? symbol.name : `${symbol.name}+0x${offset.toString(16)}`;
  }
}
