// KVM_GET_ONE_REG and KVM_SET_ONE_REG of the core registers, and of ids that are none.
// Documentation/virt/kvm/api.rst 4.68.

import assert from "node:assert/strict";
import { type RegId, regId } from "../../lib/arm64/reg-id.js";
import { fpcr, fpsr, pc, pstate, sp, spEl1, spsr, v, x } from "../../lib/arm64/registers.js";
import { needs, onEveryBackend } from "../support/backends.js";
import { makeGuest } from "../support/guest.js";
import { answer, assertRefused } from "../support/refusal.js";

const U64 = 0x6030_0000_0010_0000n;
const U32 = 0x6020_0000_0010_0000n;
const U128 = 0x6040_0000_0010_0000n;
const U2048 = 0x6080_0000_0010_0000n;

/** Core ids that are refused: struct kvm_regs has 216 words. */
// biome-ignore format: table
const badCoreIds: readonly [what: string, id: bigint, code: "ENOENT" | "EINVAL"][] = [
  ["the second half of X0",            U64 | 1n,      "EINVAL"],
  ["X0 with 32 bits",                  U32 | 0n,      "EINVAL"],
  ["PC with 128 bits",                 U128 | 0x40n,  "EINVAL"],
  ["the padding before the vectors",   U64 | 0x52n,   "EINVAL"],
  ["half of V0",                       U64 | 0x54n,   "EINVAL"],
  ["V0 with an odd word",              U128 | 0x55n,  "EINVAL"],
  ["FPCR with 64 bits",                U64 | 0xd5n,   "EINVAL"],
  ["the reserved word 214",            U32 | 214n,    "EINVAL"],
  ["the reserved word 215",            U32 | 215n,    "ENOENT"],
  ["word 216, beyond kvm_regs",        U64 | 216n,    "ENOENT"],
  ["word 0xffff",                      U64 | 0xffffn, "ENOENT"],
  ["word 208 with 2048 bits",          U2048 | 208n,  "ENOENT"],
];

/** Ids that are no register of arm64 at all. */
// biome-ignore format: table
const badIds: readonly [what: string, id: bigint, code: "ENOENT" | "EINVAL"][] = [
  ["R0 of a 32-bit ARM host",           0x4020_0000_0010_0000n, "EINVAL"],
  ["the architecture field 0",          0x0030_0000_0010_0000n, "EINVAL"],
  ["x86 in the architecture field",     0x2030_0000_0010_0000n, "EINVAL"],
  ["bit 32 set",                        0x6030_0001_0010_0000n, "EINVAL"],
  ["bit 51 set",                        0x6038_0000_0010_0000n, "EINVAL"],
  ["CP15 of a 32-bit guest",            0x6020_0000_000f_0000n, "ENOENT"],
  ["VFP of a 32-bit guest",             0x6030_0000_0012_0000n, "ENOENT"],
  ["the unused space 0x17",             0x6030_0000_0017_0000n, "ENOENT"],
  ["a system register nobody has",      0x6030_0000_0013_ffffn, "ENOENT"],
  ["SCTLR_EL1 with 32 bits",            0x6020_0000_0013_c080n, "ENOENT"],
  ["bit 28 set",                        0x6030_0000_1013_c080n, "ENOENT"],
  ["an unknown firmware register",      0x6030_0000_0014_00ffn, "ENOENT"],
  ["PSCI_VERSION with 32 bits",         0x6020_0000_0014_0000n, "ENOENT"],
  ["an unknown firmware bitmap",        0x6030_0000_0016_00ffn, "ENOENT"],
];

const zeroOf = (id: bigint): number | bigint | Uint8Array => {
  const size = 1 << (Number(id >> 52n) & 0xf);
  return size > 8 ? new Uint8Array(size) : size === 8 ? 0n : 0;
};

