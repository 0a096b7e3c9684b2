// CRC32 and CRC32C: see ../crc32.ts.

import { crc32 } from "../crc32.js";
import { Code, I32 } from "./binary.js";

/**
 * Code of `crc(accumulator, data, bytes)`: of each byte, the table's entry is put together of those of its bits, since
 * the memory is the guest's.
 */
export function crc32Helper(poly: "04C11DB7" | "1EDC6F41"): Code {
  const code = new Code(3);
  const [crc, data, bytes] = [0, 1, 2];
  const index = code.local(I32);
  const next = code.loop();
  code.get(crc).get(data).op(0xa7, 0x73).set(index);
  code.get(crc).i32(8).op(0x76);
  for (let bit = 0; bit < 8; bit++) {
    code
      .get(index)
      .i32(31 - bit)
      .op(0x74)
      .i32(31)
      .op(0x75);
    code.i32(crc32(poly, 0, 1 << bit, 0, 1)).op(0x71, 0x73);
  }
  code.set(crc);
  code.get(data).i64(8).op(0x88).set(data);
  code.get(bytes).i32(1).op(0x6b).tee(bytes).branchIf(next).end();
  return code.get(crc);
}
