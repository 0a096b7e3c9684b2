// Reading text that is still being written, line by line.

import { closeSync, openSync, readSync, statSync } from "node:fs";

/** Bytes in, whole lines out. */
export class LineSplitter {
  #rest = "";
  readonly #decoder = new TextDecoder();

  push(bytes: Uint8Array): string[] {
    const lines = (this.#rest + this.#decoder.decode(bytes, { stream: true })).split(/\r*\n/);
    this.#rest = lines.pop() ?? "";
    return lines;
  }

  rest(): string[] {
    return this.#rest ? [this.#rest] : [];
  }
}

/** Reads what was added to a file since the last time. */
export class FileTail {
  #at = 0;
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  read(): Uint8Array {
    const bytes = (statSync(this.#path, { throwIfNoEntry: false })?.size ?? 0) - this.#at;
    if (bytes <= 0) return new Uint8Array(0);
    const buffer = Buffer.alloc(bytes);
    const file = openSync(this.#path, "r");
    try {
      this.#at += readSync(file, buffer, 0, bytes, this.#at);
    } finally {
      closeSync(file);
    }
    return buffer;
  }
}
