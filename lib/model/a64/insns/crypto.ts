// The cryptographic instructions: AES, SHA-1, SHA-256, SHA-512, SHA-3, SM3, SM4. DDI 0487 C4.1.

import { composed, type Insn, insn, type Semantics } from "../insn.js";
import type { Machine, V128 } from "../machine.js";
import { type Simd, splatLane } from "../simd.js";
import type { Crypto3 } from "../vector.js";

const opcodes = ["00", "01", "10", "11"] as const;

// biome-ignore format: table
export const crypto: readonly Insn[] = [
  insn("AESE",      "01001110 00 10100 00100 10 rn:5 rd:5", two((simd, d, n) => simd.crypto2("aese", d, n)), "AES"),
  insn("AESD",      "01001110 00 10100 00101 10 rn:5 rd:5", two((simd, d, n) => simd.crypto2("aesd", d, n)), "AES"),
  insn("AESMC",     "01001110 00 10100 00110 10 rn:5 rd:5", two((simd, _, n) => simd.crypto1("aesmc", n)), "AES"),
  insn("AESIMC",    "01001110 00 10100 00111 10 rn:5 rd:5", two((simd, _, n) => simd.crypto1("aesimc", n)), "AES"),

  three("SHA1C",     "01011110 000 rm:5 0 000 00", "sha1c", "SHA1"),
  three("SHA1P",     "01011110 000 rm:5 0 001 00", "sha1p", "SHA1"),
  three("SHA1M",     "01011110 000 rm:5 0 010 00", "sha1m", "SHA1"),
  three("SHA1SU0",   "01011110 000 rm:5 0 011 00", "sha1su0", "SHA1"),
  three("SHA256H",   "01011110 000 rm:5 0 100 00", "sha256h", "SHA2"),
  three("SHA256H2",  "01011110 000 rm:5 0 101 00", "sha256h2", "SHA2"),
  three("SHA256SU1", "01011110 000 rm:5 0 110 00", "sha256su1", "SHA2"),
  insn("SHA1H",     "01011110 00 10100 00000 10 rn:5 rd:5", two((simd, _, n) => simd.crypto1("sha1h", n)), "SHA1"),
  insn("SHA1SU1",   "01011110 00 10100 00001 10 rn:5 rd:5", two((simd, d, n) => simd.crypto2("sha1su1", d, n)), "SHA1"),
  insn("SHA256SU0", "01011110 00 10100 00010 10 rn:5 rd:5", two((simd, d, n) => simd.crypto2("sha256su0", d, n)), "SHA2"),

  sha512("SHA512H",   "00", "sha512h"),
  sha512("SHA512H2",  "01", "sha512h2"),
  sha512("SHA512SU1", "10", "sha512su1"),
  insn("SHA512SU0", "11001110 11 0 00000 1000 00 rn:5 rd:5", two((simd, d, n) => simd.crypto2("sha512su0", d, n)), "SHA512"),

  ...(["SM3TT1A", "SM3TT1B", "SM3TT2A", "SM3TT2B"] as const).map((name, n) =>
    insn(name, `11001110 010 rm:5 1 0 imm2:2 ${opcodes[n]!} rn:5 rd:5`,   sm3Round(name.toLowerCase() as SM3Round), "SM3")),
  insn("SM3PARTW1", "11001110 011 rm:5 1 1 00 00 rn:5 rd:5", sm3Part("sm3partw1"), "SM3"),
  insn("SM3PARTW2", "11001110 011 rm:5 1 1 00 01 rn:5 rd:5", sm3Part("sm3partw2"), "SM3"),
  insn("SM3SS1",    "11001110 010 rm:5 0 ra:5 rn:5 rd:5",    sm3Sum, "SM3"),
  insn("SM4E",      "11001110 110 00000 1 0 00 01 rn:5 rd:5", two((simd, d, n) => simd.crypto2("sm4e", d, n)), "SM4"),
  insn("SM4EKEY",   "11001110 011 rm:5 1 1 00 10 rn:5 rd:5", sm4Key, "SM4"),

  insn("EOR3",      "11001110 00 0 rm:5 0 ra:5 rn:5 rd:5",  exclusiveOr3, "SHA3"),
  insn("BCAX",      "11001110 00 1 rm:5 0 ra:5 rn:5 rd:5",  clearExclusiveOr, "SHA3"),
  insn("RAX1",      "11001110 01 1 rm:5 1 0 00 11 rn:5 rd:5", rotateExclusiveOr, "SHA3"),
  insn("XAR",       "11001110 10 0 rm:5 imm6:6 rn:5 rd:5",  exclusiveOrRotate, "SHA3"),
];

