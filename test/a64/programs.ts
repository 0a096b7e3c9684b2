// Random programs of blocks that lead to each other in every way: loops, calls, and ways into the middle of loops.

import { encode } from "../../lib/model/a64/bits.js";
import { a64 } from "../../lib/model/a64/table.js";
import { shapeOfWord } from "../../lib/model/engine/wasm/library.js";
import type { Random } from "./qemu/random.js";

const BLOCKS = 14;
const RET = 0xd65f_03c0;
/** What a program counts on, and does not write: where data is, and a block. X0 to X11 are anything, X30 begins as a block. */
export const registers = { data: 20, block: 21 } as const;
const calculates =
  /^(ADC|ADD|SBC|SUB|AND|ORR|EOR|BIC|ORN|EON|CS|CCM|MADD|MSUB|[SU]DIV|SMULH|UMULH|EXTR|[SU]BFM|BFM|MOV|LS[LR]V|ASRV|RORV|CLZ|CLS|RBIT|REV)/;
const accesses = /^(LDR|STR|LDUR|STUR|LDP|STP)[A-Z]* /;
const fields = new Set(
  "sf op sh imm imm3 imm5 imm6 imm7 imm9 imm12 imm16 immr imms N n hw shift option cond nzcv rd rn rm ra rt rt2 S s size o2".split(
    " ",
  ),
);
const plain = a64.filter(({ name, run, encoding }) => run !== null && calculates.test(name) && encoding.fields.every((field) => fields.has(field.name))); // biome-ignore format: one line
const memory = a64.filter(
  ({ name, run, encoding }) =>
    run !== null &&
    accesses.test(name) &&
    !/post|pre|literal|register|SIMD/.test(name) &&
    encoding.fields.every((field) => fields.has(field.name)),
);

/** One that is no exception. */
function instruction(random: Random): number {
  for (;;) {
    const word = anyInstruction(random);
    if (shapeOfWord(word) !== null) return word;
  }
}

function anyInstruction(random: Random): number {
  const isAccess = random.chance(30);
  const from = isAccess ? memory : plain;
  const row = from[random.below(from.length)]!;
  const values: Record<string, number> = {};
  for (const { name, bits } of row.encoding.fields) {
    values[name] = random.below(2 ** bits);
    if (/^r[dnmat]2?$/.test(name)) values[name] = random.chance(10) ? 31 : random.below(12);
    if (isAccess && /^imm/.test(name)) values[name] = random.below(32);
    if (isAccess && name === "rn") values[name] = registers.data;
  }
  return encode(row.encoding, values);
}

/** Blocks that lead to each other in every way. */
export function program(random: Random): number[] {
  const sizes = Array.from({ length: BLOCKS }, () => random.below(7));
  const starts = sizes.map((_, n) => sizes.slice(0, n).reduce((sum, size) => sum + size + 1, 0));
  return sizes.flatMap((size, n) => {
    const words = Array.from({ length: size }, () => instruction(random));
    const at = starts[n]! + size;
    const distance = starts[random.below(BLOCKS)]! - at;
    const rt = random.below(12);
    const near = (distance & 0x7_ffff) << 5;
    const endings = [
      0x5400_0000 | near | random.below(14),
      0x5400_0000 | near | random.below(14),
      0xb400_0000 | near | rt,
      0x3500_0000 | near | rt,
      0x3600_0000 | (random.below(32) << 19) | ((distance & 0x3fff) << 5) | rt,
      0x1400_0000 | (distance & 0x3ff_ffff),
      0x9400_0000 | (distance & 0x3ff_ffff),
      0xd63f_0000 | (registers.block << 5),
      0xd61f_0000 | (random.below(2) === 0 ? registers.block << 5 : 30 << 5),
      RET,
    ];
    return [...words, endings[n === BLOCKS - 1 ? 5 : random.below(endings.length)]! >>> 0];
  });
}
