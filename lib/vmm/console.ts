// The guest's console as a Node stream: what is read from it the guest has printed, what is written to it the guest reads.
import { Duplex } from "node:stream";

/** A write for each byte is slow: bytes are collected into lines, and what is no line goes out soon. */
const MOST_LINE_BYTES = 4096;
const SOON_MS = 10;

export class LineCollector {
  readonly #take: (bytes: Uint8Array) => void;
  #line: number[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(take: (bytes: Uint8Array) => void) {
    this.#take = take;
  }

  readonly push = (byte: number): void => {
    this.#line.push(byte);
    if (byte === 0x0a || this.#line.length >= MOST_LINE_BYTES) this.flush();
    else this.#timer ??= setTimeout(() => this.flush(), SOON_MS);
  };

  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const line = Uint8Array.from(this.#line);
    this.#line = [];
    if (line.length > 0) this.#take(line);
  }
}

/** `receive` gets what is written to the stream; what the guest prints is pushed into it. */
export function consoleStream(receive: (bytes: Uint8Array) => void): Duplex {
  return new Duplex({
    read() {},
    write(chunk: Uint8Array, _encoding, done) {
      receive(chunk);
      done();
    },
  });
}
