import assert from "node:assert/strict";
import type { VcpuFd } from "../../lib/backend.js";
import { errno } from "../../lib/uapi/errno.js";
import {
  get,
  init,
  kernels,
  Machine,
  PC,
  POWER_OFF,
  PSCI_0_2,
  PSTATE,
  RAM,
  refuses,
  SP_EL1,
  SVE,
  set,
  withSve,
  x,
} from "./machine.js";

const UNKNOWN = 0x1de7_ec7e_dbad_c0den;
const TIMER_CNT = 0x6030_0000_0013_df1an;
const TIMER_CVAL = 0x6030_0000_0013_df02n;
const TIMER_CTL = 0x6030_0000_0013_df19n;
const PSCI_VERSION = 0x6030_0000_0014_0000n;
const VLS = 0x6060_0000_0015_ffffn;
const z = (n: number) => 0x6080_0000_0015_0000n | BigInt(n << 5);
const v = (n: number) => 0x6040_0000_0010_0054n + BigInt(4 * n);

const bytesOf = (id: bigint) => 1 << Number((id >> 52n) & 15n);
const read = (vcpu: VcpuFd, id: bigint): Uint8Array => {
  const value = new Uint8Array(bytesOf(id));
  vcpu.getOneReg(id, value);
  return value;
};

