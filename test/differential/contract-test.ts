// A sequence as a mocha test that can be pasted: on the seam, so that it says exactly what was asked.

import type { Kernel } from "../../lib/arm64/sysreg-row.js";
import { disassemble } from "../../lib/model/a64/disassemble.js";
import { RAM } from "./guest-layout.js";
import { hex, isRef, isWithFds, type Op, type Sequence, type Value } from "./op.js";

export interface Expectation {
  readonly verb: string;
  readonly what: string;
  readonly reference: string;
  readonly subject: string;
  readonly kernel: Kernel;
}

const digits = (value: number | bigint): string =>
  value < 10 && value > -1 ? String(value) : value < 0 ? String(value) : `0x${value.toString(16)}`;

/** Zeros at the end are left to the length. */
function bytesText(bytes: Uint8Array): string {
  const end = bytes.findLastIndex((byte) => byte !== 0) + 1;
  return end === 0 ? `zeros(${bytes.length})` : `bytes(${bytes.length}, "${hex(bytes.subarray(0, end))}")`;
}

function text(value: Value): string {
  if (value === null) return "null";
  if (typeof value === "number") return digits(value);
  if (typeof value === "bigint") return `${digits(value)}n`;
  if (value instanceof Uint8Array) return bytesText(value);
  if (isRef(value)) return value.ref;
  if (isWithFds(value)) {
    const fds = value.fds.map(([offset, name]) => `[${offset}, ${name}.fd]`).join(", ");
    return `withFds(${bytesText(value.bytes)}, ${fds})`;
  }
  return "undefined";
}

function line(op: Op): string {
  if (op.verb === "cpu.launch") return launchLines(op);
  const [, name] = op.verb.split(".");
  const on = op.on === "kvm" ? "system" : op.on;
  const args = op.args.map(text).join(", ");
  const call = `${on}.${name}(${args})`;
  return op.makes === undefined ? `${call};` : `const ${op.makes} = ${call};`;
}

/** The program, a word a line. */
function launchLines({ on, args }: Op): string {
  const code = args[0] as Uint8Array;
  const view = new DataView(code.buffer, code.byteOffset, code.byteLength);
  const words = Array.from({ length: code.length >> 2 }, (_, n) => {
    const word = view.getUint32(4 * n, true);
    return `      0x${word.toString(16).padStart(8, "0")}, // ${disassemble(word, RAM + BigInt(4 * n))}`;
  });
  return [`${on}.launch(code([`, ...words, `    ]), ${text(args[1]!)});`].join("\n");
}

/** `ops` as they are, the last one with what the kernel says to it. */
export function contractTest(ops: Sequence, { verb, what, reference, subject }: Expectation): string {
  const lines = ops.map((op) => `    ${line(op)}`);
  const last = (lines.pop() ?? "").trim().replace(/^const \w+ = |;$/g, "");
  const expected =
    what === "answer"
      ? `    assert.equal(answer(() => ${last}), "${reference}");`
      : `    ${last}; // ${what}: ${reference}`;
  return [
    `  it("${verb}: ${what} is ${reference.slice(0, 60)}, not ${subject.slice(0, 60)}", () => {`,
    ...lines,
    expected,
    "  });",
  ].join("\n");
}
