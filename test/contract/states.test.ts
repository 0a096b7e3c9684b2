// Which verb answers what in which state: before INIT, with SVE not finalized, ready, and after the VM ran.
// Each cell of the table is a test.

import assert from "node:assert/strict";
import { regId } from "../../lib/arm64/reg-id.js";
import { firmwareFeatures, pc, sve, sysReg, x } from "../../lib/arm64/registers.js";
import type { VcpuFeature } from "../../lib/arm64/vcpu-features.js";
import { KVM_ARM_VGIC_CTRL, KVM_ARM_VGIC_GROUP } from "../../lib/uapi/constants.js";
import { pack, structs } from "../../lib/uapi/structs.js";
import type { Vcpu } from "../../lib/vcpu.js";
import type { Vm } from "../../lib/vm.js";
import { type Host, needs, needsDevice, onEveryBackend, onHost } from "../support/backends.js";
import { answer } from "../support/refusal.js";

const states = ["before INIT", "with SVE not finalized", "when ready", "after the VM ran"] as const;
type State = (typeof states)[number];

interface Subject {
  readonly host: Host;
  readonly vm: Vm;
  readonly cpu: Vcpu;
  readonly features: readonly VcpuFeature[];
}

/** The answer in each state; null: the verb is tried elsewhere. */
interface Row {
  readonly does: string;
  readonly verb: (subject: Subject) => void;
  readonly says: readonly [string, string, string, string];
  /** What differs on a kernel. */
  readonly on?: Partial<Record<"6.1" | "6.12" | "7.2", readonly [string, string, string, string]>>;
  /** What the host must have. */
  readonly cap?:
    | "COUNTER_OFFSET"
    | "ARM_WRITABLE_IMP_ID_REGS"
    | "ARM_SUPPORTED_REG_MASK_RANGES"
    | "ARM_PMU_V3"
    | "ARM_SVE";
}

const Z0 = sve.z(0);
const ISAR0 = sysReg("ID_AA64ISAR0_EL1");
const OK4 = ["OK", "OK", "OK", "OK"] as const;

