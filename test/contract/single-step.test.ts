// KVM_GUESTDBG_SINGLESTEP over system instructions: what the kernel traps and does itself is no instruction that the CPU
// stepped, and the syndrome says so (DDI 0487 D2, "Software Step exceptions": ESR_EL2.ISV). This is the one place where
// userspace sees which registers a kernel traps.

import assert from "node:assert/strict";
import { decode } from "../../lib/arm64/fields.js";
import { pc, pstate, sysReg, x } from "../../lib/arm64/registers.js";
import { type SysRegName, sysRegByName } from "../../lib/arm64/sysregs.js";
import { mrs, msr, nop, type SystemRegister } from "../support/assemble.js";
import { type Host, needsDevice, onEveryBackend } from "../support/backends.js";
import { makeGicGuest } from "../support/gic.js";
import { type Guest, loadWords, makeGuest, RAM, runToExit } from "../support/guest.js";
import { turnMmuOn } from "../support/stage1.js";

const ISV = 1n << 24n;
const EL1_MASKED = 0x3c5n;

type Access = readonly ["mrs" | "msr", SysRegName];

// biome-ignore format: table
const accesses: readonly (readonly [...Access, "stepped" | "done by the kernel" | "6.12" | "7.2"])[] = [
  // The kernels since which it is trapped.
  ["mrs", "MIDR_EL1",         "stepped"],
  ["mrs", "REVIDR_EL1",       "7.2"],
  ["mrs", "AIDR_EL1",         "7.2"],
  ["mrs", "MPIDR_EL1",        "stepped"],
  ["mrs", "ID_PFR0_EL1",      "done by the kernel"],
  ["mrs", "ID_AA64PFR0_EL1",  "done by the kernel"],
  ["mrs", "ID_AA64MMFR4_EL1", "done by the kernel"],
  ["mrs", "CCSIDR_EL1",       "6.12"],
  ["mrs", "CLIDR_EL1",        "6.12"],
  ["mrs", "CSSELR_EL1",       "6.12"],
  ["msr", "CSSELR_EL1",       "6.12"],
  ["mrs", "DCZID_EL0",        "stepped"],
  ["mrs", "ACTLR_EL1",        "done by the kernel"],
  ["msr", "ACTLR_EL1",        "done by the kernel"],
  ["mrs", "SCTLR_EL1",        "stepped"],
  ["mrs", "TTBR0_EL1",        "stepped"],
  ["mrs", "VBAR_EL1",         "stepped"],
  ["msr", "VBAR_EL1",         "stepped"],
  ["msr", "TPIDR_EL1",        "stepped"],
  ["msr", "CPACR_EL1",        "stepped"],
  ["mrs", "DBGBVR0_EL1",      "done by the kernel"],
  ["msr", "DBGBCR1_EL1",      "done by the kernel"],
  ["msr", "DBGWVR0_EL1",      "done by the kernel"],
  ["mrs", "MDSCR_EL1",        "done by the kernel"],
  ["mrs", "MDCCSR_EL0",       "done by the kernel"],
  ["mrs", "OSLSR_EL1",        "done by the kernel"],
  ["msr", "OSLAR_EL1",        "done by the kernel"],
  ["msr", "OSDLR_EL1",        "done by the kernel"],
  ["mrs", "PMCR_EL0",         "done by the kernel"],
  ["msr", "PMSELR_EL0",       "done by the kernel"],
  ["msr", "PMCNTENCLR_EL0",   "done by the kernel"],
  ["msr", "PMINTENCLR_EL1",   "done by the kernel"],
  ["mrs", "PMCCNTR_EL0",      "done by the kernel"],
  ["mrs", "CNTFRQ_EL0",       "stepped"],
  ["mrs", "CNTPCT_EL0",       "stepped"],
  ["mrs", "CNTVCT_EL0",       "stepped"],
  ["mrs", "CNTV_CTL_EL0",     "stepped"],
  ["msr", "CNTV_CTL_EL0",     "stepped"],
  ["msr", "CNTV_CVAL_EL0",    "stepped"],
];

