// The index of KVM_ARM_GET_REG_WRITABLE_MASKS: every register of the feature-ID space, and nothing else.
// Documentation/virt/kvm/api.rst 4.139; ARM64_FEATURE_ID_SPACE_IDX in asm/kvm.h.

import { indexArgument } from "./argument.js";
import type { Encoding } from "./sysreg-row.js";

/** Words in the range: op1 0, 1 and 3; CRm 0 to 7; op2 0 to 7. */
export const FEATURE_ID_SPACE_SIZE = 3 * 8 * 8;

const op1s = [0, 1, 3] as const;

/** The index of a register; -1 outside the space, which is op0 3, op1 0, 1 or 3, CRn 0, CRm 0 to 7. */
export function featureIdIndex([op0, op1, crn, crm, op2]: Encoding): number {
  const row = (op1s as readonly number[]).indexOf(op1);
  if (op0 !== 3 || row < 0 || crn !== 0 || crm < 0 || crm > 7 || op2 < 0 || op2 > 7) return -1;
  return row * 64 + crm * 8 + op2;
}

/** The encoding at an index. */
export function featureIdEncoding(index: number): Encoding {
  indexArgument("featureIdEncoding", "index", index, FEATURE_ID_SPACE_SIZE);
  return [3, op1s[index >> 6] as number, 0, (index >> 3) & 7, index & 7];
}
