import assert from "node:assert/strict";
import type { VcpuFd } from "../../lib/backend.js";
import { KVM_EXIT } from "../../lib/uapi/constants.js";
import { pack, structs } from "../../lib/uapi/structs.js";
import { expectExit, get, init, Machine, PSCI_0_2, refuses, set, setImmediateExit, x } from "./machine.js";
import { programs } from "./programs.js";

const id = (low: number) => 0x6030_0000_0013_c000n | BigInt(low);
const MIDR = id(0);
const MPIDR = id(5);
const ID_PFR0 = id(0x08);
const ID_AFR0 = id(0x0b);
const PFR0 = id(0x20);
const DFR0 = id(0x28);
const ISAR0 = id(0x30);
const ISAR1 = id(0x31);
const MMFR3 = id(0x3b);
const CTR = 0x6030_0000_0013_d801n;
const CLIDR = id(0x801);
const WRITABLE_IMP = 239;

const field = (value: bigint, lsb: number) => (value >> BigInt(lsb)) & 15n;
const withField = (value: bigint, lsb: number, to: bigint) => (value & ~(15n << BigInt(lsb))) | (to << BigInt(lsb));

describe("the model's ID registers", () => {
  let machine: Machine;
  let vcpu: VcpuFd;
  beforeEach(() => {
    machine = new Machine();
    vcpu = machine.vcpu();
  });
  afterEach(() => machine.close());

  it("can be lowered and raised again up to their limit, field by field", () => {
    const limit = get(vcpu, ISAR0);
    assert.equal(field(limit, 20), 2n);

    set(vcpu, ISAR0, withField(limit, 20, 0n));
    assert.equal(get(vcpu, ISAR0), withField(limit, 20, 0n));
    set(vcpu, ISAR0, withField(limit, 20, 1n));
    set(vcpu, ISAR0, limit);

    refuses("EINVAL", () => set(vcpu, ISAR0, withField(limit, 20, 3n)));
    refuses("EINVAL", () => set(vcpu, ISAR0, limit | 1n));
    assert.equal(get(vcpu, ISAR0), limit);
  });

  it("belong to the VM, and survive another INIT", () => {
    const second = machine.vcpu();
    const lowered = withField(get(vcpu, ISAR0), 16, 0n);

    set(vcpu, ISAR0, lowered);
    init(vcpu, PSCI_0_2);

    assert.equal(get(second, ISAR0), lowered);
    assert.equal(get(vcpu, ISAR0), lowered);
  });

  it("are what the guest reads", () => {
    machine.load(programs.idRegister);
    const lowered = withField(get(vcpu, ISAR0), 16, 0n);
    set(vcpu, ISAR0, lowered);

    expectExit(vcpu, KVM_EXIT.MMIO);

    assert.equal(get(vcpu, x(0)), lowered);
    assert.equal(get(vcpu, x(1)), get(vcpu, PFR0));
  });

  it("take only the value they have once the VM ran", () => {
    setImmediateExit(vcpu, 1);
    vcpu.runSync();
    const now = get(vcpu, ISAR0);

    set(vcpu, ISAR0, now);
    refuses("EBUSY", () => set(vcpu, ISAR0, withField(now, 20, 0n)));
    refuses("EBUSY", () => set(vcpu, ID_AFR0, 1n));
    set(vcpu, MPIDR, get(vcpu, MPIDR) + 1n);
  });

  it("read as zero where unallocated or AArch32, which take nothing or anything", () => {
    assert.equal(get(vcpu, ID_PFR0), 0n);
    set(vcpu, ID_PFR0, 0x1234n);
    assert.equal(get(vcpu, ID_PFR0), 0n);

    assert.equal(get(vcpu, ID_AFR0), 0n);
    set(vcpu, ID_AFR0, 0n);
    refuses("EINVAL", () => set(vcpu, ID_AFR0, 1n));
  });

  it("need EL0 and EL1 on 7.2, and not before", () => {
    const old = new Machine({ kernel: "6.12" });
    const cpu = old.vcpu();

    refuses("EINVAL", () => set(vcpu, PFR0, withField(get(vcpu, PFR0), 4, 0n)));
    set(cpu, PFR0, withField(get(cpu, PFR0), 4, 0n));
    old.close();
  });

  it("hold DebugVer to Armv8, and store an IMPLEMENTATION DEFINED PMU as none", () => {
    const limit = get(vcpu, DFR0);

    set(vcpu, DFR0, withField(limit, 0, 6n));
    refuses("EINVAL", () => set(vcpu, DFR0, withField(limit, 0, 5n)));
    refuses("EINVAL", () => set(vcpu, DFR0, withField(limit, 0, 9n)));
    set(vcpu, DFR0, withField(limit, 8, 15n));
    assert.equal(get(vcpu, DFR0), limit);
    refuses("EINVAL", () => set(vcpu, DFR0, withField(limit, 12, 0n)));
  });

  it("let CTR_EL0.L1Ip go down to VIPT on 7.2 only", () => {
    const old = new Machine({ kernel: "6.12" });
    const cpu = old.vcpu();
    const vipt = (from: VcpuFd) => (get(from, CTR) & ~0xc000n) | 0x8000n;

    set(vcpu, CTR, vipt(vcpu));
    refuses("EINVAL", () => set(vcpu, CTR, vipt(vcpu) & ~0x8000n));
    refuses("EINVAL", () => set(cpu, CTR, vipt(cpu)));
    old.close();
  });

  it("know a field that is new in 7.2 as pinned bits before", () => {
    const limit = get(vcpu, ISAR1);
    assert.equal(field(limit, 60), 0n);
    refuses("EINVAL", () => set(vcpu, ISAR1, limit | (1n << 60n)));
    assert.equal(get(vcpu, MMFR3), 0n);
  });

  it("keep MIDR_EL1 until KVM_CAP_ARM_WRITABLE_IMP_ID_REGS, which must come before the vCPUs", () => {
    const enable = (m: Machine) => m.vm.enableCap(pack(structs.kvm_enable_cap, { cap: WRITABLE_IMP }));
    const free = new Machine();
    enable(free);
    const cpu = free.vcpu();

    set(vcpu, MIDR, get(vcpu, MIDR));
    refuses("EINVAL", () => set(vcpu, MIDR, get(vcpu, MIDR) + 1n));
    refuses("EINVAL", () => enable(machine));
    set(cpu, MIDR, 0x413f_d0c1n);
    assert.equal(get(cpu, MIDR), 0x413f_d0c1n);
    refuses("EINVAL", () => set(cpu, MIDR, 1n << 32n));
    free.close();
  });

  it("lose the registers of a feature that is not promised any more", () => {
    refuses("ENOENT", () => get(vcpu, 0x6030_0000_0013_c103n));
    const old = new Machine({ kernel: "6.12" });
    assert.equal(get(old.vcpu(), 0x6030_0000_0013_c103n), 0n);
    old.close();
  });

  it("are invariant on 6.1 but for CSV2 and CSV3, and after the first run too", () => {
    const old = new Machine({ kernel: "6.1" });
    const cpu = old.vcpu();
    const pfr0 = get(cpu, PFR0);

    refuses("EINVAL", () => set(cpu, ISAR0, withField(get(cpu, ISAR0), 20, 0n)));
    setImmediateExit(cpu, 1);
    cpu.runSync();
    set(cpu, PFR0, withField(pfr0, 56, 0n));
    refuses("EINVAL", () => set(cpu, PFR0, withField(pfr0, 28, 0n)));
    refuses("EINVAL", () => set(cpu, CLIDR, 0n));
    old.close();
  });

  it("report the writable masks by index, all else zero; no such ioctl on 6.1", () => {
    const masks = new BigUint64Array(192).fill(1n);
    machine.vm.armGetRegWritableMasks(0, masks);

    assert.equal(masks[48], 0xffff_ffff_f0ff_fff0n);
    assert.equal(masks[129], 0x300f_c00fn);
    assert.equal(masks[0], 0xffff_ffffn);
    assert.equal(masks[65], 0x7fff_ffff_ffffn);
    assert.equal(masks[8], 0n, "AArch32 rows are 0 without AArch32 EL0");
    assert.equal(masks.filter((mask) => mask !== 0n).length, 20);
    refuses("EINVAL", () => machine.vm.armGetRegWritableMasks(1, masks));

    const old = new Machine({ kernel: "6.1" });
    refuses("EINVAL", () => old.vm.armGetRegWritableMasks(0, masks));
    old.close();
  });
});
