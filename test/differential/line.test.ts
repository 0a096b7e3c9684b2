import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FrameReader, frame, type Hello, helloMark, newMark, type Reply, type Request } from "./frames.js";
import { Line } from "./line.js";
import type { Sequence } from "./op.js";
import { readSaid, type Said, SaidWriter } from "./said.js";

function written(said: readonly Said[]): Uint8Array {
  const writer = new SaidWriter();
  for (const one of said) writer.add(one);
  return writer.bytes();
}

describe("answers in short", () => {
  it("are read as they were written", () => {
    const said: Said[] = [
      { threw: null, value: 0, crc: 0 },
      { threw: "EINVAL", value: 0, crc: 0 },
      { threw: "absent", value: 0, crc: 0 },
      { threw: "errno 524", value: 0, crc: 0 },
      { threw: null, value: -1, crc: 0 },
      { threw: null, value: 2 ** 40 + 0.5, crc: 0xffff_ffff },
      { threw: null, value: 0xffff_ffff_ffff_fffen, crc: 1 },
      { threw: null, value: 0n, crc: 7 },
    ];
    assert.deepEqual(readSaid(written(said)), said);
    const many = Array.from({ length: 2000 }, (_, n) => said[n % said.length]!);
    assert.deepEqual(readSaid(written(many)), many);
  });

  it("are an error where nothing of the kind was written", () => {
    assert.throws(() => readSaid(Uint8Array.of(255, 0)), /nothing is known/);
  });
});

describe("frames", () => {
  it("come whole from whatever parts they arrive in, and not with another mark", () => {
    const [ours, others] = [newMark(), newMark()];
    const request: Request = {
      id: 3,
      sequences: [[{ verb: "v", on: "kvm", args: [1n, null] }]],
      whole: 2,
      tell: "sequences",
    };
    const reader = new FrameReader(ours);
    const bytes = Buffer.concat([frame(others, { ...request, id: 9 }), frame(ours, request)]);
    const read: unknown[] = [];
    for (const byte of bytes) {
      reader.push(Uint8Array.of(byte));
      const value = reader.next();
      if (value !== null) read.push(value);
    }
    assert.deepEqual(read, [request]);
  });
});

describe("the line to an asker", () => {
  const sequence: Sequence = [{ verb: "kvm.getApiVersion", on: "kvm", args: [] }];
  const said: Said[] = [{ threw: null, value: 12, crc: 0 }];
  const hello = (mark: Uint8Array, diedAt: number | null = null): Hello => ({
    mark,
    kernel: "6.12",
    facts: { kernel: "6.12", features: 0, registers: [], devices: [], mte: false, ipaBits: 40 },
    capture: "{}",
    diedAt,
  });
  let folder: string;
  let server: Server;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "kvm-arm64-line-"));
  });
  afterEach(() => {
    server.close();
    rmSync(folder, { recursive: true });
  });

  /** The other end: `live` is what one asker after the other does with its first request; null dies over it. */
  function askers(...lives: ((request: Request) => Uint8Array | null)[]): string {
    const path = join(folder, "socket");
    server = createServer((socket: Socket) => {
      let reader: FrameReader;
      const begin = (diedAt: number | null): void => {
        const mark = newMark();
        reader = new FrameReader(mark);
        socket.write(frame(helloMark, hello(mark, diedAt)));
        current = { mark, live: lives.shift() ?? (() => null) };
      };
      let current: { mark: Uint8Array; live: (request: Request) => Uint8Array | null };
      begin(null);
      socket.on("data", (bytes: Buffer) => {
        reader.push(bytes);
        for (
          let request = reader.next() as Request | null;
          request !== null;
          request = reader.next() as Request | null
        ) {
          const answer = current.live(request);
          if (answer === null) return begin(request.tell === "each op" ? 0 : null);
          const reply: Reply = { id: request.id, said: request.sequences.map(() => answer), whole: null };
          socket.write(frame(current.mark, reply));
        }
      });
      socket.on("error", () => {});
    }).listen(path);
    return path;
  }

  it("gives the answers to what was asked", async () => {
    const { line } = await Line.open(askers(() => written(said)));
    const answers = await Promise.all(Array.from({ length: 30 }, () => line.ask(sequence, null)));
    for (const answer of answers) assert.deepEqual(answer, { said, whole: null });
    line.close();
  });

  it("asks the next asker what the one before died over", async () => {
    const { line } = await Line.open(
      askers(
        () => null,
        () => written(said),
      ),
    );
    assert.deepEqual((await line.ask(sequence, null)).said, said);
    line.close();
  });

  it("gives up what no asker outlives, and goes on with the rest", async () => {
    const deadly: Sequence = [{ verb: "deadly", on: "kvm", args: [] }];
    const live = ({ sequences }: Request) => (sequences.some(([op]) => op?.verb === "deadly") ? null : written(said));
    const { line } = await Line.open(askers(live, live, live, live));
    const [first, second] = await Promise.allSettled([line.ask(deadly, null), line.ask(sequence, null)]);
    assert.equal(first.status === "rejected" && first.reason.message, "no asker outlives op 0: deadly on kvm");
    assert.deepEqual(second.status === "fulfilled" && second.value.said, said);
    line.close();
  });

  it("asks again what came back as nonsense, and gives up in the end", async () => {
    const nonsense = [
      Uint8Array.of(255, 0),
      Uint8Array.of(255, 0),
      written(said),
      ...Array(3).fill(Uint8Array.of(255, 0)),
    ];
    const { line } = await Line.open(askers(() => nonsense.shift()!));
    assert.deepEqual((await line.ask(sequence, null)).said, said);
    await assert.rejects(line.ask(sequence, null), /no asker outlives it with its senses/);
    line.close();
  });

  it("is an error for what is asked when the host is gone", async () => {
    const { line } = await Line.open(askers(() => written(said)));
    await line.ask(sequence, null);
    const lost = line.ask(sequence, null);
    server.close();
    line.close();
    await assert.rejects(lost, /the host is gone/);
    await once(server, "close");
  });
});
