// What a guest's HVC and SMC answer. SMC Calling Convention (DEN0028); Documentation/virt/kvm/arm/hypercalls.rst.

import assert from "node:assert/strict";
import { firmwareFeatures, pc, x } from "../../lib/arm64/registers.js";
import type { Vcpu } from "../../lib/vcpu.js";
import { hvc, smc } from "../support/assemble.js";
import { onEveryBackend } from "../support/backends.js";
import { finish, makeGuest, RAM, runToFinish } from "../support/guest.js";

const NOT_SUPPORTED = 0xffff_ffff_ffff_ffffn;
const SMCCC_VERSION = 0x8000_0000n;
const ARCH_FEATURES = 0x8000_0001n;
const TRNG_VERSION = 0x8400_0050n;
const PV_TIME_FEATURES = 0xc500_0020n;
const PV_TIME_ST = 0xc500_0021n;
const VENDOR_UID = 0x8600_ff01n;
const VENDOR_FEATURES = 0x8600_0000n;
const PTP = 0x8600_0001n;

/** Makes the guest, which has been set up with HVC or SMC at its start, call a function. Gives X0 to X3. */
async function call(cpu: Vcpu, ...registers: readonly bigint[]): Promise<bigint[]> {
  for (const n of [0, 1, 2, 3] as const) cpu.setReg(x(n), registers[n] ?? 0n);
  cpu.setReg(pc, RAM);
  await runToFinish(cpu);
  return [cpu.getReg(x(0)), cpu.getReg(x(1)), cpu.getReg(x(2)), cpu.getReg(x(3))];
}

onEveryBackend("hypercalls", (host) => {
  const withHvc = () => makeGuest(host, [hvc(0), ...finish], { features: ["psci-0.2"] }).cpu;

  it("SMCCC_VERSION is 1.1", async () => {
    const [version] = await call(withHvc(), SMCCC_VERSION);
    assert.equal(version, 0x1_0001n);
  });

  it("HVC is answered whatever its immediate", async () => {
    const { cpu } = makeGuest(host, [hvc(0x1234), ...finish], { features: ["psci-0.2"] });
    const [version] = await call(cpu, SMCCC_VERSION);
    assert.equal(version, 0x1_0001n);
  });

  it("SMC with an immediate other than 0 is NOT_SUPPORTED", async () => {
    const { cpu } = makeGuest(host, [smc(1), ...finish], { features: ["psci-0.2"] });
    const [answer] = await call(cpu, SMCCC_VERSION);
    assert.equal(answer, NOT_SUPPORTED);
  });

  it("an unknown function is NOT_SUPPORTED", async () => {
    const cpu = withHvc();
    for (const number of [0x8000_ffffn, 0x8600_1234n, 0xc400_ffffn, 0n]) {
      const [answer] = await call(cpu, number);
      assert.equal(answer, NOT_SUPPORTED);
    }
  });

  it("TRNG answers its version, 1.0", async () => {
    const [version] = await call(withHvc(), TRNG_VERSION);
    assert.equal(version, 0x1_0000n);
  });

  it("TRNG gives as many random bits as were asked for", async () => {
    const cpu = withHvc();
    const [status, high, middle, low] = await call(cpu, 0xc400_0053n, 64n);
    assert.deepEqual([status, high, middle], [0n, 0n, 0n]);
    const [, , , again] = await call(cpu, 0xc400_0053n, 64n);
    assert.notEqual(low, again);
  });

  it("TRNG without its bit is NOT_SUPPORTED", async () => {
    const cpu = withHvc();
    cpu.setReg(firmwareFeatures.std, 0n);
    const [answer] = await call(cpu, TRNG_VERSION);
    assert.equal(answer, NOT_SUPPORTED);
  });

  it("the vendor's UID is KVM's", async () => {
    const answer = await call(withHvc(), VENDOR_UID);
    assert.deepEqual(answer, [0xb66f_b428n, 0xe911_c52en, 0x564b_caa9n, 0x743a_004dn]);
  });

  it("the vendor's feature call answers the bitmap", async () => {
    const cpu = withHvc();
    cpu.setReg(firmwareFeatures.vendorHyp, 1n);
    const [features] = await call(cpu, VENDOR_FEATURES);
    assert.equal(features, 1n);
  });

  it("the vendor's calls without their bit are NOT_SUPPORTED", async () => {
    const cpu = withHvc();
    cpu.setReg(firmwareFeatures.vendorHyp, 0n);
    for (const number of [VENDOR_UID, VENDOR_FEATURES, PTP]) {
      const [answer] = await call(cpu, number);
      assert.equal(answer, NOT_SUPPORTED);
    }
  });

  it("ARCH_FEATURES answers for itself, not for other families", async () => {
    const cpu = withHvc();
    const [unknown] = await call(cpu, ARCH_FEATURES, 0x8000_abcdn);
    const [trng] = await call(cpu, ARCH_FEATURES, TRNG_VERSION);
    assert.deepEqual([unknown, trng], [NOT_SUPPORTED, NOT_SUPPORTED]);
  });

  it("PV time's feature call knows its own functions only where the bit is set", async () => {
    const cpu = withHvc();
    const [unknown] = await call(cpu, PV_TIME_FEATURES, 0x8000_0000n);
    cpu.close();
    const other = withHvc();
    other.setReg(firmwareFeatures.stdHyp, 0n);
    const [disabled] = await call(other, PV_TIME_FEATURES, PV_TIME_ST);
    assert.deepEqual([unknown, disabled], [NOT_SUPPORTED, NOT_SUPPORTED]);
  });

  it("PV time's structure is NOT_SUPPORTED until userspace placed it", async () => {
    const [answer] = await call(withHvc(), PV_TIME_ST);
    assert.equal(answer, NOT_SUPPORTED);
  });
});
