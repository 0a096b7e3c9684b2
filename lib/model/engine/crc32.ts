// CRC32 and CRC32C as A64 computes them: bit-reversed polynomials, no inversion. DDI 0487 C6.2 "CRC32B".

const tables = {
  "04C11DB7": table(0xedb8_8320 | 0),
  "1EDC6F41": table(0x82f6_3b78 | 0),
} as const;

function table(reversed: number): Int32Array {
  return Int32Array.from({ length: 256 }, (_, byte) => {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 1 ? (crc >>> 1) ^ reversed : crc >>> 1;
    return crc;
  });
}

/** `lo`, `hi`: the halves of the data, of which the lower `bytes` bytes count. */
export function crc32(poly: keyof typeof tables, accumulator: number, lo: number, hi: number, bytes: number): number {
  const of = tables[poly];
  let crc = accumulator;
  for (let n = 0; n < bytes; n++) {
    const byte = n < 4 ? lo >>> (8 * n) : hi >>> (8 * n - 32);
    crc = of[(crc ^ byte) & 255]! ^ (crc >>> 8);
  }
  return crc | 0;
}
