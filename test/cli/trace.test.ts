import assert from "node:assert/strict";
import type { DeviceFd, Mapping, SystemFd, VcpuFd, VmFd } from "../../lib/backend.js";
import { Refused } from "../../lib/errors.js";
import { exitText, traced } from "../../lib/trace.js";
import { KVM_EXIT } from "../../lib/uapi/constants.js";
import { kvm_run, pack, structs, type Values } from "../../lib/uapi/structs.js";

type RunPage = Partial<Values<typeof kvm_run>>;

/** A descriptor whose methods answer with what is given, and refuse all others with EBADF. */
function fake<F extends object>(answers: Partial<F>): F {
  return new Proxy(answers, {
    get: (target, key) =>
      Reflect.get(target, key) ??
      (() => {
        throw new Refused("EBADF", String(key));
      }),
  }) as F;
}

interface Setup {
  readonly system?: Partial<SystemFd>;
  readonly vm?: Partial<VmFd>;
  readonly vcpu?: Partial<VcpuFd>;
}

/** A traced system, its VM and vCPU 3, and the lines since they were made. */
function setUp({ system = {}, vm = {}, vcpu = {} }: Setup) {
  const lines: string[] = [];
  const fd = traced(
    fake<SystemFd>({
      createVm: () =>
        fake<VmFd>({ createVcpu: (id) => fake<VcpuFd>({ id, runPage: new Uint8Array(4096), ...vcpu }), ...vm }),
      ...system,
    }),
    (line) => lines.push(line),
  );
  const theVm = fd.createVm(0n);
  const theVcpu = theVm.createVcpu(3);
  lines.length = 0;
  return { lines, fd, vm: theVm, vcpu: theVcpu };
}

const page = (values: RunPage): Uint8Array => pack(kvm_run, values);

