// What every function id of the SMC Calling Convention answers, with a few arguments, to guests of several kinds.

import assert from "node:assert/strict";
import { firmware } from "../../lib/arm64/registers.js";
import { hvc, mov64 } from "../support/assemble.js";
import { needs, onEveryBackend } from "../support/backends.js";
import { finish, makeGuest, runToFinish } from "../support/guest.js";
import { type Call, callAll, callers, sweepOf, sweepProgram } from "../support/hypercalls.js";
import { blessedHypercalls } from "./blessed/hypercalls.js";
import { remakeCommand } from "./blessed/lists.js";

const ARCH_FEATURES = 0x8000_0001n;
const workarounds = [0x8000_8000n, 0x8000_7fffn, 0x8000_3fffn] as const;
const NOT_SUPPORTED = -1n;
/** What ARCH_FEATURES says of each workaround, by what its firmware register says. */
const answers: readonly (readonly bigint[])[] = [
  [NOT_SUPPORTED, 0n, 1n],
  [NOT_SUPPORTED, NOT_SUPPORTED, NOT_SUPPORTED, -2n],
  [NOT_SUPPORTED, 0n, 1n],
];

/** The host's CPU decides what is said of its workarounds. */
const ofHost = new RegExp(`^80000001 (${workarounds.map((id) => id.toString(16)).join("|")}) `);

onEveryBackend("hypercalls of all families", (host) => {
  for (const name of Object.keys(callers)) {
    it(`of a guest with ${name} are answered as the kernel does`, async function () {
      if (name === "stolen time") needs(this, host, "STEAL_TIME");
      const expected = blessedHypercalls(host.kernel).get(name) ?? [];
      const answered = await sweepOf(host, name);
      const without = (lines: readonly string[]) => lines.filter((line) => !ofHost.test(line));
      assert.deepEqual(without(answered), without(expected), `to bless other answers: ${remakeCommand}`);
    });
  }

  it("ask for workarounds: what the firmware registers say", async () => {
    const guest = makeGuest(host, sweepProgram(hvc(0)), { features: ["psci-0.2"] });
    const calls = workarounds.map((id): Call => [ARCH_FEATURES, id, 0n, 0n]);
    const said = (await callAll(guest, calls)).map(({ x }) => BigInt.asIntN(64, x[0] ?? 0n));
    const levels = [firmware.workaround1, firmware.workaround2, firmware.workaround3].map((id) => guest.cpu.getReg(id));
    assert.deepEqual(
      said,
      levels.map((level, n) => answers[n]?.[Number(level)]),
    );
  });

  it("a call for a workaround is no exit: the exception vectors answer it", async () => {
    const { cpu } = makeGuest(host, [...mov64(0, workarounds[0]), hvc(0), ...finish]);
    const count = () => cpu.statistics().statistics.find(({ name }) => name === "hvc_exit_stat")?.values[0];
    await runToFinish(cpu);
    assert.equal(count(), 0n);
  });
});
