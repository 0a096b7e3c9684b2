import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { factsOf, judge } from "../../scripts/check-uapi.js";
import { skip } from "../skip.js";

describe("the tables of lib/uapi", function () {
  this.timeout(60_000);
  before(function () {
    if (spawnSync("aarch64-linux-gnu-g++", ["--version"]).error) skip(this, "needs aarch64-linux-gnu-g++");
  });

  it("say what the headers of the arm64 compiler say, as far as those know", () => {
    const { wrong, unknown } = judge(factsOf(), "<linux/kvm.h>", []);

    // Not defined to anything useful before arm64 had dirty rings.
    assert.deepEqual(
      wrong.filter((what) => what !== "KVM_DIRTY_LOG_PAGE_OFFSET"),
      [],
    );
    assert.ok(unknown.length < 100, `${unknown.length} unknown`);
  });

  it("are judged: a wrong value is named, and an unknown name too", () => {
    const facts = [
      { what: "right", condition: "KVM_RUN == 0xae80u" },
      { what: "wrong", condition: "KVM_RUN == 0xae81u" },
      { what: "unheard of", condition: "KVM_NO_SUCH == 1" },
      { what: "a member at another place", condition: "offsetof(struct kvm_run, mmio) == 33" },
    ];

    const verdict = judge(facts, "<linux/kvm.h>", []);

    assert.deepEqual(verdict, { wrong: ["wrong", "a member at another place"], unknown: ["unheard of"] });
  });
});
