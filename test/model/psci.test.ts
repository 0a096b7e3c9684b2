import assert from "node:assert/strict";
import type { VcpuFd } from "../../lib/backend.js";
import { KVM_EXIT, KVM_MP_STATE, KVM_SYSTEM_EVENT } from "../../lib/uapi/constants.js";
import { errno } from "../../lib/uapi/errno.js";
import { pack, run, structs } from "../../lib/uapi/structs.js";
import {
  expectExit,
  get,
  init,
  Machine,
  PC,
  POWER_OFF,
  PSCI_0_2,
  PSTATE,
  page,
  RAM,
  refuses,
  set,
  setImmediateExit,
  x,
} from "./machine.js";
import { programs } from "./programs.js";

const SYSTEM_SUSPEND_CAP = 216;
const NOT_SUPPORTED = -1n;
const INVALID_PARAMS = -2n;
const ALREADY_ON = -4n;
const INTERNAL_FAILURE = -6n;
const VENDOR_BITMAP = 0x6030_0000_0016_0002n;
const STD_BITMAP = 0x6030_0000_0016_0000n;
const PSCI_VERSION = 0x6030_0000_0014_0000n;

describe("the model's hypercalls", () => {
  let machine: Machine;
  let vcpu: VcpuFd;
  beforeEach(() => {
    machine = new Machine();
    machine.load(programs.call);
    vcpu = machine.vcpu();
  });
  afterEach(() => machine.close());

  /** What a call returns in X0, signed. */
  function call(functionId: number, ...args: bigint[]): bigint {
    for (const [n, value] of [BigInt(functionId), ...args].entries()) set(vcpu, x(n), value);
    set(vcpu, PC, RAM);
    expectExit(vcpu, KVM_EXIT.MMIO);
    const x0 = BigInt.asIntN(64, get(vcpu, x(0)));
    setImmediateExit(vcpu, 1);
    vcpu.runSync();
    setImmediateExit(vcpu, 0);
    return x0;
  }

  function callExits(functionId: number, ...args: bigint[]) {
    for (const [n, value] of [BigInt(functionId), ...args].entries()) set(vcpu, x(n), value);
    set(vcpu, PC, RAM);
    return expectExit(vcpu, KVM_EXIT.SYSTEM_EVENT);
  }

  it("answer the versions and features of PSCI", () => {
    assert.equal(call(0x8400_0000), 0x1_0003n);
    assert.equal(call(0x8400_000a, 0x8400_0003n), 0n);
    assert.equal(call(0x8400_000a, 0xc400_0008n), NOT_SUPPORTED);
    assert.equal(call(0x8400_000a, 0x8400_0015n), 1n);
    assert.equal(call(0x8400_000a, 0x8400_0012n), 0n);
    assert.equal(call(0x8400_0006), 2n);
    assert.equal(call(0x8400_0005), NOT_SUPPORTED);

    set(vcpu, PSCI_VERSION, 0x1_0000n);
    assert.equal(call(0x8400_0000), 0x1_0000n);
    assert.equal(call(0x8400_000a, 0x8400_0012n), NOT_SUPPORTED);
    assert.equal(call(0x8400_0012, 0n), NOT_SUPPORTED);
    set(vcpu, PSCI_VERSION, 2n);
    assert.equal(call(0x8400_000a, 0x8400_0003n), NOT_SUPPORTED);
  });

  it("turn the machine off and stop every vCPU, until it is made runnable", () => {
    const other = machine.vcpu();

    const exit = callExits(0x8400_0008);

    assert.equal(exit["system_event.type"], KVM_SYSTEM_EVENT.SHUTDOWN);
    assert.deepEqual([exit["system_event.ndata"], exit["system_event.data"][0]], [1, 0n]);
    assert.equal(BigInt.asIntN(64, get(vcpu, x(0))), INTERNAL_FAILURE);
    assert.deepEqual([vcpu.getMpState(), other.getMpState()], [KVM_MP_STATE.STOPPED, KVM_MP_STATE.STOPPED]);
    vcpu.kick();
    assert.equal(vcpu.runSync(), errno("EINTR"));
    vcpu.setMpState(KVM_MP_STATE.RUNNABLE);
    expectExit(vcpu, KVM_EXIT.MMIO);
    refuses("EINVAL", () => vcpu.setMpState(1));
  });

  it("reset with a type, and turn off with one", () => {
    assert.equal(call(0x8400_0012, 1n), INVALID_PARAMS);
    const reset = callExits(0xc400_0012, 0x8000_0000n);
    assert.deepEqual([reset["system_event.type"], reset["system_event.data"][0]], [KVM_SYSTEM_EVENT.RESET, 1n]);

    init(vcpu, PSCI_0_2);
    assert.equal(call(0x8400_0015, 0n, 1n), INVALID_PARAMS);
    assert.equal(call(0x8400_0015, 2n, 0n), INVALID_PARAMS);
    const off = callExits(0x8400_0015, 1n, 0n);
    assert.deepEqual([off["system_event.type"], off["system_event.data"][0]], [KVM_SYSTEM_EVENT.SHUTDOWN, 1n]);
  });

  it("suspend the system only with the capability, and leave the registers to userspace", () => {
    assert.equal(call(0xc400_000e), NOT_SUPPORTED);
    machine.vm.enableCap(pack(structs.kvm_enable_cap, { cap: SYSTEM_SUSPEND_CAP }));

    const exit = callExits(0xc400_000e, 0x77n, 0x88n);

    assert.equal(exit["system_event.type"], KVM_SYSTEM_EVENT.SUSPEND);
    assert.equal(exit["system_event.ndata"], 0);
    assert.deepEqual([get(vcpu, x(0)), get(vcpu, x(1)), get(vcpu, PC)], [0xc400_000en, 0x77n, RAM + 4n]);
  });

  it("stay suspended after the wake-up that they exit with", () => {
    vcpu.setMpState(KVM_MP_STATE.SUSPENDED);
    machine.vm.irqLine(0, 1);

    assert.equal(expectExit(vcpu, KVM_EXIT.SYSTEM_EVENT)["system_event.type"], KVM_SYSTEM_EVENT.WAKEUP);
    assert.equal(vcpu.getMpState(), KVM_MP_STATE.SUSPENDED);
    machine.vm.irqLine(0, 0);
    setTimeout(() => vcpu.kick(), 10);
    return vcpu.run().then((result) => assert.equal(result, errno("EINTR")));
  });

  it("turn a CPU on, whose registers show it before it runs", () => {
    const target = machine.vcpu(PSCI_0_2 | POWER_OFF);
    set(target, x(7), 7n);
    const mpidr = get(target, 0x6030_0000_0013_c005n) & 0xffffn;

    assert.equal(call(0x8400_0004, mpidr, 0n), 1n);
    assert.equal(call(0xc400_0003, mpidr, RAM + 0x100n, 99n), 0n);

    assert.deepEqual([get(target, PC), get(target, x(0)), get(target, x(7))], [RAM + 0x100n, 99n, 0n]);
    assert.equal(get(target, PSTATE), 0x3c5n);
    assert.equal(target.getMpState(), KVM_MP_STATE.RUNNABLE);
    assert.equal(call(0xc400_0003, mpidr, RAM, 0n), ALREADY_ON);
    assert.equal(call(0xc400_0003, 0x55n, RAM, 0n), INVALID_PARAMS);
    assert.equal(call(0xc400_0003, 1n << 24n, RAM, 0n), INVALID_PARAMS);
    assert.equal(call(0x8400_0004, mpidr, 0n), 0n);
    assert.equal(call(0x8400_0004, mpidr, 4n), INVALID_PARAMS);
  });

  it("let a CPU that sleeps in run() start when another turns it on", async () => {
    const target = machine.vcpu(PSCI_0_2 | POWER_OFF);
    machine.load(programs.store, 0x100);
    const started = target.run();

    assert.equal(call(0xc400_0003, 1n, RAM + 0x100n, 0n), 0n);

    assert.equal(await started, 0);
    assert.equal(page(target).exit_reason, KVM_EXIT.MMIO);
  });

  it("have KVM's own numbers before PSCI 0.2", () => {
    const old = new Machine();
    old.load(programs.call);
    const cpu = old.vcpu(0);
    set(cpu, x(0), 0x95c1_ba60n);
    set(cpu, x(1), 0n);

    expectExit(cpu, KVM_EXIT.MMIO);

    assert.equal(BigInt.asIntN(64, get(cpu, x(0))), INVALID_PARAMS);
    assert.equal(get(cpu, PSCI_VERSION), 1n);
    refuses("EINVAL", () => set(cpu, PSCI_VERSION, 2n));
    old.close();
  });

  it("answer the services of the SMC calling convention", () => {
    assert.equal(call(0x8000_0000), 0x1_0001n);
    assert.equal(call(0x8000_0001, 0x8000_8000n), 1n);
    assert.equal(call(0x8000_0001, 0x8000_7fffn), -2n);
    assert.equal(call(0x8000_0001, 0xc500_0020n), 0n);
    assert.equal(call(0x8400_0050), 0x1_0000n);
    assert.equal(call(0x8400_0051, 0xc400_0053n), 0n);
    assert.equal(call(0xc400_0053, 193n), INVALID_PARAMS);
    assert.equal(call(0xc400_0053, 64n), 0n);
    assert.deepEqual([get(vcpu, x(1)), get(vcpu, x(2))], [0n, 0n]);
    assert.equal(call(0xc500_0020, 0xc500_0021n), NOT_SUPPORTED);
    assert.equal(call(0x8600_ff01), 0xb66f_b428n);
    assert.deepEqual([get(vcpu, x(1)), get(vcpu, x(2)), get(vcpu, x(3))], [0xe911_c52en, 0x564b_caa9n, 0x743a_004dn]);
    assert.equal(call(0x8600_0000), 3n);
    assert.equal(call(0x8600_0002), NOT_SUPPORTED);
    assert.equal(call(0x8400_0020), NOT_SUPPORTED);
  });

  it("give wall clock and counter of one instant", () => {
    const seconds = Number(((call(0x8600_0001, 0n) << 32n) | get(vcpu, x(1))) / 1_000_000_000n);

    assert.ok(Math.abs(seconds - Date.now() / 1000) < 60);
    assert.equal(call(0x8600_0001, 2n), NOT_SUPPORTED);
  });

  it("are switched off by their bit of a firmware bitmap", () => {
    set(vcpu, VENDOR_BITMAP, 1n);
    set(vcpu, STD_BITMAP, 0n);

    assert.equal(call(0x8600_0001, 0n), NOT_SUPPORTED);
    assert.equal(call(0x8600_0000), 1n);
    assert.equal(call(0x8400_0050), NOT_SUPPORTED);
    assert.equal(call(0x8400_0000), 0x1_0003n);
  });

  it("are not understood with an immediate in SMC", () => {
    machine.load(programs.secureCallImmediate);
    assert.equal(call(0x8400_0000), NOT_SUPPORTED);
    machine.load(programs.secureCall);
    assert.equal(call(0x8400_0000), 0x1_0003n);
  });

  describe("with a filter", () => {
    const filter = (base: number, functions: number, action: number, m = machine) =>
      m.vm.setDeviceAttr(0, 0n, pack(structs.kvm_smccc_filter, { base, nr_functions: functions, action }));

    it("are denied or forwarded", () => {
      filter(0x8400_0000, 1, 1);
      filter(0x8600_0000, 0x100, 2);

      assert.equal(call(0x8400_0000), NOT_SUPPORTED);
      set(vcpu, x(0), 0x8600_0010n);
      set(vcpu, PC, RAM);
      const exit = expectExit(vcpu, KVM_EXIT.HYPERCALL);
      assert.deepEqual([exit["hypercall.nr"], exit["hypercall.flags"], get(vcpu, PC)], [0x8600_0010n, 0n, RAM + 4n]);
      machine.load(programs.secureCall);
      set(vcpu, PC, RAM);
      assert.equal(expectExit(vcpu, KVM_EXIT.HYPERCALL)["hypercall.flags"], 1n);
      refuses("EBUSY", () => filter(0x9000_0000, 1, 1));
    });

    it("are filtered by ranges that are checked, do not overlap, and leave the architecture's alone", () => {
      refuses("EFAULT", () => machine.vm.setDeviceAttr(0, 0n, null));
      refuses("EINVAL", () => machine.vm.setDeviceAttr(0, 0n, new Uint8Array(24).fill(1)));
      refuses("EINVAL", () => filter(0x8400_0000, 0, 1));
      refuses("EINVAL", () => filter(0xffff_ffff, 2, 1));
      refuses("EINVAL", () => filter(0x8400_0000, 1, 3));
      refuses("EEXIST", () => filter(0x7fff_ffff, 2, 1));
      filter(0x8400_0000, 4, 0);
      refuses("EEXIST", () => filter(0x8400_0003, 1, 1));
      refuses("ENXIO", () => machine.vm.hasDeviceAttr(0, 1n));
      refuses("EINVAL", () => machine.vm.getDeviceAttr(0, 0n, new Uint8Array(24)));

      const older = new Machine({ kernel: "6.12" });
      refuses("EEXIST", () => filter(0, 0, 1, older));
      const oldest = new Machine({ kernel: "6.1" });
      refuses("EINVAL", () => oldest.vm.hasDeviceAttr(0, 0n));
      older.close();
      oldest.close();
    });
  });

  it("leave what an earlier exit wrote behind the system event's data alone", () => {
    vcpu.runPage[run["system_event.data"] + 129] = 5;
    callExits(0x8400_0008);
    assert.equal(vcpu.runPage[run["system_event.data"] + 129], 5);
  });
});
