// The guest's exception vectors, for exceptions from EL1 with SP_EL1. DDI 0487 D1.3.

import { sysReg } from "../../lib/arm64/registers.js";
import { finish, type Guest, loadWords, RAM } from "./guest.js";

const VECTORS = 0x800;
const offsets = { synchronous: 0x200, irq: 0x280, fiq: 0x300, serror: 0x380 } as const;
export type VectorName = keyof typeof offsets;

/** Where a vector is. */
export const vectorAt = (name: VectorName): bigint => RAM + BigInt(VECTORS + offsets[name]);

/** Points VBAR_EL1 at vectors that end the guest, but for those with code of their own: at most 32 words. */
export function setVectors({ ram, cpu }: Guest, handlers: Partial<Record<VectorName, readonly number[]>> = {}): void {
  for (const name of Object.keys(offsets) as VectorName[]) {
    loadWords(ram, VECTORS + offsets[name], handlers[name] ?? finish);
  }
  cpu.setReg(sysReg("VBAR_EL1"), RAM + BigInt(VECTORS));
}
