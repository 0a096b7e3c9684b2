// Encoding spaces whose instructions are not written yet. A narrow row names what is in a part of a wide one.

import { todo } from "../insn.js";

// biome-ignore format: table
export const otherSpaces = [
  todo("SME",                               "1 .. 0000 .........................",          "SME"),
  todo("SVE",                               "... 0010 .........................",           "SVE"),

  // Data processing -- scalar floating-point and Advanced SIMD: op0 is x111
  todo("Advanced SIMD and floating-point",  "... . 111 .........................",          "FP"),
  todo("FP <-> fixed-point conversion",     "sf 0 0 11110 ptype:2 0 rmode:2 opcode:3 scale:6 rn:5 rd:5", "FP"),
  todo("FP <-> integer conversion",         "sf 0 0 11110 ptype:2 1 rmode:2 opcode:3 000000 rn:5 rd:5", "FP"),
  todo("FP data-processing (1 source)",     "0 0 0 11110 ptype:2 1 opcode:6 10000 rn:5 rd:5", "FP"),
  todo("FP compare",                        "0 0 0 11110 ptype:2 1 rm:5 op:2 1000 rn:5 opcode2:5", "FP"),
  todo("FMOV (scalar, immediate)",          "0 0 0 11110 ptype:2 1 imm8:8 100 imm5:5 rd:5", "FP"),
  todo("FP conditional compare",            "0 0 0 11110 ptype:2 1 rm:5 cond:4 01 rn:5 op nzcv:4", "FP"),
  todo("FP data-processing (2 source)",     "0 0 0 11110 ptype:2 1 rm:5 opcode:4 10 rn:5 rd:5", "FP"),
  todo("FCSEL",                             "0 0 0 11110 ptype:2 1 rm:5 cond:4 11 rn:5 rd:5", "FP"),
  todo("FP data-processing (3 source)",     "0 0 0 11111 ptype:2 o1 rm:5 o0 ra:5 rn:5 rd:5", "FP"),
  todo("Advanced SIMD (vector)",            "0 q u 01110 ........................",         "AdvSIMD"),
  todo("Advanced SIMD (vector, by element and immediate)", "0 q u 01111 ........................", "AdvSIMD"),
  todo("Advanced SIMD (scalar)",            "0 1 u 11110 ........................",         "AdvSIMD"),
  todo("Advanced SIMD (scalar, by element and immediate)", "0 1 u 11111 ........................", "AdvSIMD"),
  todo("Cryptographic AES",                 "01001110 00 10100 opcode:5 10 rn:5 rd:5",      "AES"),
  todo("Cryptographic SHA (3 registers)",   "01011110 00 0 rm:5 0 opcode:3 00 rn:5 rd:5",   "SHA1"),
  todo("Cryptographic SHA (2 registers)",   "01011110 00 10100 opcode:5 10 rn:5 rd:5",      "SHA1"),
  todo("Cryptographic (SHA3, SHA512, SM3, SM4)", "11001110 ........................",       "SHA3"),
  todo("Dot product",                       "0 q u 01110 100 rm:5 1 0010 1 rn:5 rd:5",      "DotProd"),
  todo("FP16 (3 registers)",                "0 q u 01110 a 10 rm:5 00 opcode:3 1 rn:5 rd:5", "FP16"),
];
