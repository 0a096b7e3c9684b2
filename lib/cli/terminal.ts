// The terminal as a guest's console: keys go to the guest as they are typed, but for an escape key, ctrl-A, and for a
// ctrl-C that nobody in the guest would take.
import process from "node:process";

const CTRL_A = 0x01;
const CTRL_C = 0x03;

export interface Guest {
  send(bytes: Uint8Array): void;
  /** Whether it waits for input and has taken all that it was sent. */
  readonly listening: boolean;
}

export interface Quit {
  /** ctrl-A x. */
  escape(): void;
  /** ctrl-C that the guest does not take. */
  interrupt(): void;
}

const help = "\r\nctrl-A x  end the machine\r\nctrl-A a  send ctrl-A\r\nctrl-A h  this text\r\n";

/** Splits what is typed into what the guest gets and what is ours. */
export class KeyFilter {
  readonly #guest: Guest;
  readonly #quit: Quit;
  readonly #print: (text: string) => void;
  #escaped = false;

  constructor(guest: Guest, quit: Quit, print: (text: string) => void) {
    this.#guest = guest;
    this.#quit = quit;
    this.#print = print;
  }

  type(bytes: Uint8Array): void {
    const forGuest: number[] = [];
    for (const byte of bytes) {
      if (this.#escaped) {
        this.#escaped = false;
        this.#command(String.fromCharCode(byte), forGuest);
      } else if (byte === CTRL_A) this.#escaped = true;
      else if (byte === CTRL_C && !this.#guest.listening) this.#quit.interrupt();
      else forGuest.push(byte);
    }
    if (forGuest.length > 0) this.#guest.send(Uint8Array.from(forGuest));
  }

  #command(key: string, forGuest: number[]): void {
    if (key === "x") this.#quit.escape();
    else if (key === "a" || key === "\x01") forGuest.push(CTRL_A);
    else if (key === "h" || key === "?") this.#print(help);
  }
}

/** Connects stdin: a terminal key by key, anything else as it is. Gives how to let go of it. */
export function connectStdin(guest: Guest, quit: Quit): () => void {
  const { stdin } = process;
  if (!stdin.isTTY) {
    const pass = (bytes: Uint8Array): void => guest.send(bytes);
    stdin.on("data", pass);
    return () => {
      stdin.off("data", pass);
      stdin.pause();
    };
  }
  const keys = new KeyFilter(guest, quit, (text) => void process.stdout.write(text));
  const type = (bytes: Uint8Array): void => keys.type(bytes);
  stdin.setRawMode(true);
  stdin.on("data", type);
  return () => {
    stdin.off("data", type);
    stdin.setRawMode(false);
    stdin.pause();
  };
}

const PROGRESS_MS = 1000;

/** One line on stderr that says how long the guest has been silent, until it speaks. Nothing where that is no terminal. */
export function progressLine(what: () => string): { clear(): void; close(): void } {
  if (!process.stderr.isTTY) return { clear: () => {}, close: () => {} };
  let shown = false;
  const clear = (): void => {
    if (shown) process.stderr.write("\r\x1b[K");
    shown = false;
  };
  const began = performance.now();
  const timer = setInterval(() => {
    process.stderr.write(`\r\x1b[K${what()}, ${Math.round((performance.now() - began) / 1000)} s`);
    shown = true;
  }, PROGRESS_MS);
  return {
    clear() {
      clear();
      clearInterval(timer);
    },
    close() {
      clear();
      clearInterval(timer);
    },
  };
}
