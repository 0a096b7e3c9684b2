// What a vCPU's thread and the machine say to each other.
import type { Exit, Handle, MmioExit } from "../index.js";

/** What the thread waits for after each exit. */
export const Answer = { none: 0, run: 1, end: 2 } as const;

export interface ThreadData {
  readonly handle: Handle;
  /** One of `Answer`. */
  readonly answer: Int32Array;
  /** Of an MMIO exit: what is stored, or what the load shall see. */
  readonly data: Uint8Array;
}

/** Exits are live views of the run page; this is what of them crosses to another thread. */
export type FromThread =
  | { readonly exit: Exclude<Exit, MmioExit> | (Pick<MmioExit, "reason" | "address" | "write"> & { bytes: number }) }
  | { readonly refused: { readonly errno: number; readonly call: string; readonly subject: string | undefined } };
