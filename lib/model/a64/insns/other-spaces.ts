// Encoding spaces whose instructions are not written yet. A narrow row names what is in a part of a wide one.

import { todo } from "../insn.js";

// biome-ignore format: table
export const otherSpaces = [
  todo("SME",                               "1 .. 0000 .........................",          "SME"),
  todo("SVE",                               "... 0010 .........................",           "SVE"),

  // What is left of scalar floating-point and Advanced SIMD
  todo("BFDOT (vector)",                "0 q 1 01110 01 0 rm:5 1 1111 1 rn:5 rd:5",         "BF16"),
  todo("BFMLAL (vector)",               "0 q 1 01110 11 0 rm:5 1 1111 1 rn:5 rd:5",         "BF16"),
  todo("BFMMLA",                        "0 1 1 01110 01 0 rm:5 1 1101 1 rn:5 rd:5",         "BF16"),
  todo("BFDOT (by element)",            "0 q 0 01111 01 l m rm:4 1111 h 0 rn:5 rd:5",       "BF16"),
  todo("BFMLAL (by element)",           "0 q 0 01111 11 l m rm:4 1111 h 0 rn:5 rd:5",       "BF16"),
  todo("BFCVT",                         "0 0 0 11110 01 1 000110 10000 rn:5 rd:5",          "BF16"),
  todo("BFCVTN",                        "0 q 0 01110 10 10000 10110 10 rn:5 rd:5",          "BF16"),
];
