// Registers by name, for people who read a difference.

import { formatRegId } from "../../lib/arm64/format.js";

export function nameOfRegister(id: bigint): string {
  try {
    return formatRegId(id);
  } catch {
    return `0x${id.toString(16)}`;
  }
}