onEveryBackend("a single step", (host) => {
  const kernels = ["6.1", "6.12", "7.2"];
  const expected = (since: (typeof accesses)[number][2]) => {
    if (since === "stepped" || since === "done by the kernel") return since;
    return kernels.indexOf(host.kernel) >= kernels.indexOf(since) ? "done by the kernel" : "stepped";
  };

  it("over MRS and MSR of a register that the kernel traps says that no instruction was stepped", async () => {
    const pmu = host.kvm.has("ARM_PMU_V3") === 1;
    const { cpu, step } = stepper(host, pmu ? ["pmu-v3"] : []);
    const seen: string[] = [];
    const wanted: string[] = [];
    for (const [how, name, since] of accesses) {
      if (name.startsWith("PM") && !pmu) continue;
      const outcome = await step(how === "mrs" ? mrs(0, encodingOf(name)) : msr(encodingOf(name), 0));
      seen.push(`${how} ${name}: ${outcome}`);
      wanted.push(`${how} ${name}: ${expected(since)}`);
    }
    assert.deepEqual(seen, wanted);
    cpu.setGuestDebug();
  });

  it("over registers that make SGIs says so too, with a vGICv3", async function () {
    needsDevice(this, host, "vgic-v3");
    const { step } = stepper(host, [], "vgic-v3");
    assert.equal(await step(msr(encodingOf("ICC_SGI1R_EL1"), 0)), "done by the kernel");
    assert.equal(await step(msr(encodingOf("ICC_PMR_EL1"), 0)), "stepped");
    assert.equal(await step(mrs(0, encodingOf("ICC_IAR1_EL1"))), "stepped");
  });

  it("over maintenance by set and way says so, over other maintenance not", async () => {
    const { step } = stepper(host);
    for (const crm of [6, 10, 14]) assert.equal(await step(msr([1, 0, 7, crm, 2], 0)), "done by the kernel");
    assert.equal(await step(msr([1, 0, 7, 5, 0], 31)), "stepped"); // IC IALLU
    assert.equal(await step(msr([1, 0, 8, 7, 0], 31)), "stepped"); // TLBI VMALLE1
  });

  it("over CTR_EL0 says so since 6.12, where the CPU cannot trap its caches without it", async () => {
    const { cpu, step } = stepper(host);
    const apart = decode("ID_AA64MMFR2_EL1", cpu.getReg(sysReg("ID_AA64MMFR2_EL1"))).fields.EVT > 0;
    const trapped = expected("6.12") === "done by the kernel" && !apart;
    assert.equal(await step(mrs(0, encodingOf("CTR_EL0"))), trapped ? "done by the kernel" : "stepped");
  });

  it("over writes that could turn the guest's caches on says so until they are on, where the CPU does not do it all itself", async () => {
    const guest = stepper(host);
    const { cpu, step } = guest;
    const alone = decode("ID_AA64MMFR2_EL1", cpu.getReg(sysReg("ID_AA64MMFR2_EL1"))).fields.FWB > 0;
    const watched = alone ? "stepped" : "done by the kernel";
    const write = () => step(msr(encodingOf("CONTEXTIDR_EL1"), 0));
    assert.deepEqual([await write(), await write()], [watched, watched]);
    turnMmuOn(guest); // the next write finds it
    assert.deepEqual([await write(), await write()], [watched, "stepped"]);
    assert.equal(await step(msr([1, 0, 7, 14, 2], 0)), "done by the kernel"); // DC CISW
    assert.equal(await write(), watched);
  });

  it("over the physical timer says so where the CPU has no VHE, or the counter an offset", async () => {
    const { vm, cpu, step } = stepper(host);
    const vhe = decode("ID_AA64MMFR1_EL1", cpu.getReg(sysReg("ID_AA64MMFR1_EL1"))).fields.VH > 0;
    const ctl = () => step(mrs(0, encodingOf("CNTP_CTL_EL0")));
    assert.equal(await ctl(), vhe ? "stepped" : "done by the kernel");
    assert.equal(await step(msr(encodingOf("CNTP_CTL_EL0"), 31)), vhe ? "stepped" : "done by the kernel");
    if (host.kvm.has("COUNTER_OFFSET") === 0) return;
    vm.setCounterOffset(0x1000n);
    const adds = decode("ID_AA64MMFR0_EL1", cpu.getReg(sysReg("ID_AA64MMFR0_EL1"))).fields.ECV > 1;
    assert.equal(await ctl(), vhe && adds ? "stepped" : "done by the kernel");
    assert.equal(await step(mrs(0, encodingOf("CNTPCT_EL0"))), adds ? "stepped" : "done by the kernel");
    assert.equal(await step(mrs(0, encodingOf("CNTV_CTL_EL0"))), "stepped");
  });
});

const encodingOf = (name: SysRegName): SystemRegister => sysRegByName(name).encoding;

interface Stepper extends Guest {
  /** Steps over one instruction at the start of RAM. */
  step(word: number): Promise<"stepped" | "done by the kernel">;
}

function stepper(host: Host, features: readonly "pmu-v3"[] = [], gic?: "vgic-v3"): Stepper {
  const guest = gic === undefined ? makeGuest(host, [nop], { features }) : makeGicGuest(host);
  const { cpu, ram } = guest;
  if (features.includes("pmu-v3")) cpu.setAttr(0, 1n);
  cpu.setGuestDebug({ singleStep: true });
  return {
    ...guest,
    async step(word) {
      loadWords(ram, 0, [word]);
      cpu.setReg(pc, RAM);
      cpu.setReg(pstate, EL1_MASKED);
      cpu.setReg(x(0), 0n);
      const exit = await runToExit(cpu);
      assert.equal(exit.reason, "debug");
      const { syndrome } = exit;
      assert.deepEqual([cpu.getReg(pc), syndrome | ISV], [RAM + 4n, 0xcb00_0022n]);
      return (syndrome & ISV) === 0n ? "done by the kernel" : "stepped";
    },
  };
}
