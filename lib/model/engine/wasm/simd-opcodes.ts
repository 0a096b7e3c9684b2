// WebAssembly's vector instructions that take values and nothing else, by their names. WebAssembly Core Specification, 5.4.8.

/** The names of one opcode each, for lanes of 8, 16, 32 and 64 bits; "": there is none. */
// biome-ignore format: table
const byLanes: Readonly<Record<string, readonly [number, number, number, number]>> = {
  //                 i8x16  i16x8  i32x4  i64x2
  abs:             [ 0x60,  0x80,  0xa0,  0xc0 ],
  neg:             [ 0x61,  0x81,  0xa1,  0xc1 ],
  shl:             [ 0x6b,  0x8b,  0xab,  0xcb ],
  shr_s:           [ 0x6c,  0x8c,  0xac,  0xcc ],
  shr_u:           [ 0x6d,  0x8d,  0xad,  0xcd ],
  add:             [ 0x6e,  0x8e,  0xae,  0xce ],
  sub:             [ 0x71,  0x91,  0xb1,  0xd1 ],
  mul:             [ -1,    0x95,  0xb5,  0xd5 ],
  eq:              [ 0x23,  0x2d,  0x37,  0xd6 ],
  gt_s:            [ 0x27,  0x31,  0x3b,  0xd9 ],
  ge_s:            [ 0x2b,  0x35,  0x3f,  0xdb ],
  gt_u:            [ 0x28,  0x32,  0x3c,  -1   ],
  ge_u:            [ 0x2c,  0x36,  0x40,  -1   ],
  min_s:           [ 0x76,  0x96,  0xb6,  -1   ],
  min_u:           [ 0x77,  0x97,  0xb7,  -1   ],
  max_s:           [ 0x78,  0x98,  0xb8,  -1   ],
  max_u:           [ 0x79,  0x99,  0xb9,  -1   ],
  add_sat_s:       [ 0x6f,  0x8f,  -1,    -1   ],
  add_sat_u:       [ 0x70,  0x90,  -1,    -1   ],
  sub_sat_s:       [ 0x72,  0x92,  -1,    -1   ],
  sub_sat_u:       [ 0x73,  0x93,  -1,    -1   ],
  // From the lanes half as wide.
  extend_low_s:    [ -1,    0x87,  0xa7,  0xc7 ],
  extend_high_s:   [ -1,    0x88,  0xa8,  0xc8 ],
  extend_low_u:    [ -1,    0x89,  0xa9,  0xc9 ],
  extend_high_u:   [ -1,    0x8a,  0xaa,  0xca ],
  extmul_low_s:    [ -1,    0x9c,  0xbc,  0xdc ],
  extmul_high_s:   [ -1,    0x9d,  0xbd,  0xdd ],
  extmul_low_u:    [ -1,    0x9e,  0xbe,  0xde ],
  extmul_high_u:   [ -1,    0x9f,  0xbf,  0xdf ],
  extadd_pairwise_s: [ -1,  0x7c,  0x7e,  -1   ],
  extadd_pairwise_u: [ -1,  0x7d,  0x7f,  -1   ],
};

/** The same for floating-point lanes. */
// biome-ignore format: table
const byFloats: Readonly<Record<string, readonly [number, number]>> = {
  //         f32x4  f64x2
  abs:     [ 0xe0,  0xec ],
  neg:     [ 0xe1,  0xed ],
  sqrt:    [ 0xe3,  0xef ],
  add:     [ 0xe4,  0xf0 ],
  sub:     [ 0xe5,  0xf1 ],
  mul:     [ 0xe6,  0xf2 ],
  div:     [ 0xe7,  0xf3 ],
  min:     [ 0xe8,  0xf4 ],
  max:     [ 0xe9,  0xf5 ],
  eq:      [ 0x41,  0x47 ],
  ne:      [ 0x42,  0x48 ],
  lt:      [ 0x43,  0x49 ],
  gt:      [ 0x44,  0x4a ],
  le:      [ 0x45,  0x4b ],
  ge:      [ 0x46,  0x4c ],
  ceil:    [ 0x67,  0x74 ],
  floor:   [ 0x68,  0x75 ],
  trunc:   [ 0x69,  0x7a ],
  nearest: [ 0x6a,  0x94 ],
};

const opcodes = new Map<string, number>([
  ["v128.not", 0x4d],
  ["v128.and", 0x4e],
  ["v128.andnot", 0x4f],
  ["v128.or", 0x50],
  ["v128.xor", 0x51],
  ["v128.bitselect", 0x52],
  ["i8x16.swizzle", 0x0e],
  ["i8x16.popcnt", 0x62],
  ["i16x8.q15mulr_sat_s", 0x82],
]);

const shapes = ["i8x16", "i16x8", "i32x4", "i64x2"] as const;
const floatShapes = ["f32x4", "f64x2"] as const;
for (const [name, row] of Object.entries(byLanes))
  for (const [n, opcode] of row.entries()) if (opcode >= 0) opcodes.set(`${shapes[n]!}.${name}`, opcode);
for (const [name, row] of Object.entries(byFloats))
  for (const [n, opcode] of row.entries()) opcodes.set(`${floatShapes[n]!}.${name}`, opcode);

export type IntegerShape = (typeof shapes)[number];
export const integerShape = (bits: number): IntegerShape => shapes[Math.log2(bits) - 3]!;
export const floatShape = (bits: 32 | 64): (typeof floatShapes)[number] => (bits === 32 ? "f32x4" : "f64x2");

/** Behind 0xfd. */
export function simdOpcode(name: string): number {
  const opcode = opcodes.get(name);
  if (opcode === undefined) throw new Error(`WebAssembly has no ${name}`);
  return opcode;
}
