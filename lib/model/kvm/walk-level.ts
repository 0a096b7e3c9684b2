// At which level a table walk of stage 1 ended: KVM walks the guest's tables again to tell it of an external abort.

import { EE, reversed } from "../cpu/data-order.js";
import { accessOf, regimeOf, translateStage1 } from "../cpu/stage1.js";
import { SlotMap } from "../slots.js";
import type { VcpuState } from "../vcpu-state.js";

const PAGE = 0xfffn;
/** The walk goes no further; what status code stage 2 would have given is of no interest. */
const ENDS = -1;

/**
 * The level of the descriptor that lies in the page of `ipa`, on the way to the translation of `address`. null: none does
 * (any more).
 */
export function walkLevel(vcpu: VcpuState, kind: "instruction" | "data", address: bigint, ipa: bigint): number | null {
  const { cpu, vm } = vcpu;
  const slots = new SlotMap(vm);
  const bigEndian = (cpu.get("SCTLR_EL1") & BigInt(EE)) !== 0n;
  let found = false;
  const read = (at: bigint): bigint | number => {
    found = (at & ~PAGE) === (ipa & ~PAGE);
    const slot = found ? undefined : slots.find(Number(at));
    if (slot === undefined) return ENDS;
    const bytes = vm.view(slot.hostOffset + (Number(at) - slot.first), 8);
    const value = new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true);
    return bigEndian ? reversed(value, 8) : value;
  };
  const access = accessOf(cpu.mode, kind === "data" ? "read" : "fetch", false);
  const walked = translateStage1(regimeOf(cpu), { read, update: () => true }, address, access);
  return found && walked.kind === "walk" ? walked.level : null;
}