onEveryBackend("core registers", (host) => {
  it("each keeps what is written to it", () => {
    const { cpu } = makeGuest(host);
    const wide: RegId<64>[] = [x(0), x(15), x(30), sp, pc, spEl1, spsr("EL1"), spsr("abt"), spsr("fiq")];
    for (const [i, id] of wide.entries()) cpu.setReg(id, 0xfedc_ba98_0000_0000n + BigInt(i));
    assert.deepEqual(
      wide.map((id) => cpu.getReg(id)),
      wide.map((_, i) => 0xfedc_ba98_0000_0000n + BigInt(i)),
    );
  });

  it("the vectors keep all 16 bytes, little-endian", () => {
    const { cpu } = makeGuest(host);
    const bytes = Uint8Array.from({ length: 16 }, (_, i) => i + 1);
    cpu.setReg(v(0), bytes);
    cpu.setReg(v(31), bytes.toReversed());
    assert.deepEqual(
      [cpu.getReg(v(0)), cpu.getReg(v(31)), cpu.getReg(v(1))],
      [bytes, bytes.toReversed(), new Uint8Array(16)],
    );
  });

  it("FPSR and FPCR are words of 32 bits, not masked", () => {
    const { cpu } = makeGuest(host);
    cpu.setReg(fpsr, 0xffff_ffff);
    cpu.setReg(fpcr, 0xffff_ffff);
    assert.deepEqual([cpu.getReg(fpsr), cpu.getReg(fpcr)], [0xffff_ffff, 0xffff_ffff]);
  });

  for (const [what, id, code] of badCoreIds) {
    it(`${what} is ${code}, to read and to write`, () => {
      const { cpu } = makeGuest(host);
      assertRefused(code, () => cpu.getReg(regId(id)));
      assertRefused(code, () => cpu.setReg(regId(id), zeroOf(id)));
    });
  }

  for (const [what, id, code] of badIds) {
    it(`${what} is ${code}, to read and to write`, () => {
      const { cpu } = makeGuest(host);
      assertRefused(code, () => cpu.getReg(id as RegId));
      assertRefused(code, () => cpu.setReg(id as RegId, zeroOf(id)));
    });
  }

  it("PSTATE takes the modes of EL0 and EL1, and any bits above", () => {
    const { cpu } = makeGuest(host);
    for (const mode of [0n, 4n, 5n]) {
      cpu.setReg(pstate, mode | 0xffff_ffff_0000_0000n);
      assert.equal(cpu.getReg(pstate), mode | 0xffff_ffff_0000_0000n);
    }
  });

  for (const mode of [1n, 2n, 3n, 6n, 7n, 8n, 9n, 0xan, 0xcn, 0xdn, 0xfn]) {
    it(`PSTATE with mode ${mode} is EINVAL, and PSTATE stays`, () => {
      const { cpu } = makeGuest(host);
      assertRefused("EINVAL", () => cpu.setReg(pstate, mode));
      assert.equal(cpu.getReg(pstate), 0x3c5n);
    });
  }

  for (const mode of [0x11n, 0x12n, 0x13n, 0x16n, 0x17n, 0x1an, 0x1bn, 0x1fn]) {
    it(`PSTATE with the AArch32 mode 0x${mode.toString(16)} is EINVAL on a vCPU of 64 bits`, () => {
      const { cpu } = makeGuest(host);
      assertRefused("EINVAL", () => cpu.setReg(pstate, mode));
    });
  }

  it("PSTATE with AArch32 EL0 truncates X0 to X14 and PC to 32 bits, where the host has AArch32 EL0", () => {
    const { cpu } = makeGuest(host);
    cpu.setReg(x(14), 0x1_2345_6789n);
    cpu.setReg(x(15), 0x1_2345_6789n);
    const said = answer(() => cpu.setReg(pstate, 0x10n));
    const truncated = said === "OK" ? 0x2345_6789n : 0x1_2345_6789n;
    assert.ok(said === "OK" || said === "EINVAL");
    assert.deepEqual([cpu.getReg(x(14)), cpu.getReg(x(15))], [truncated, 0x1_2345_6789n]);
  });

  it("a vCPU of 32 bits starts in SVC mode and takes no mode of 64 bits", function () {
    needs(this, host, "ARM_EL1_32BIT");
    const { cpu } = makeGuest(host, [], { features: ["el1-32bit"] });
    assert.equal(cpu.getReg(pstate), 0x1d3n);
    assertRefused("EINVAL", () => cpu.setReg(pstate, 5n));
  });

  it("many registers in one call stop at the first that is refused, and say which", () => {
    const { cpu } = makeGuest(host);
    const ids = [x(0), x(1), regId(U64 | 1n), x(2)] as RegId[];
    assertRefused("EINVAL", () => cpu.getRegs(ids));
    assertRefused("EINVAL", () =>
      cpu.setRegs([
        [x(0), 1n],
        [regId(U64 | 1n), 0n],
        [x(2), 3n],
      ]),
    );
    assert.deepEqual(cpu.getRegs([x(0), x(2)]), [1n, 0n]);
  });
});