describe("trace", () => {
  it("names what is opened, and traces it too", () => {
    const lines: string[] = [];
    const system = fake<SystemFd>({
      createVm: () => fake<VmFd>({ createVcpu: (id) => fake<VcpuFd>({ id, close: () => {} }), close: () => {} }),
      close: () => {},
    });

    const fd = traced(system, (line) => lines.push(line));
    const vm = fd.createVm(40n);
    vm.createVcpu(1).close();
    vm.close();
    fd.close();

    assert.deepEqual(lines, [
      "KVM_CREATE_VM(0x28) = vm",
      "KVM_CREATE_VCPU(vm, 1) = vcpu 1",
      "close(vcpu 1) = 0",
      "close(vm) = 0",
      "close(kvm) = 0",
    ]);
  });

  it("names registers and shows their values", () => {
    const { lines, vcpu } = setUp({
      vcpu: { getOneReg: (_id, value) => void value.set([0x78, 0x56]), setOneReg: () => {} },
    });

    vcpu.setOneReg(0x6030_0000_0010_0040n, Uint8Array.of(0, 0, 8, 0x40, 0, 0, 0, 0));
    vcpu.getOneReg(0x6030_0000_0013_c080n, new Uint8Array(8));
    vcpu.getOneReg(0x6040_0000_0010_0054n, new Uint8Array(16));

    assert.deepEqual(lines, [
      "KVM_SET_ONE_REG(vcpu 3, pc, 0x40080000) = 0",
      "KVM_GET_ONE_REG(vcpu 3, SCTLR_EL1, 0x5678) = 0",
      "KVM_GET_ONE_REG(vcpu 3, v0, [78 56 00 00 00 00 00 00 00 00 00 00 00 00 00 00]) = 0",
    ]);
  });

  it("shows a refusal as -1 and the errno, and passes it on", () => {
    const refusal = new Refused("ENOENT", "KVM_GET_ONE_REG");
    const { lines, vcpu } = setUp({
      vcpu: {
        getOneReg: () => {
          throw refusal;
        },
      },
    });

    assert.throws(() => vcpu.getOneReg(0x6030_0000_0010_0000n, new Uint8Array(8)), refusal);

    assert.deepEqual(lines, ["KVM_GET_ONE_REG(vcpu 3, x0) = -1 ENOENT"]);
  });

  it("shows each register that one call reads, up to the one that is refused", () => {
    const { lines, vcpu } = setUp({
      vcpu: {
        getRegs: (_ids, values, errnoOut) => {
          values[0] = 7;
          errnoOut[0] = 2;
          return 1;
        },
      },
    });

    vcpu.getRegs(
      BigUint64Array.of(0x6030_0000_0010_0000n, 0x6030_0000_0010_0002n, 0x6030_0000_0010_0004n),
      new Uint8Array(24),
      new Int32Array(1),
    );

    assert.deepEqual(lines, ["KVM_GET_ONE_REG(vcpu 3, x0, 0x7) = 0", "KVM_GET_ONE_REG(vcpu 3, x1) = -1 ENOENT"]);
  });

  it("decodes exits, and shows what a load is answered with", async () => {
    const runPage = page({ exit_reason: KVM_EXIT.MMIO, "mmio.phys_addr": 0x900_0018n, "mmio.len": 4 });
    const { lines, vcpu } = setUp({ vcpu: { runPage, runSync: () => 0, run: () => Promise.resolve(0) } });

    vcpu.runSync();
    runPage.set([0x90, 0, 0, 0], 40);
    await vcpu.run();

    assert.match(lines[0] ?? "", /= 0 → MMIO read 0x9000018 len 4$/);
    assert.equal(lines[1], "KVM_RUN(vcpu 3, mmio.data 0x90) = 0 → MMIO read 0x9000018 len 4");
  });

  it("shows an interrupted run by its errno", () => {
    const runPage = page({ exit_reason: KVM_EXIT.INTR, immediate_exit: 1 });
    const { lines, vcpu } = setUp({ vcpu: { runPage, runSync: () => 4 } });

    vcpu.runSync();

    assert.deepEqual(lines, ["KVM_RUN(vcpu 3, immediate_exit) = -1 EINTR"]);
  });

  it("decodes structures, capabilities, features, interrupt lines and devices by name", () => {
    const device = fake<DeviceFd>({ setDeviceAttr: () => {} });
    const { lines, fd, vm, vcpu } = setUp({
      system: { checkExtension: () => 1 },
      vm: {
        enableCap: () => {},
        irqLine: () => {},
        createDevice: () => device,
        map: () => ({}) as Mapping,
        setUserMemoryRegion: () => {},
        ioeventfd: () => {},
      },
      vcpu: { armVcpuInit: () => {}, getMpState: () => 5 },
    });

    fd.checkExtension(170);
    vm.enableCap(pack(structs.kvm_enable_cap, { cap: 177 }));
    vm.irqLine((1 << 24) | 33, 1);
    vm.irqLine((2 << 24) | (5 << 16) | 27, 0);
    vm.createDevice(7, 0)?.setDeviceAttr(0, 2n, Uint8Array.of(0, 0, 0, 8, 0, 0, 0, 0));
    vm.map({ kind: "anonymous", bytes: 65536 });
    vm.setUserMemoryRegion(0, 1, 0x4000_0000n, 65536n, null, 0n);
    vm.ioeventfd(pack(structs.kvm_ioeventfd, { addr: 0x1000n, len: 4, fd: 9 }));
    vcpu.armVcpuInit(pack(structs.kvm_vcpu_init, { target: 5, features: [4, 0, 0, 0, 0, 0, 0] }));
    vcpu.getMpState();

    assert.deepEqual(lines, [
      "KVM_CHECK_EXTENSION(KVM_CAP_ARM_SVE) = 1",
      "KVM_ENABLE_CAP(vm, KVM_CAP_ARM_NISV_TO_USER, [0x0, 0x0, 0x0, 0x0]) = 0",
      "KVM_IRQ_LINE(vm, SPI 33, level 1) = 0",
      "KVM_IRQ_LINE(vm, PPI 27 of vcpu 5, level 0) = 0",
      "KVM_CREATE_DEVICE(vm, ARM_VGIC_V3) = device",
      "KVM_SET_DEVICE_ATTR(device, group ADDR, attr 0x2, 0x8000000) = 0",
      "mmap(vm, 65536, anonymous) = 0",
      "KVM_SET_USER_MEMORY_REGION(vm, slot 0, flags LOG_DIRTY_PAGES, 0x40000000, 0x10000 bytes) = 0",
      "KVM_IOEVENTFD(vm, {addr=0x1000, len=0x4, fd=0x9}) = 0",
      "KVM_ARM_VCPU_INIT(vcpu 3, target 5, features [psci-0.2]) = 0",
      "KVM_GET_MP_STATE(vcpu 3) = 0 → STOPPED",
    ]);
  });

  it("works on descriptors whose methods can not be replaced", () => {
    const lines: string[] = [];
    const fd = traced(Object.freeze({ getApiVersion: () => 12 }) as unknown as SystemFd, (line) => lines.push(line));

    assert.equal(fd.getApiVersion(), 12);

    assert.deepEqual(lines, ["KVM_GET_API_VERSION() = 12"]);
  });

  it("leaves what is no call alone", () => {
    const { lines, vcpu } = setUp({});

    assert.equal(vcpu.id, 3);
    assert.equal(vcpu.runPage.length, 4096);
    assert.deepEqual(lines, []);
  });
});

