// CCSIDR_EL1 by cache: the demultiplexed registers. Documentation/virt/kvm/api.rst 4.68.

import assert from "node:assert/strict";
import { type RegId, regId } from "../../lib/arm64/reg-id.js";
import { ccsidr, sysReg, x } from "../../lib/arm64/registers.js";
import { mrs } from "../support/assemble.js";
import { needs, onEveryBackend, onHost } from "../support/backends.js";
import { finish, makeGuest, runToFinish } from "../support/guest.js";
import { answer, assertRefused } from "../support/refusal.js";

onEveryBackend("CCSIDR", (host) => {
  it("is there for 7 levels, data and instruction, as words of 32 bits", function () {
    needs(this, host, "ARM_SUPPORTED_REG_MASK_RANGES");
    const { cpu } = makeGuest(host);
    const ids = Array.from({ length: 14 }, (_, n) => ccsidr(n as 0));
    for (const id of ids) assert.equal(typeof cpu.getReg(id), "number");
    const listed = cpu.regList().filter((id) => ((id >> 16n) & 0xfffn) === 0x11n);
    assert.deepEqual(listed, ids);
  });

  it("of a cache that is not there leaves the register that a guest reads to, where the kernel traps it", async () => {
    // CSSELR_EL1 is not set: at reset it selects no cache.
    const guest = makeGuest(host, [mrs(5, [3, 1, 0, 0, 0]), ...finish]);
    guest.cpu.setReg(x(5), 0x1234n);
    await runToFinish(guest.cpu);
    assert.equal(guest.cpu.getReg(x(5)), onHost(host, { "6.1": 0n, "6.12": 0x1234n, "7.2": 0x1234n }));
  });

  it("beyond 14 it is ENOENT, and so are other widths", () => {
    const { cpu } = makeGuest(host);
    for (const id of [0x6020_0000_0011_000en, 0x6020_0000_0011_0100n, 0x6030_0000_0011_0000n, 0x6010_0000_0011_0000n]) {
      assertRefused("ENOENT", () => cpu.getReg(regId(id)));
      assertRefused("ENOENT", () =>
        cpu.setReg(regId(id) as RegId<32>, ((id >> 52n) & 0xfn) === 3n ? (0n as never) : 0),
      );
    }
  });

  it("tells the line size of CTR_EL0, and nothing else, until it is written", function () {
    needs(this, host, "ARM_SUPPORTED_REG_MASK_RANGES");
    const { cpu } = makeGuest(host);
    const ctr = cpu.getReg(sysReg("CTR_EL0"));
    const [data, instruction] = [Number((ctr >> 16n) & 0xfn), Number(ctr & 0xfn)];
    assert.deepEqual(
      [cpu.getReg(ccsidr(0)), cpu.getReg(ccsidr(1))],
      [Math.max(data - 2, 0), Math.max(instruction - 2, 0)],
    );
  });

  it("takes a geometry, keeps it over INIT, for this vCPU alone", function () {
    needs(this, host, "ARM_SUPPORTED_REG_MASK_RANGES");
    const { cpus, cpu } = makeGuest(host, [], { vcpus: 2 });
    const before = cpu.getReg(ccsidr(0));
    const wanted = before | (0xff << 13) | (3 << 3); // 256 sets, 4 ways
    cpu.setReg(ccsidr(0), wanted);
    cpu.init();
    assert.deepEqual([cpu.getReg(ccsidr(0)), cpus[1]?.getReg(ccsidr(0))], [wanted, before]);
  });

  it("takes any geometry but lines shorter than the host's", function () {
    needs(this, host, "ARM_SUPPORTED_REG_MASK_RANGES");
    const { cpu } = makeGuest(host);
    const least = cpu.getReg(ccsidr(0)) & 7;
    const said = Array.from({ length: 8 }, (_, line) => answer(() => cpu.setReg(ccsidr(0), line)));
    assert.deepEqual(
      said,
      Array.from({ length: 8 }, (_, line) => (line < least ? "EINVAL" : "OK")),
    );
    cpu.setReg(ccsidr(0), 0xffff_ffff);
    assert.equal(cpu.getReg(ccsidr(0)), 0xffff_ffff);
  });
});
