// Opcodes by name, for functions that are written by hand. WebAssembly Core Specification 5.4.

// biome-ignore format: table
export const i32 = {
  load: 0x28, load8: 0x2d, load16: 0x2f, store: 0x36, store8: 0x3a, store16: 0x3b,
  eqz: 0x45, eq: 0x46, ne: 0x47, ltU: 0x49, gtS: 0x4a, gtU: 0x4b, leU: 0x4d, geU: 0x4f,
  add: 0x6a, sub: 0x6b, mul: 0x6c, and: 0x71, or: 0x72, xor: 0x73, shl: 0x74, shr: 0x76,
  wrap: 0xa7,
} as const;

// biome-ignore format: table
export const i64 = {
  load: 0x29, load32: 0x35, load8: 0x31, store: 0x37,
  eqz: 0x50, eq: 0x51, ne: 0x52, ltU: 0x54,
  add: 0x7c, sub: 0x7d, mul: 0x7e, and: 0x83, or: 0x84, xor: 0x85, shl: 0x86, sar: 0x87, shr: 0x88, rotr: 0x8a,
  extend: 0xad,
} as const;

export const select = 0x1b;
/** Of 64 bits. */
export const atomicLoad = [0xfe, 0x11] as const;

/** Of the 0xfd space. */
// biome-ignore format: table
export const v128 = {
  load: [0xfd, 0], constant: 12, shuffle: 13, swizzle: 14, splat64: 18, extract64: 29,
  and: 78, or: 80, xor: 81, bitselect: 82, anyTrue: 83,
  shr8: 0x6d, shl16: 0x8b, shr16: 0x8d,
} as const;
