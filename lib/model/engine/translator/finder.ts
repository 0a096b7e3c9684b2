// The region at an address, as the interpreter finds records: by the table of fetches, in this epoch.

import { GUARDED } from "../page-cache.js";
import { Code, I32 } from "../wasm/binary.js";
import { entryOf } from "../wasm/memory-access.js";
import { EPOCH, Handler, RECORD_PAGE, Block as Shared, SLOT } from "../wasm/record.js";

/** `find(block, pc, btype)`: the slot of the region that begins there, or 0. A guarded page's first instruction is not looked at. */
export function finder(): Code {
  const code = new Code(3);
  const [block, pc, btype] = [0, 1, 2];
  const at = code.local(I32);
  const found = code.local(I32);
  const nothing = code.block();
  code.get(pc);
  entryOf(code);
  code
    .get(block)
    .memory(0x28, 2, Shared.fetches * 4)
    .op(0x6a)
    .tee(at)
    .memory(0x29, 3);
  code.get(pc).i64(-4093).op(0x83, 0x52).branchIf(nothing);
  code.get(at).memory(0x28, 2, 12).tee(found).i32(GUARDED).op(0x71);
  code.get(btype).i32(0).op(0x47, 0x71).branchIf(nothing);
  code.get(found).i32(-RECORD_PAGE).op(0x71).tee(found).op(0x45).branchIf(nothing);
  code.get(found).memory(0x28, 2, EPOCH);
  code
    .get(block)
    .memory(0x28, 2, Shared.epoch * 4)
    .op(0x47)
    .branchIf(nothing);
  code.get(pc).op(0xa7).i32(4095).op(0x71).set(at);
  code.get(found).get(at).i32(2).op(0x74, 0x6a).memory(0x2f, 1).i32(Handler.region).op(0x47).branchIf(nothing);
  code.get(found).get(at).i32(1).op(0x76, 0x6a).memory(0x2f, 1, SLOT).return();
  code.end().i32(0);
  return code;
}
