// A skip with its reason: the summary of a run prints both.

/** Why a test, or every test of a suite, was skipped. */
export const skipReasons = new WeakMap<object, string>();

/** Skips the running test; in a `before` hook, every test of its suite. */
export function skip(context: Mocha.Context, reason: string): never {
  const runnable = context.runnable();
  const { type } = runnable as { type?: string };
  const forSuite = type === "hook" && runnable.title.includes('"before all"');
  const skipped = forSuite ? runnable.parent : type === "hook" ? context.currentTest : runnable;
  if (skipped) skipReasons.set(skipped, reason);
  context.skip();
}

/** What KVM_ARM64_REQUIRE can name; see scripts/test.ts. */
export type Requirement = "qemu" | "kvm" | "asan" | "dtc";

/** Skips for the lack of something that a machine may lack, or fails where KVM_ARM64_REQUIRE names it. */
export function skipWithout(context: Mocha.Context, requirement: Requirement, reason: string): never {
  if ((process.env["KVM_ARM64_REQUIRE"] ?? "").split(",").includes(requirement)) {
    throw new Error(`${reason}, and KVM_ARM64_REQUIRE names ${requirement}`);
  }
  skip(context, reason);
}
