// A difference as a mocha test in a file of its own, ready to be put into this folder. What the kernel said is what it
// wants.

import type { Kernel } from "../../lib/arm64/sysreg-row.js";
import { disassemble } from "../../lib/model/a64/disassemble.js";
import { RAM } from "./guest-layout.js";
import { hex, isRef, isWithFds, type Op, type Sequence, type Value } from "./op.js";

export interface Expectation {
  readonly what: string;
  readonly reference: string;
  readonly subject: string;
  readonly kernel: Kernel;
}

const digits = (value: number | bigint): string => (value < 10 ? String(value) : `0x${value.toString(16)}`);

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
  if (isRef(value)) return `ref("${value.ref}")`;
  if (isWithFds(value)) {
    const fds = value.fds.map(([offset, name]) => `, [${offset}, "${name}"]`).join("");
    return `withFds(${bytesText(value.bytes)}${fds})`;
  }
  throw new TypeError("a value of no known kind");
}

/** The program, a word a line. */
function codeText(code: Uint8Array): string {
  const view = new DataView(code.buffer, code.byteOffset, code.byteLength);
  const words = Array.from({ length: code.length >> 2 }, (_, n) => {
    const word = view.getUint32(4 * n, true);
    return `      0x${word.toString(16).padStart(8, "0")}, // ${disassemble(word, RAM + BigInt(4 * n))}`;
  });
  return words.length === 0 ? "code([])" : ["code([", ...words, "    ])"].join("\n");
}

function line({ verb, on, args, makes }: Op): string {
  const values = args.map((value, n) =>
    verb === "cpu.launch" && n === 0 ? codeText(value as Uint8Array) : text(value),
  );
  const head = makes === undefined ? "call(" : `make("${makes}", `;
  return `    r.${head}${[`"${verb}"`, `"${on}"`, ...values].join(", ")});`;
}

export function printedTest(sequence: Sequence, { what, reference, subject, kernel }: Expectation): string {
  const helpers = ["bytes", "code", "ref", "repro", "withFds", "zeros"];
  const body = sequence.map(line).join("\n");
  const used = helpers.filter((name) => name === "repro" || body.includes(`${name}(`));
  return [
    `import { ${used.join(", ")} } from "./repro.js";`,
    "",
    `describe("${sequence.at(-1)?.verb}: ${what}, on ${kernel}", () => {`,
    `  it("is not ${subject}", () => {`,
    `    const r = repro("${kernel}");`,
    body,
    `    r.says("${what}", "${reference}");`,
    "    r.close();",
    "  });",
    "});",
  ].join("\n");
}