// biome-ignore format: table
const rows: readonly Row[] = [
  { does: "KVM_ARM_VCPU_INIT", verb: ({ cpu, features }) => cpu.init({ features }), says: OK4 },
  { does: "KVM_ARM_VCPU_FINALIZE", cap: "ARM_SVE", verb: ({ cpu }) => cpu.finalize("sve"), says: ["ENOEXEC", "OK", "EPERM", "EPERM"] },
  { does: "KVM_GET_ONE_REG", verb: ({ cpu }) => cpu.getReg(pc), says: ["ENOEXEC", "OK", "OK", "OK"] },
  { does: "KVM_SET_ONE_REG", verb: ({ cpu }) => cpu.setReg(x(1), 1n), says: ["ENOEXEC", "OK", "OK", "OK"] },
  { does: "KVM_GET_ONE_REG of a bad id", verb: ({ cpu }) => cpu.getReg(regId(0x4030_0000_0010_0000n)),
    says: ["ENOEXEC", "EINVAL", "EINVAL", "EINVAL"] },
  { does: "KVM_GET_ONE_REG of Z0", cap: "ARM_SVE", verb: ({ cpu }) => cpu.getReg(Z0), says: ["ENOEXEC", "EPERM", "OK", "OK"] },
  { does: "KVM_SET_ONE_REG of Z0", cap: "ARM_SVE", verb: ({ cpu }) => cpu.setReg(Z0, new Uint8Array(256)),
    says: ["ENOEXEC", "EPERM", "OK", "OK"] },
  { does: "KVM_GET_ONE_REG of VLS", cap: "ARM_SVE", verb: ({ cpu }) => cpu.getReg(sve.vls), says: ["ENOEXEC", "OK", "OK", "OK"] },
  { does: "KVM_SET_ONE_REG of VLS", cap: "ARM_SVE", verb: ({ cpu }) => cpu.setReg(sve.vls, Uint8Array.of(1, ...Array(63).fill(0))),
    says: ["ENOEXEC", "OK", "EPERM", "EPERM"] },
  { does: "KVM_SET_ONE_REG of a lowered ID register", cap: "ARM_SUPPORTED_REG_MASK_RANGES",
    verb: ({ cpu }) => cpu.setReg(ISAR0, 0n), says: ["ENOEXEC", "OK", "OK", "EBUSY"] },
  { does: "KVM_SET_ONE_REG of a firmware bitmap", verb: ({ cpu }) => cpu.setReg(firmwareFeatures.std, 0n),
    says: ["ENOEXEC", "OK", "OK", "EBUSY"] },
  { does: "KVM_GET_REG_LIST", verb: ({ cpu }) => cpu.regList(), says: ["ENOEXEC", "EPERM", "OK", "OK"] },
  { does: "KVM_RUN", says: ["ENOEXEC", "EPERM", "OK", "OK"], verb: ({ cpu }) => {
    cpu.immediateExit = true;
    cpu.runSync();
  } },
  { does: "KVM_GET_VCPU_EVENTS", verb: ({ cpu }) => cpu.getEvents(), says: OK4,
    on: { "7.2": ["ENOEXEC", "OK", "OK", "OK"] } },
  { does: "KVM_SET_VCPU_EVENTS", verb: ({ cpu }) => cpu.setEvents({}), says: OK4,
    on: { "7.2": ["ENOEXEC", "OK", "OK", "OK"] } },
  { does: "KVM_GET_MP_STATE", verb: ({ cpu }) => cpu.mpState, says: OK4 },
  { does: "KVM_SET_MP_STATE", verb: ({ cpu }) => { cpu.mpState = "stopped"; }, says: OK4 },
  { does: "KVM_SET_GUEST_DEBUG", verb: ({ cpu }) => cpu.setGuestDebug({ singleStep: true }), says: OK4 },
  { does: "KVM_SET_SIGNAL_MASK", verb: ({ cpu }) => cpu.setSignalMask(new Uint8Array(8)), says: OK4 },
  { does: "KVM_SET_SIGNAL_MASK of another size", verb: ({ cpu }) => cpu.setSignalMask(new Uint8Array(4)),
    says: ["EINVAL", "EINVAL", "EINVAL", "EINVAL"] },
  { does: "KVM_GET_STATS_FD of the vCPU", verb: ({ cpu }) => cpu.statistics(), says: OK4 },
  { does: "KVM_HAS_DEVICE_ATTR of the timer", verb: ({ cpu }) => cpu.hasAttr(1, 0n), says: OK4 },
  { does: "KVM_GET_DEVICE_ATTR of the timer", verb: ({ cpu }) => cpu.getAttr(1, 0n, 32), says: OK4 },
  { does: "KVM_SET_DEVICE_ATTR of a timer without interrupt controller", verb: ({ cpu }) => cpu.setAttr(1, 0n, 20),
    says: ["EINVAL", "EINVAL", "EINVAL", "EINVAL"] },
  { does: "KVM_CREATE_VCPU", verb: ({ vm, host }) => host.keep(vm.createVcpu(5)), says: OK4 },
  { does: "KVM_ENABLE_CAP of ARM_NISV_TO_USER", verb: ({ vm }) => vm.enableCap("ARM_NISV_TO_USER"), says: OK4 },
  { does: "KVM_ENABLE_CAP of ARM_SYSTEM_SUSPEND", verb: ({ vm }) => vm.enableCap("ARM_SYSTEM_SUSPEND"), says: OK4 },
  { does: "KVM_ENABLE_CAP of ARM_WRITABLE_IMP_ID_REGS", cap: "ARM_WRITABLE_IMP_ID_REGS",
    verb: ({ vm }) => vm.enableCap("ARM_WRITABLE_IMP_ID_REGS"), says: ["EINVAL", "EINVAL", "EINVAL", "EINVAL"] },
  { does: "KVM_ARM_VM_SMCCC_FILTER", cap: "COUNTER_OFFSET", // both since 6.4
    verb: ({ vm }) => vm.filterHypercalls({ base: 0x8600_1000, functions: 1, action: "deny" }),
    says: ["OK", "OK", "OK", "EBUSY"] },
  { does: "KVM_SET_USER_MEMORY_REGION", verb: ({ vm }) => vm.addMemory({ at: 0x4000_0000n, bytes: 4096 }), says: OK4 },
  { does: "KVM_ARM_SET_COUNTER_OFFSET", cap: "COUNTER_OFFSET", verb: ({ vm }) => vm.setCounterOffset(0n), says: OK4 },
  { does: "KVM_ARM_GET_REG_WRITABLE_MASKS", cap: "ARM_SUPPORTED_REG_MASK_RANGES",
    verb: ({ vm }) => vm.writableMasks(), says: OK4 },
  { does: "KVM_ARM_PREFERRED_TARGET", verb: ({ vm }) => vm.preferredTarget(), says: OK4 },
  { does: "an ioctl of a PMU that the vCPU lacks", cap: "ARM_PMU_V3", verb: ({ cpu }) => cpu.setAttr(0, 1n),
    says: ["ENODEV", "ENODEV", "ENODEV", "ENODEV"] },
];