describe("the model's registers", () => {
  let machine: Machine;
  let vcpu: VcpuFd;
  beforeEach(() => {
    machine = new Machine();
    vcpu = machine.vcpu();
  });
  afterEach(() => machine.close());

  const plain = { "6.1": 242, "6.12": 259, "7.2": 257 } as const;
  for (const kernel of kernels) {
    it(`lists ${plain[kernel]} registers of a plain vCPU on ${kernel}, each readable and writable with what it reads`, () => {
      const other = new Machine({ kernel });
      const cpu = other.vcpu();
      const ids = cpu.getRegList();
      const values = new Uint8Array(ids.reduce((sum, id) => sum + bytesOf(id), 0));
      const failed = new Int32Array(1);

      assert.equal(ids.length, plain[kernel]);
      assert.equal(new Set(ids).size, ids.length);
      assert.equal(cpu.getRegs(ids, values, failed), ids.length);
      assert.equal(cpu.setRegs(ids, values, failed), ids.length);
      assert.equal(failed[0], 0);
      other.close();
    });
  }

  it("lists core, SVE, firmware, system and cache registers in the kernel's order", () => {
    const older = new Machine({ kernel: "6.12" });
    const ids = [...older.vcpu().getRegList()].map((id) => id.toString(16));

    assert.deepEqual(ids.slice(0, 2), ["6030000000100000", "6030000000100002"]);
    assert.equal(ids[75], "6030000000140000");
    const timers = ["df19", "df1a", "df02", "df11", "df01", "df12", "c000", "c006", "c807"];
    assert.deepEqual(
      ids.slice(82, 91),
      timers.map((low) => `603000000013${low}`),
    );
    assert.deepEqual(ids.slice(-1), ["602000000011000d"]);
    older.close();
  });

  it("lists the timers of 7.2 at their architectural places with the swapped ids", () => {
    const ids = [...vcpu.getRegList()].map((id) => (id & 0xffffn).toString(16));

    const from = ids.indexOf("df01");
    assert.deepEqual(ids.slice(from, from + 6), ["df01", "df1a", "df11", "df12", "df19", "df02"]);
  });

  it("stops getRegs at the first register that is refused", () => {
    const failed = new Int32Array(1);
    const ids = BigUint64Array.of(x(0), x(1), 0x6030_0000_0013_ffffn, x(2));

    assert.equal(vcpu.getRegs(ids, new Uint8Array(64), failed), 2);
    assert.equal(failed[0], errno("ENOENT"));
    assert.throws(() => vcpu.getRegs(ids.subarray(0, 2), new Uint8Array(15), failed), RangeError);
  });

  it("answers an id of no register with the errno of its space", () => {
    const cases = [
      ["EINVAL", 0x4030_0000_0010_0000n], // an ARM id
      ["EINVAL", 0x6030_0001_0010_0000n], // a bit above the space
      ["ENOENT", 0x6030_0000_0017_0000n], // no such space
      ["ENOENT", 0x6030_0000_0012_0000n],
      ["ENOENT", 0x6020_0000_0010_00d7n], // core: beyond struct kvm_regs
      ["ENOENT", 0x6080_0000_0010_00d0n],
      ["EINVAL", 0x6030_0000_0010_00d5n], // core: FPCR is 32 bits wide
      ["EINVAL", 0x6020_0000_0010_00d6n],
      ["EINVAL", 0x6030_0000_0010_0001n], // core: the middle of X0
      ["ENOENT", 0x6030_0000_1010_0000n], // core: a stray bit
      ["ENOENT", 0x6020_0000_0013_c080n], // system registers are 64 bits wide
      ["ENOENT", 0x6030_0000_0013_c085n], // RGSR_EL1 needs MTE
      ["ENOENT", 0x6030_0000_0014_0004n],
      ["ENOENT", 0x6020_0000_0014_0000n],
      ["ENOENT", 0x6030_0000_0016_0004n],
      ["ENOENT", 0x6020_0000_0011_000en],
      ["ENOENT", 0x6030_0000_0011_0000n],
      ["ENOENT", 0x6020_0000_0011_0100n],
      ["ENOENT", VLS], // no SVE
      ["ENOENT", z(0)],
      ["EINVAL", 0x6080_0000_0015_0800n], // no such SVE register
    ] as const;
    for (const [name, id] of cases) {
      refuses(name, () => read(vcpu, id));
      refuses(name, () => vcpu.setOneReg(id, new Uint8Array(bytesOf(id))));
    }
  });

  it("wants a value as long as the id says", () => {
    assert.throws(() => vcpu.getOneReg(x(0), new Uint8Array(4)), RangeError);
    assert.throws(() => vcpu.setOneReg(x(0), new Uint8Array(16)), RangeError);
  });

  it("takes the PSTATE modes of EL0 and EL1 only", () => {
    for (const mode of [0n, 4n, 5n]) set(vcpu, PSTATE, 0x3c0n | mode);
    for (const mode of [1n, 8n, 9n, 12n, 0x10n, 0x13n]) refuses("EINVAL", () => set(vcpu, PSTATE, mode));
    set(vcpu, PSTATE, 0xf000_0005n);
    assert.equal(get(vcpu, PSTATE), 0xf000_0005n);
  });

  it("resets at INIT what has a reset, and keeps SP_EL1, ELR_EL1 and SPSR_EL1", () => {
    assert.equal(get(vcpu, PSTATE), 0x3c5n);
    assert.equal(get(vcpu, 0x6030_0000_0013_c080n), 0xc5_0078n);
    assert.equal(get(vcpu, 0x6030_0000_0013_c100n), UNKNOWN);
    for (const id of [x(3), SP_EL1, SP_EL1 + 2n, SP_EL1 + 4n, SP_EL1 + 6n]) set(vcpu, id, 9n);

    init(vcpu, PSCI_0_2 | POWER_OFF);

    assert.deepEqual(
      [x(3), SP_EL1, SP_EL1 + 2n, SP_EL1 + 4n, SP_EL1 + 6n].map((id) => get(vcpu, id)),
      [0n, 9n, 9n, 9n, 0n],
    );
    assert.equal(vcpu.getMpState(), 5);
  });

  it("refuses INIT in the kernel's order: target, unknown bits, missing features, other features", () => {
    const other = machine.vm.createVcpu(1);
    const tryInit = (target: number, ...features: number[]) => {
      const bytes = new Uint8Array(32);
      new Uint32Array(bytes.buffer).set([target, ...features]);
      other.armVcpuInit(bytes);
    };

    refuses("EINVAL", () => tryInit(4, 1 << 20));
    refuses("ENOENT", () => tryInit(5, 1 << 9));
    refuses("ENOENT", () => tryInit(5, 0, 1));
    refuses("EINVAL", () => tryInit(5, 1 << 3));
    refuses("EINVAL", () => tryInit(5, 1 << 7));
    refuses("EINVAL", () => tryInit(5, 0));
    refuses("ENOEXEC", () => get(other, PC));
    tryInit(5, PSCI_0_2 | POWER_OFF);
    assert.equal(get(other, PC), 0n);
    other.close();
  });

  it("keeps features per vCPU on 6.1, POWER_OFF among them", () => {
    const old = new Machine({ kernel: "6.1" });
    const first = old.vcpu(PSCI_0_2);
    const second = old.vcpu(0);

    refuses("EINVAL", () => init(first, PSCI_0_2 | POWER_OFF));
    init(second, 0);
    refuses("ENOENT", () => init(second, 1 << 7));
    old.close();
  });

  it("keeps the timer's counter and compare value under each other's ids", () => {
    set(vcpu, TIMER_CVAL, 0x1234n);
    set(vcpu, TIMER_CNT, 1n << 40n);

    const counted = get(vcpu, TIMER_CNT);
    assert.equal(get(vcpu, TIMER_CVAL), 0x1234n);
    assert.ok(counted >= 1n << 40n && counted < (1n << 40n) + 10_000_000_000n);
  });

  it("reads TIMER_CTL as stored on 7.2, and with ISTATUS before", () => {
    const older = new Machine({ kernel: "6.12" });
    const cpu = older.vcpu();

    set(vcpu, TIMER_CTL, 7n);
    assert.equal(get(vcpu, TIMER_CTL), 3n);
    assert.equal(get(cpu, TIMER_CTL), 4n);
    set(cpu, TIMER_CVAL, 1n << 60n);
    assert.equal(get(cpu, TIMER_CTL), 0n);
    older.close();
  });

  it("moves no clock after KVM_ARM_SET_COUNTER_OFFSET", () => {
    const args = new Uint8Array(16);
    machine.vm.armSetCounterOffset(args);
    const before = get(vcpu, TIMER_CNT);

    set(vcpu, TIMER_CNT, 0n);

    assert.ok(get(vcpu, TIMER_CNT) >= before);
    args[8] = 1;
    refuses("EINVAL", () => machine.vm.armSetCounterOffset(args));
  });

  it("takes the PSCI versions that the feature and the kernel allow", () => {
    const old = new Machine({ kernel: "6.12" });
    const cpu = old.vcpu();

    assert.deepEqual([get(vcpu, PSCI_VERSION), get(cpu, PSCI_VERSION)], [0x1_0003n, 0x1_0001n]);
    for (const version of [2n, 0x1_0000n, 0x1_0001n, 0x1_0002n, 0x1_0003n]) set(vcpu, PSCI_VERSION, version);
    for (const version of [0n, 1n, 3n, 0x1_0004n]) refuses("EINVAL", () => set(vcpu, PSCI_VERSION, version));
    refuses("EINVAL", () => set(cpu, PSCI_VERSION, 0x1_0002n));
    set(vcpu, PSCI_VERSION, 2n);
    assert.equal(get(vcpu, PSCI_VERSION), 2n);
    old.close();
  });

  it("holds the cache geometry to the least line size, and keeps what was written", () => {
    const ccsidr = (n: number) => 0x6020_0000_0011_0000n | BigInt(n);
    const write = (n: number, value: number) => vcpu.setOneReg(ccsidr(n), new Uint8Array(Uint32Array.of(value).buffer));

    assert.deepEqual([...read(vcpu, ccsidr(0))], [2, 0, 0, 0]);
    refuses("EINVAL", () => write(0, 1));
    write(3, 0x7012);
    assert.deepEqual([...read(vcpu, ccsidr(3))], [0x12, 0x70, 0, 0]);
    assert.deepEqual([...read(vcpu, ccsidr(4))], [2, 0, 0, 0]);
  });

  describe("with SVE", () => {
    const lengths = (...words: number[]) => {
      const bytes = new Uint8Array(64);
      new Uint32Array(bytes.buffer).set(words);
      return bytes;
    };
    let sve: Machine;
    let cpu: VcpuFd;
    beforeEach(() => {
      sve = new Machine(withSve(4));
      cpu = sve.vcpu(PSCI_0_2 | SVE);
    });
    afterEach(() => sve.close());

    it("takes vector lengths until it is finalized, exactly those of the host up to the longest", () => {
      assert.deepEqual(read(cpu, VLS), lengths(0b1111));
      for (const wrong of [0, 0b101, 0b11111]) refuses("EINVAL", () => cpu.setOneReg(VLS, lengths(wrong)));
      refuses("EINVAL", () => cpu.setOneReg(VLS, lengths(1, 1)));
      cpu.setOneReg(VLS, lengths(0b11));
      refuses("EPERM", () => read(cpu, z(0)));
      refuses("EPERM", () => cpu.getRegList());
      refuses("EINVAL", () => cpu.armVcpuFinalize(5));

      cpu.armVcpuFinalize(4);

      refuses("EPERM", () => cpu.armVcpuFinalize(4));
      refuses("EPERM", () => cpu.setOneReg(VLS, lengths(0b1)));
      assert.deepEqual(read(cpu, VLS), lengths(0b11));
      assert.equal(cpu.getRegList().length, 257 - 32 + 50 + 1);
    });

    it("hides V, and keeps Z to the vector length with zeros behind", () => {
      cpu.setOneReg(VLS, lengths(0b11));
      cpu.armVcpuFinalize(4);
      const full = new Uint8Array(256).fill(0xab);

      cpu.setOneReg(z(5), full);

      refuses("EINVAL", () => read(cpu, v(5)));
      const value = read(cpu, z(5));
      assert.ok(value.subarray(0, 32).every((byte) => byte === 0xab));
      assert.ok(value.subarray(32).every((byte) => byte === 0));
      refuses("ENOENT", () => read(cpu, z(5) | 1n));
      assert.equal(get(cpu, 0x6030_0000_0013_c090n), 0n);
    });

    it("falls back to every length when it is initialised again before it is finalized", () => {
      cpu.setOneReg(VLS, lengths(0b1));

      init(cpu, PSCI_0_2 | SVE);

      assert.deepEqual(read(cpu, VLS), lengths(0b1111));
    });
  });

  it("gives an SError back while PSTATE masks it, and delivers another when it does not", () => {
    const events = new Uint8Array(64);
    events.set([1, 1, 0, 0, 0, 0, 0, 0, 0x55]);
    vcpu.setVcpuEvents(events);
    const seen = new Uint8Array(64);
    vcpu.getVcpuEvents(seen);
    assert.deepEqual(seen, events);

    set(vcpu, PSTATE, 5n);
    set(vcpu, 0x6030_0000_0013_c600n, RAM);
    vcpu.setVcpuEvents(events);

    assert.equal(get(vcpu, PC), RAM + 0x380n);
    assert.equal(get(vcpu, 0x6030_0000_0013_c290n), 0xbe00_0055n);
    vcpu.getVcpuEvents(seen);
    assert.deepEqual(seen, events);
    events[11] = 2;
    refuses("EINVAL", () => vcpu.setVcpuEvents(events));
    events[4] = 1;
    refuses("EINVAL", () => vcpu.setVcpuEvents(events));
  });
});
