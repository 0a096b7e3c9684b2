// The golden text of the table: for each row one word, what an assembler would call it, and what its meaning does.

import { encode } from "../../lib/model/a64/bits.js";
import { disassemble } from "../../lib/model/a64/disassemble.js";
import { print } from "../../lib/model/a64/printer.js";
import { a64 } from "../../lib/model/a64/table.js";

const AT = 0x4000_1000n;

// biome-ignore format: table
const fields: Readonly<Record<string, number>> = {
  sf: 1, n: 1, rd: 0, rn: 1, rm: 2, rt: 4, rt2: 5, rs: 6, ra: 7, immr: 4, imms: 11, imm6: 5, imm12: 3, imm9: -8, imm7: 2,
  imm19: 16, imm26: -16, imm14: 4, immlo: 1, immhi: 2, imm16: 0x1234, imm3: 2, imm4: 5, shift: 1, sh: 1, hw: 1, option: 6,
  s: 1, cond: 11, nzcv: 4, mask: 9, b5: 1, b40: 3, a: 1, r: 1, l: 1, o0: 1, op1: 3, crn: 13, crm: 0, op2: 2, ll: 1,
};

/** The golden text, one row a line. */
export function goldenText(): string {
  return a64
    .map((row) => {
      const word = encode(row.encoding, fields);
      const hex = word.toString(16).padStart(8, "0");
      return `${hex} ${row.name} | ${disassemble(word, AT)} | ${print(row, word)}\n`;
    })
    .join("");
}