function subjectIn(host: Host, state: State): Subject {
  const vm = host.keep(host.kvm.createVm());
  const cpu = host.keep(vm.createVcpu());
  const at = states.indexOf(state);
  const features = host.kvm.has("ARM_SVE") ? (["sve"] as const) : [];
  if (at >= 1) cpu.init({ features });
  if (at >= 2 && features.length > 0) cpu.finalize("sve");
  if (at >= 3) {
    cpu.immediateExit = true;
    assert.equal(cpu.runSync().reason, "interrupted");
    cpu.immediateExit = false;
  }
  return { host, vm, cpu, features };
}

onEveryBackend("states", (host) => {
  for (const { does, verb, says, on, cap } of rows) {
    const expected = on?.[host.kernel] ?? says;
    for (const [i, state] of states.entries()) {
      it(`${does} ${state}: ${expected[i]}`, function () {
        if (state === "with SVE not finalized") needs(this, host, "ARM_SVE");
        if (cap !== undefined) needs(this, host, cap);
        const subject = subjectIn(host, state);
        assert.equal(
          answer(() => verb(subject)),
          expected[i],
        );
      });
    }
  }
});

onEveryBackend("states of a VM with a vGICv3", (host) => {
  beforeEach(function () {
    needsDevice(this, host, "vgic-v3");
  });

  it("a vGICv3 can be created before and after INIT, and is EBUSY after the VM ran", () => {
    const said = states.map((state) => {
      const vm = host.keep(host.kvm.createVm());
      const cpu = host.keep(vm.createVcpu());
      if (state !== "before INIT") cpu.init();
      if (state === "after the VM ran") {
        cpu.immediateExit = true;
        cpu.runSync();
      }
      return answer(() => host.keep(vm.createDevice("vgic-v3")));
    });
    assert.deepEqual(said, ["OK", "OK", "OK", "EBUSY"]);
  });

  it("the timer's interrupt can be set while nothing ran, and is EBUSY after", () => {
    const vm = host.keep(host.kvm.createVm());
    const gic = host.keep(vm.createDevice("vgic-v3"));
    const cpu = host.keep(vm.createVcpu());
    cpu.setAttr(1, 0n, 20);
    cpu.init();
    cpu.setAttr(1, 0n, 27);
    gic.setAttr(KVM_ARM_VGIC_GROUP.ADDR, 2n, 0x0800_0000n);
    gic.setAttr(KVM_ARM_VGIC_GROUP.ADDR, 3n, 0x080a_0000n);
    gic.setAttr(KVM_ARM_VGIC_GROUP.CTRL, BigInt(KVM_ARM_VGIC_CTRL.INIT));
    cpu.immediateExit = true;
    cpu.runSync();
    assert.equal(
      answer(() => cpu.setAttr(1, 0n, 20)),
      "EBUSY",
    );
    assert.equal(
      answer(() => vm.createVcpu()),
      "EBUSY",
    );
  });

  it("registers wait for INIT, whatever the kernel says first to a bad structure", () => {
    const fd = host.keep(host.kvm.createVm()).fd.createVcpu(0);
    const bad = new Uint8Array(64).fill(0xff);
    const expected = onHost(host, { "6.1": "EINVAL", "6.12": "EINVAL", "7.2": "ENOEXEC" });
    assert.equal(
      answer(() => fd.setVcpuEvents(bad)),
      expected,
    );
    assert.equal(
      answer(() => fd.armVcpuInit(pack(structs.kvm_vcpu_init, { target: 99 }))),
      "EINVAL",
    );
    fd.close();
  });
});