describe("exits in words", () => {
  // biome-ignore format: table
  const exits: readonly (readonly [RunPage, string])[] = [
    [{ exit_reason: KVM_EXIT.MMIO, "mmio.phys_addr": 0x900_0000n, "mmio.data": Uint8Array.of(0x48), "mmio.len": 1, "mmio.is_write": 1 }, 'MMIO write 0x9000000 len 1 "H"'],
    [{ exit_reason: KVM_EXIT.MMIO, "mmio.phys_addr": 0x900_0000n, "mmio.data": Uint8Array.of(0x0a), "mmio.len": 1, "mmio.is_write": 1 }, "MMIO write 0x9000000 len 1 0xa"],
    [{ exit_reason: KVM_EXIT.SYSTEM_EVENT, "system_event.type": 1, "system_event.ndata": 1, "system_event.data": [0n] }, "SYSTEM_EVENT SHUTDOWN data [0x0]"],
    [{ exit_reason: KVM_EXIT.HYPERCALL, "hypercall.nr": 0x8400_0000n, "hypercall.flags": 1n }, "HYPERCALL 0x84000000 flags 0x1"],
    [{ exit_reason: KVM_EXIT.DEBUG, "debug.arch.hsr": 0xf200_0000, "debug.arch.far": 4n }, "DEBUG ESR 0xf2000000 FAR 0x4"],
    [{ exit_reason: KVM_EXIT.ARM_NISV, "arm_nisv.esr_iss": 0x46n, "arm_nisv.fault_ipa": 0x1000n }, "ARM_NISV ISS 0x46 IPA 0x1000"],
    [{ exit_reason: KVM_EXIT.MEMORY_FAULT, "memory_fault.gpa": 0x1000n, "memory_fault.size": 0x1000n, "memory_fault.flags": 8n }, "MEMORY_FAULT 0x1000 0x1000 bytes flags 0x8"],
    [{ exit_reason: KVM_EXIT.FAIL_ENTRY, "fail_entry.cpu": 2 }, "FAIL_ENTRY 0x0 cpu 2"],
    [{ exit_reason: KVM_EXIT.INTERNAL_ERROR, "internal.suberror": 1 }, "INTERNAL_ERROR 1"],
    [{ exit_reason: KVM_EXIT.DIRTY_RING_FULL }, "DIRTY_RING_FULL"],
    [{ exit_reason: 99 }, "99"],
  ];

  for (const [values, text] of exits) it(`are ${text}`, () => assert.equal(exitText(page(values)), text));
});
