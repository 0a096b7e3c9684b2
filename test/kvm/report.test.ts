// The report of a run is the truth about it: what broke off, crashed or lied is a failure.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { projectFolder } from "../../scripts/kvm/initramfs.js";
import {
  type LegResult,
  legNotRun,
  type ReportLine,
  reportVariable,
  summarize,
  Tally,
} from "../../scripts/test/report.js";

const pass: ReportLine = { kind: "pass", titles: ["s", "p"], ms: 1 };
const skipped: ReportLine = { kind: "skip", titles: ["s", "k"], reason: "no kernel" };
const failed: ReportLine = { kind: "fail", titles: ["s", "f"], ms: 1, error: "Error: no" };

function resultOf(lines: readonly ReportLine[], exitStatus: number | null): LegResult {
  const tally = new Tally(() => {});
  for (const line of lines) tally.line(JSON.stringify(line));
  return tally.result("leg", 1, exitStatus);
}

describe("a test report", () => {
  it("adds up what passed, failed and was skipped", () => {
    const leg = resultOf([pass, skipped, failed, pass, { kind: "end", tests: 4 }], 1);
    assert.equal(leg.passed, 2);
    assert.deepEqual(leg.failures, [{ title: "s › f", error: "Error: no" }]);
    assert.deepEqual(leg.skips, [{ title: "s › k", reason: "no kernel" }]);
  });

  it("counts a failure when it has no last line", () => {
    assert.deepEqual(resultOf([pass], 0).failures, [{ title: "leg", error: "the run broke off after 1 tests" }]);
  });

  it("says that the runner died only when no test failed and nothing else went wrong", () => {
    assert.equal(resultOf([pass], 139).died, true);
    assert.equal(resultOf([pass, failed], 139).died, undefined);
    assert.equal(resultOf([pass, failed, { kind: "end", tests: 2 }], 1).died, undefined);
    const timedOut = new Tally(() => {});
    timedOut.fail("leg", "the host was stopped after 900 s");
    assert.equal(timedOut.result("leg", 900, null).died, undefined);
  });

  it("counts a failure when tests are missing from it", () => {
    assert.equal(resultOf([pass, { kind: "end", tests: 2 }], 0).failures.length, 1);
  });

  it("counts a failure when the runner failed and no test did", () => {
    assert.equal(resultOf([pass, { kind: "end", tests: 1 }], 99).failures.length, 1);
    assert.equal(resultOf([pass, { kind: "end", tests: 1 }], null).failures.length, 1);
  });

  it("counts a failure when a line is none", () => {
    const tally = new Tally(() => {});
    for (const line of [JSON.stringify(pass), "Segmentation fault", JSON.stringify({ kind: "end", tests: 1 })])
      tally.line(line);
    assert.ok(tally.result("leg", 1, 0).failures.length >= 1);
  });

  it("ends in one line that sums all legs, and names each skip with its reason", () => {
    const printed: string[] = [];
    const good = resultOf([pass, skipped, { kind: "end", tests: 2 }], 0);
    assert.equal(
      summarize([good, legNotRun("kvm", "no QEMU")], (line) => printed.push(line)),
      true,
    );
    assert.equal(printed.at(-1), "1 passed, 0 failed, 2 skipped");
    assert.ok(printed.includes("  - s › k: no kernel"));
    assert.ok(printed.includes("  - the whole leg: no QEMU"));
    const bad = resultOf([failed, { kind: "end", tests: 1 }], 1);
    assert.equal(
      summarize([good, bad], () => {}),
      false,
    );
  });

  it("is no success when no test ran", () => {
    assert.equal(
      summarize([resultOf([{ kind: "end", tests: 0 }], 0)], () => {}),
      false,
    );
  });
});

describe("the mocha reporter", () => {
  it("reports every test, with the reason of every skip and the error of every failure", () => {
    const scratch = mkdtempSync(join(tmpdir(), "kvm-arm64-"));
    try {
      const suite = join(scratch, "suite.test.mjs");
      const skipModule = pathToFileURL(join(projectFolder, "dist/test/skip.js")).href;
      writeFileSync(
        suite,
        `import { skip } from ${JSON.stringify(skipModule)};
         describe("a", () => {
           it("passes", () => {});
           it("fails", () => { throw new TypeError("no"); });
           it("skips", function () { skip(this, "no need"); });
           it.skip("skips for no reason", () => {});
           describe("b", () => {
             before(function () { skip(this, "no b here"); });
             it("one", () => {});
             it("two", () => {});
           });
           describe("c", () => {
             beforeEach(function () { skip(this, "each"); });
             it("three", () => {});
           });
           describe("d", () => {
             before(() => { throw new Error("hook"); });
             it("four", () => {});
           });
         });`,
      );
      const report = join(scratch, "report");
      const mocha = join(projectFolder, "node_modules/mocha/bin/mocha.js");
      const reporter = join(projectFolder, "dist/scripts/test/reporter.js");
      const { status } = spawnSync(process.execPath, [mocha, "--no-config", "--reporter", reporter, suite], {
        env: { ...process.env, [reportVariable]: report },
      });
      const lines: ReportLine[] = readFileSync(report, "utf8")
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line));
      const told = lines.map((line) => {
        if (line.kind === "end") return `end ${line.tests}`;
        const note = line.kind === "skip" ? line.reason : line.kind === "fail" ? line.error.split("\n")[0] : "";
        return `${line.kind} ${line.titles.join("/")}: ${note}`;
      });
      assert.deepEqual(told, [
        "pass a/passes: ",
        "fail a/fails: TypeError: no",
        "skip a/skips: no need",
        "skip a/skips for no reason: no reason given",
        "skip a/b/one: no b here",
        "skip a/b/two: no b here",
        "skip a/c/three: each",
        'fail a/d/"before all" hook for "four": Error: hook',
        "end 8",
      ]);
      assert.equal(status, 2);
    } finally {
      rmSync(scratch, { recursive: true });
    }
  });
});
