// What is refused, and how: on the public API a KvmError with its code, on the seam a Refusal with its errno.

import assert from "node:assert/strict";
import { KvmError } from "../../lib/errors.js";
import { type ErrnoName, errnoName } from "../../lib/uapi/errno.js";

function codeOf(error: unknown): string {
  if (error instanceof KvmError) return error.code;
  if (error instanceof Error && "errno" in error && "call" in error) return errnoName(Number(error.errno));
  throw error;
}

/** The kernel's answer: "OK", or the name of the errno. */
export function answer(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    return codeOf(error);
  }
  return "OK";
}

/** As `answer`, for what gives a promise. */
export async function answerOf(call: () => Promise<unknown>): Promise<string> {
  try {
    await call();
  } catch (error) {
    return codeOf(error);
  }
  return "OK";
}

export function assertRefused(code: ErrnoName, call: () => unknown): void {
  assert.equal(answer(call), code);
}

export async function assertRunRefused(code: ErrnoName, call: () => Promise<unknown>): Promise<void> {
  assert.equal(await answerOf(call), code);
}
