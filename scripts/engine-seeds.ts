// Finds the shapes of the interpreter's instructions: one word for each, as lib/model/engine/wasm/seeds.ts lists them.
//   node dist/scripts/engine-seeds.js [--write]

import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { encode } from "../lib/model/a64/bits.js";
import type { Insn } from "../lib/model/a64/insn.js";
import { a64, decodeA64 } from "../lib/model/a64/table.js";
import { maintenanceOperations } from "../lib/model/cpu/maintenance.js";
import { shapeOfWord } from "../lib/model/engine/wasm/library.js";
import { isOutlined } from "../lib/model/engine/wasm/outlined.js";
import { systemRegisterEncodings } from "../lib/model/engine/wasm/system-registers.js";

const RANDOM_WORDS = 600;
const MOST_WORDS = 6000;

/** xorshift32: the same words each time. */
function randomNumbers(): (bits: number) => number {
  let state = 0x9e37_79b9;
  return (bits) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % 2 ** bits;
  };
}

/** Values of a field that tell shapes apart. */
function telling(name: string, bits: number): readonly number[] {
  const most = 2 ** bits - 1;
  if (/^r[a-z]*\d?$/.test(name) && bits === 5) return name === "rn" ? [1, 31] : name === "rd" ? [1, 2] : [3];
  if (bits <= 4) return Array.from({ length: most + 1 }, (_, n) => n);
  return [0, 1, 2, 8, most >> 1, most].filter((value, n, all) => all.indexOf(value) === n);
}

function* wordsOf(row: Insn, random: (bits: number) => number): Generator<number> {
  const { fields } = row.encoding;
  let all: Record<string, number>[] = [{}];
  for (const { name, bits } of fields) {
    const values = telling(name, bits);
    const few = all.length * values.length > MOST_WORDS ? values.slice(0, 1) : values;
    all = all.flatMap((known) => few.map((value) => ({ ...known, [name]: value })));
  }
  for (const values of all) yield encode(row.encoding, values);
  for (let n = 0; n < RANDOM_WORDS; n++) {
    yield encode(row.encoding, Object.fromEntries(fields.map(({ name, bits }) => [name, random(bits)])));
  }
}

/** MSR, MRS and SYS of what has handlers. */
function systemWords(): number[] {
  const word = (opcode: number, id: number) => (opcode | (id << 5) | 3) >>> 0;
  const registers = systemRegisterEncodings.flatMap((id) => [word(0xd500_0000, id), word(0xd520_0000, id)]);
  const operations = [...maintenanceOperations.keys()].map((id) => word(0xd500_0000, id));
  return [...registers, ...operations];
}

const random = randomNumbers();
const found = new Map<string, number>();
const look = (word: number) => {
  const shape = shapeOfWord(word);
  if (shape !== null && !isOutlined(shape) && !found.has(shape.key)) found.set(shape.key, word);
};
for (const row of a64) {
  for (const word of wordsOf(row, random)) if (decodeA64(word) === row) look(word);
}
for (const word of systemWords()) look(word);
const words = [...found.values()].map((word) => `0x${word.toString(16).padStart(8, "0")},`);
const lines: string[] = [];
for (let n = 0; n < words.length; n += 10) lines.push(`  ${words.slice(n, n + 10).join(" ")}`);
const text = `// One word of each shape that has a handler; scripts/engine-seeds.ts finds them.

// biome-ignore format: table
export const seeds: readonly number[] = [
${lines.join("\n")}
];
`;
console.log(`${words.length} shapes`);
if (process.argv.includes("--write")) {
  writeFileSync(fileURLToPath(new URL("../../lib/model/engine/wasm/seeds.ts", import.meta.url)), text);
}
