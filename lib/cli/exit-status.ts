// What the process ends with, beside the guest's own status. The numbers are those that env(1), timeout(1) and shells use.

export const exitStatus = {
  ok: 0,
  /** `run`: --timeout was reached. */
  timeout: 124,
  /** kvm-arm64 itself could not do it: usage, a bad file, no KVM, an exit that the machine does not answer. */
  failed: 125,
  /** `run`: the guest asked for a reset, or reported a crash. */
  reset: 126,
  /** Ctrl-C. */
  interrupted: 130,
  terminated: 143,
} as const;

/** `doctor`: 0 when /dev/kvm can be used, this when only the model can. */
export const MODEL_ONLY = 1;

/** `reg`: something was no register. */
export const UNKNOWN_REGISTER = 1;

/** The arguments make no sense; the message says which. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}