function two(result: (simd: Simd, d: V128, n: V128) => V128): Semantics<{ rn: number; rd: number }> {
  return ({ simd }, { rn, rd }) => {
    simd.checkFp();
    simd.setV(rd, result(simd, simd.v(rd), simd.v(rn)));
  };
}

type SM3Round = "sm3tt1a" | "sm3tt1b" | "sm3tt2a" | "sm3tt2b";

function sm3Round(op: SM3Round): Semantics<Three & { imm2: number }> {
  return ({ simd }, { rm, imm2, rn, rd }) => {
    simd.checkFp();
    simd.setV(rd, simd.crypto3(op, simd.v(rd), simd.v(rn), splatLane(simd, 32, simd.v(rm), imm2)));
  };
}

function sm3Part(op: "sm3partw1" | "sm3partw2"): Semantics<Three> {
  return ({ simd }, { rm, rn, rd }) => {
    simd.checkFp();
    simd.setV(rd, simd.crypto3(op, simd.v(rd), simd.v(rn), simd.v(rm)));
  };
}

function sm3Sum({ simd }: Machine, { rm, ra, rn, rd }: Four) {
  simd.checkFp();
  simd.setV(rd, simd.crypto3("sm3ss1", simd.v(rn), simd.v(rm), simd.v(ra)));
}

function sm4Key({ simd }: Machine, { rm, rn, rd }: Three) {
  simd.checkFp();
  simd.setV(rd, simd.crypto2("sm4ekey", simd.v(rn), simd.v(rm)));
}

type Three = { rm: number; rn: number; rd: number };

function three(name: string, first: string, op: Crypto3, feature: "SHA1" | "SHA2"): Insn {
  const run: Semantics<Three> = ({ simd }, { rm, rn, rd }) => {
    simd.checkFp();
    simd.setV(rd, simd.crypto3(op, simd.v(rd), simd.v(rn), simd.v(rm)));
  };
  return composed(name, `${first} rn:5 rd:5`, run, feature);
}

function sha512(name: string, opcode: string, op: Crypto3): Insn {
  const run: Semantics<Three> = ({ simd }, { rm, rn, rd }) => {
    simd.checkFp();
    simd.setV(rd, simd.crypto3(op, simd.v(rd), simd.v(rn), simd.v(rm)));
  };
  return composed(name, `11001110 01 1 rm:5 1 0 00 ${opcode} rn:5 rd:5`, run, "SHA512");
}

type Four = Three & { ra: number };

function exclusiveOr3({ simd }: Machine, { rm, ra, rn, rd }: Four) {
  simd.checkFp();
  simd.setV(rd, simd.binary("eor", 64, simd.v(rn), simd.binary("eor", 64, simd.v(rm), simd.v(ra))));
}

function clearExclusiveOr({ simd }: Machine, { rm, ra, rn, rd }: Four) {
  simd.checkFp();
  simd.setV(rd, simd.binary("eor", 64, simd.v(rn), simd.binary("bic", 64, simd.v(rm), simd.v(ra))));
}

function rotated(simd: Simd, v: V128, right: number): V128 {
  if (right === 0) return v;
  return simd.binary("orr", 64, simd.shift("ushr", 64, v, right), simd.shift("shl", 64, v, 64 - right));
}

function rotateExclusiveOr({ simd }: Machine, { rm, rn, rd }: Three) {
  simd.checkFp();
  simd.setV(rd, simd.binary("eor", 64, simd.v(rn), rotated(simd, simd.v(rm), 63)));
}

function exclusiveOrRotate({ simd }: Machine, { rm, imm6, rn, rd }: Three & { imm6: number }) {
  simd.checkFp();
  simd.setV(rd, rotated(simd, simd.binary("eor", 64, simd.v(rn), simd.v(rm)), imm6));
}
