// The reference on the other end of a line: asker.ts on the emulated host. What is asked goes out ahead of the answers,
// several sequences at a time; what was not answered when an asker died is asked again of the next.

import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { setTimeout } from "node:timers/promises";
import { FrameReader, frame, type Hello, helloMark, type Reply } from "./frames.js";
import type { Sequence } from "./op.js";
import type { Answers, Reference } from "./reference.js";
import { readSaid } from "./said.js";

interface Ask {
  readonly sequence: Sequence;
  readonly whole: number | null;
  readonly resolve: (answers: Answers) => void;
  readonly reject: (error: Error) => void;
  /** How many askers died with it in hand. */
  deaths: number;
}

/** Frames under way, and sequences of each: the host never waits for this machine. */
const AHEAD = 4;
const TOGETHER = 4;
/** Node dies there of itself: only what dies again and again counts. */
const MOST_DEATHS = 3;
/** QEMU makes the socket within seconds. */
const MOST_TRIES = 1200;

export class Line implements Reference {
  readonly #socket: Socket;
  readonly #reader = new FrameReader(helloMark);
  readonly #queue: Ask[] = [];
  readonly #asked = new Map<number, readonly Ask[]>();
  #mark: Uint8Array | null = null;
  #ids = 0;
  readonly #onHello: (hello: Hello) => void;

  private constructor(socket: Socket, onHello: (hello: Hello) => void) {
    this.#socket = socket;
    this.#onHello = onHello;
    socket.on("data", (bytes: Buffer) => this.#take(bytes));
    socket.on("error", () => {});
    socket.on("close", () => this.#fail(new Error("the host is gone")));
  }

  /** The line, and what the host said of itself. The socket may not be there yet. */
  static async open(path: string): Promise<{ line: Line; hello: Hello }> {
    const socket = await connected(path);
    return new Promise((resolve) => {
      const line: Line = new Line(socket, (hello) => resolve({ line, hello }));
    });
  }

  ask(sequence: Sequence, whole: number | null): Promise<Answers> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ sequence, whole, resolve, reject, deaths: 0 });
      // What is asked in one go travels together.
      setImmediate(() => this.#send());
    });
  }

  close(): void {
    if (this.#mark !== null)
      this.#socket.write(frame(this.#mark, { id: 0, sequences: [], whole: null, tell: "sequences" }));
    this.#socket.end();
  }

  #send(): void {
    while (this.#mark !== null && this.#queue.length > 0 && this.#asked.size < AHEAD) {
      const asks = this.#queue.splice(0, this.#together());
      const id = ++this.#ids;
      this.#asked.set(id, asks);
      const sequences = asks.map(({ sequence }) => sequence);
      const tell = asks[0]!.deaths > 0 ? "each op" : "sequences";
      this.#socket.write(frame(this.#mark, { id, sequences, whole: asks[0]!.whole, tell }));
    }
  }

  /** How many of the queue go in one frame: those of which one is wanted whole, or killed an asker, go alone. */
  #together(): number {
    const alone = ({ whole, deaths }: Ask) => whole !== null || deaths > 0;
    const first = this.#queue.findIndex(alone);
    return first === 0 ? 1 : Math.min(TOGETHER, first < 0 ? this.#queue.length : first);
  }

  #take(bytes: Buffer): void {
    this.#reader.push(bytes);
    if (this.#reader.skipTo(helloMark)) {
      this.#reader.expect(helloMark);
      const hello = this.#reader.next() as Hello | null;
      if (hello === null) return;
      this.#begin(hello);
    }
    for (let reply = this.#reader.next(); reply !== null; reply = this.#reader.next()) this.#answer(reply as Reply);
    this.#send();
  }

  #begin(hello: Hello): void {
    this.#mark = hello.mark;
    this.#reader.expect(hello.mark);
    const lost = [...this.#asked.values()];
    this.#asked.clear();
    const [inHand = []] = lost;
    for (const ask of inHand) ask.deaths++;
    const op = hello.diedAt === null ? undefined : inHand[0]?.sequence[hello.diedAt];
    this.#again(lost.flat(), op === undefined ? "it" : `op ${hello.diedAt}: ${op.verb} on ${op.on}`);
    this.#onHello(hello);
  }

  /** `over`: what an asker died over. */
  #again(asks: readonly Ask[], over: string): void {
    for (const ask of asks.toReversed()) {
      if (ask.deaths >= MOST_DEATHS) ask.reject(new Error(`no asker outlives ${over}`));
      else this.#queue.unshift(ask);
    }
  }

  /** What makes no sense is asked again: Node loses its memory there before it dies. */
  #answer({ id, said, whole }: Reply): void {
    const asks = this.#asked.get(id) ?? [];
    this.#asked.delete(id);
    for (const [n, ask] of asks.entries()) {
      try {
        ask.resolve({ said: readSaid(said[n]!), whole });
      } catch {
        ask.deaths++;
        this.#again([ask], "it with its senses");
      }
    }
  }

  #fail(error: Error): void {
    for (const ask of [...this.#asked.values()].flat()) ask.reject(error);
    for (const ask of this.#queue.splice(0)) ask.reject(error);
    this.#asked.clear();
  }
}

async function connected(path: string): Promise<Socket> {
  for (let tries = 0; ; tries++) {
    const socket = connect(path);
    try {
      await once(socket, "connect");
      return socket;
    } catch (error) {
      if (tries >= MOST_TRIES) throw error;
      await setTimeout(50);
    }
  }
}
