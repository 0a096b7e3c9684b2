// kvm-arm64 reg: explains register ids, names and values.
import process from "node:process";
import { parseArgs } from "node:util";
import { exitStatus, UNKNOWN_REGISTER, UsageError } from "./exit-status.js";
import { type Description, describeRegister, type FieldDescription, parseQuestions } from "./reg-explain.js";

export const usage = `usage: kvm-arm64 reg [--json] WHAT…

Explains registers as KVM_GET_ONE_REG knows them. WHAT is one of
  0x603000000013c080      a register id
  SCTLR_EL1, x7, v3, pstate, S3_0_C1_C0_7, "z3 slice 0"
  SCTLR_EL1=0x30d00800    a value, taken apart into its fields
  ESR_EL1 0x96000045      the same in two words; a syndrome, explained

  --json    the same as JSON; numbers of 64 bits are strings

Exit status: 0 · 1 something is no register · 125 usage
`;

const hex = (value: bigint): string => `0x${value.toString(16)}`;

const placeText = ({ msb, lsb }: FieldDescription): string => (msb === lsb ? `${lsb}` : `${msb}:${lsb}`);

/** Fields that are 0 and say nothing are gathered into one line. */
function fieldLines(fields: readonly FieldDescription[]): string[] {
  const zero = fields.filter((field) => field.value === 0n && field.meaning === undefined);
  const told = fields.filter((field) => !zero.includes(field));
  const width = Math.max(0, ...told.map((field) => field.name.length));
  const lines = told.map((field) => {
    const value = field.value === undefined ? "" : field.value < 10n ? ` ${field.value}` : ` ${hex(field.value)}`;
    const meaning = field.meaning === undefined ? "" : `  ${field.meaning}`;
    return `  ${field.name.padEnd(width)} ${placeText(field).padStart(5)}${value}${meaning}`;
  });
  if (zero.length > 0) lines.push(`  0: ${zero.map((field) => field.name).join(", ")}`);
  return lines;
}

/** A description as lines of text. */
export function registerText(d: Description): string {
  const value = d.value === undefined ? "" : ` = ${hex(d.value)}`;
  const lines = [`${d.name}${value}${d.summary === undefined ? "" : `  ${d.summary}`}`];
  lines.push(`  id ${hex(d.id)}, ${d.bits} bits`);
  if (d.value === undefined) {
    for (const [what, text] of d.about) lines.push(`  ${what} ${text}`);
    if (d.fields.length > 0)
      lines.push(`  fields ${d.fields.map((field) => `${field.name} ${placeText(field)}`).join(", ")}`);
  } else {
    lines.push(...fieldLines(d.fields));
    if (d.rest !== undefined && d.rest !== 0n && d.fields.length > 0) lines.push(`  without a name: ${hex(d.rest)}`);
  }
  return `${lines.join("\n")}\n`;
}

function json(description: Description): object {
  return { ...description, about: Object.fromEntries(description.about) };
}

export function main(args: string[]): number {
  const { json: asJson, words } = parse(args);
  let descriptions: Description[];
  try {
    descriptions = parseQuestions(words).map(describeRegister);
  } catch (error) {
    if (!(error instanceof RangeError || error instanceof TypeError)) throw error;
    process.stderr.write(`kvm-arm64: ${error.message}\n`);
    return UNKNOWN_REGISTER;
  }
  const text = asJson
    ? `${JSON.stringify(descriptions.map(json), (_key, value) => (typeof value === "bigint" ? hex(value) : value), 2)}\n`
    : descriptions.map(registerText).join("\n");
  process.stdout.write(text);
  return exitStatus.ok;
}

function parse(args: string[]): { json: boolean; words: string[] } {
  let parsed: { values: { json?: boolean | undefined }; positionals: string[] };
  try {
    parsed = parseArgs({ args, allowPositionals: true, options: { json: { type: "boolean" } } });
  } catch (error) {
    throw new UsageError(`reg: ${(error as Error).message}`);
  }
  if (parsed.positionals.length === 0) throw new UsageError("reg: which register? An id, a name or a value is missing");
  return { json: parsed.values.json ?? false, words: parsed.positionals };
}
