// On a machine with a genuine /dev/kvm: asks it the sequences that come over a line, and sends back what it said. Says on
// descriptor 3 when it begins with a sequence (+), with an op if that is asked for (its place), and when nothing is left
// to do (-).

import { openSync, readFileSync, readSync, writeSync } from "node:fs";
import { parseArgs } from "node:util";
import { openNative } from "../../lib/native.js";
import { factsOf, runningKernel } from "./facts.js";
import { FrameReader, frame, helloMark, newMark, type Request } from "./frames.js";
import { askAll } from "./reference.js";
import { SaidWriter } from "./said.js";
import { writeCapture } from "./subject.js";

const { values } = parseArgs({
  options: {
    /** A serial port. */
    port: { type: "string" },
    /** Where to record this host; without it, it is not recorded. */
    capture: { type: "string" },
    /** The op that the asker before this one died over. */
    "died-at": { type: "string" },
  },
});

Error.stackTraceLimit = 0;
const ALIVE = 3;

const port = openSync(values.port ?? "/dev/null", "r+");

function send(bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(port, bytes, at);
}

function* requests(mark: Uint8Array): Generator<Request> {
  const reader = new FrameReader(mark);
  const chunk = Buffer.alloc(65536);
  for (;;) {
    for (let request = reader.next(); request !== null; request = reader.next()) yield request as Request;
    reader.push(chunk.subarray(0, readSync(port, chunk)));
  }
}

const kernel = runningKernel();
if (values.capture !== undefined) writeCapture(values.capture, kernel);
const capture = values.capture === undefined ? null : readFileSync(values.capture, "utf8");
const reference = openNative();
const mark = newMark();
const diedAt = values["died-at"] === undefined ? null : Number(values["died-at"]);
send(frame(helloMark, { mark, kernel, facts: factsOf(reference, kernel), capture, diedAt }));
for (const { id, sequences, whole, tell } of requests(mark)) {
  if (sequences.length === 0) break;
  const replies = sequences.map((sequence) => {
    writeSync(ALIVE, "+");
    const before = tell === "each op" ? (at: number) => void writeSync(ALIVE, `${at}\n`) : undefined;
    const answers = askAll(reference, sequence, whole, before);
    const writer = new SaidWriter();
    for (const said of answers.said) writer.add(said);
    return { said: writer.bytes(), whole: answers.whole };
  });
  writeSync(ALIVE, "-");
  send(frame(mark, { id, said: replies.map(({ said }) => said), whole: replies[0]?.whole ?? null }));
}
process.exit(0);
