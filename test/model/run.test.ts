import assert from "node:assert/strict";
import { KVM_EXIT, KVM_SYSTEM_EVENT } from "../../lib/uapi/constants.js";
import { errno } from "../../lib/uapi/errno.js";
import { pack, run, structs } from "../../lib/uapi/structs.js";
import {
  answer,
  expectExit,
  get,
  init,
  kernels,
  Machine,
  PC,
  PSCI_0_2,
  page,
  RAM,
  refuses,
  SVE,
  set,
  setImmediateExit,
  UART,
  withSve,
  x,
} from "./machine.js";
import { programs } from "./programs.js";

const SYNC_FROM_SAME_LEVEL = 0x800 + 0x200;
const IRQ_FROM_SAME_LEVEL = 0x800 + 0x280;
const NISV_TO_USER = 177;

describe("the model's KVM_RUN", () => {
  let machine: Machine;
  beforeEach(() => {
    machine = new Machine();
  });
  afterEach(() => machine.close());

  it("gives a store to unmapped memory as an MMIO exit, and completes it at the next run", () => {
    machine.load(programs.store);
    const vcpu = machine.vcpu();

    const exit = expectExit(vcpu, KVM_EXIT.MMIO);
    assert.equal(exit["mmio.phys_addr"], UART);
    assert.equal(exit["mmio.len"], 1);
    assert.equal(exit["mmio.is_write"], 1);
    assert.equal(exit["mmio.data"][0], 0x41);
    assert.equal(get(vcpu, PC), RAM + 8n);

    const off = expectExit(vcpu, KVM_EXIT.SYSTEM_EVENT);
    assert.equal(off["system_event.type"], KVM_SYSTEM_EVENT.SHUTDOWN);
    assert.equal(off["system_event.ndata"], 1);
  });

  it("completes MMIO even when immediate_exit is set, leaves exit_reason alone, and fails with EINTR", () => {
    machine.load(programs.store);
    const vcpu = machine.vcpu();
    expectExit(vcpu, KVM_EXIT.MMIO);
    setImmediateExit(vcpu, 1);

    assert.equal(vcpu.runSync(), errno("EINTR"));

    assert.equal(page(vcpu).exit_reason, KVM_EXIT.MMIO);
    assert.equal(get(vcpu, PC), RAM + 12n);
    assert.equal(vcpu.runSync(), errno("EINTR"));
    assert.equal(get(vcpu, PC), RAM + 12n);
  });

  it("sets the flag that the VM ran although immediate_exit ends the run", () => {
    const vcpu = machine.vcpu();
    const stdBitmap = 0x6030_0000_0016_0000n;
    set(vcpu, stdBitmap, 0n);
    setImmediateExit(vcpu, 1);

    assert.equal(vcpu.runSync(), errno("EINTR"));

    refuses("EBUSY", () => set(vcpu, stdBitmap, 1n));
    set(vcpu, stdBitmap, 0n);
    refuses("EINVAL", () => set(vcpu, stdBitmap, 2n));
  });

  it("needs INIT, and FINALIZE where there is SVE", () => {
    const sve = new Machine(withSve(4));
    const raw = machine.vm.createVcpu(7);
    const unfinished = sve.vcpu(PSCI_0_2 | SVE);

    assert.equal(raw.runSync(), errno("ENOEXEC"));
    assert.equal(unfinished.runSync(), errno("EPERM"));

    raw.close();
    sve.close();
  });

  for (const kernel of kernels) {
    const extends_ = kernel === "7.2";
    it(`${extends_ ? "extends" : "does not extend"} the sign of an MMIO load on ${kernel}`, () => {
      const other = new Machine({ kernel });
      other.load(programs.signedLoads);
      const vcpu = other.vcpu();

      for (let n = 0; n < 5; n++) {
        expectExit(vcpu, KVM_EXIT.MMIO);
        answer(vcpu, 0x80, 0x81, 0x82, 0x83, 0x84);
      }
      expectExit(vcpu, KVM_EXIT.SYSTEM_EVENT);

      const expected = extends_
        ? [0xffff_ffff_ffff_ff80n, 0xffff_ff80n, 0xffff_ffff_ffff_8180n, 0xffff_ffff_8382_8180n, 0x80n]
        : [0x80n, 0x80n, 0x8180n, 0x8382_8180n, 0x80n];
      assert.deepEqual(
        [11, 12, 13, 14, 15].map((n) => get(vcpu, x(n))),
        expected,
      );
      other.close();
    });
  }

  it("fails with ENOSYS where an access has no syndrome, or exits with it after KVM_CAP_ARM_NISV_TO_USER", () => {
    machine.load(programs.postIndexed);
    const vcpu = machine.vcpu();

    assert.equal(vcpu.runSync(), errno("ENOSYS"));
    machine.vm.enableCap(pack(structs.kvm_enable_cap, { cap: NISV_TO_USER }));
    const exit = expectExit(vcpu, KVM_EXIT.ARM_NISV);

    assert.equal(exit["arm_nisv.fault_ipa"], UART);
    assert.equal(exit["arm_nisv.esr_iss"], 7n);
    assert.equal(get(vcpu, PC), RAM + 4n);
  });

  it("reads a read-only slot from memory, and makes a store to it an MMIO exit", () => {
    const rom = machine.vm.map({ kind: "anonymous", bytes: 4096 });
    new DataView(rom.buffer, rom.offset).setBigUint64(0, 77n, true);
    machine.vm.setUserMemoryRegion(1, 2, 0x5000_0000n, 4096n, rom, 0n);
    machine.load(programs.writeRam);
    const vcpu = machine.vcpu();
    set(vcpu, x(0), 0x5000_0000n);
    set(vcpu, x(1), 5n);

    assert.equal(expectExit(vcpu, KVM_EXIT.MMIO)["mmio.phys_addr"], 0x5000_0000n);
    expectExit(vcpu, KVM_EXIT.MMIO);

    assert.equal(get(vcpu, x(2)), 77n);
  });

  it("injects an external abort where an address lies beyond the VM's IPA space", () => {
    machine.load(programs.vectors);
    machine.load(programs.handler, SYNC_FROM_SAME_LEVEL);
    const vcpu = machine.vcpu();
    set(vcpu, x(10), 1n << 41n);

    expectExit(vcpu, KVM_EXIT.MMIO);

    assert.equal(get(vcpu, x(1)), 0x9600_0010n);
    assert.equal(get(vcpu, x(2)), 1n << 41n);
  });

  it("injects an instruction abort where the guest jumps to unmapped memory", () => {
    machine.load(programs.vectors);
    machine.load(programs.handler, SYNC_FROM_SAME_LEVEL);
    const vcpu = machine.vcpu();
    set(vcpu, x(10), RAM);
    vcpu.kick();
    vcpu.runSync();
    set(vcpu, 0x6030_0000_0013_c600n, RAM + 0x800n);
    set(vcpu, PC, 0x6000_0000n);

    expectExit(vcpu, KVM_EXIT.MMIO);

    assert.equal(get(vcpu, x(1)), 0x8600_0010n);
    assert.equal(get(vcpu, x(2)), 0x6000_0000n);
  });

  it("delivers the external abort of KVM_SET_VCPU_EVENTS in place of a load that waits", () => {
    machine.load(programs.vectors);
    machine.load(programs.handler, SYNC_FROM_SAME_LEVEL);
    const vcpu = machine.vcpu();
    set(vcpu, x(10), UART);
    set(vcpu, x(1), 3n);
    expectExit(vcpu, KVM_EXIT.MMIO);

    vcpu.setVcpuEvents(pack(structs.kvm_vcpu_events, { "exception.ext_dabt_pending": 1 }));

    assert.equal(get(vcpu, x(1)), 3n);
    assert.equal(get(vcpu, PC), RAM + BigInt(SYNC_FROM_SAME_LEVEL));
    expectExit(vcpu, KVM_EXIT.MMIO);
    assert.equal(get(vcpu, x(1)), 0x9600_0010n);
  });

  it("takes the IRQ that KVM_IRQ_LINE raises out of a WFI", async () => {
    machine.load(programs.vectors);
    machine.load(programs.handler, IRQ_FROM_SAME_LEVEL);
    const vcpu = machine.vcpu();
    set(vcpu, x(10), RAM);

    const running = vcpu.run();
    setTimeout(() => machine.vm.irqLine(0, 1), 20);

    assert.equal(await running, 0);
    assert.equal(page(vcpu).exit_reason, KVM_EXIT.MMIO);
  });

  it("wakes a WFI for the virtual timer and tells its line by EINTR, since there is no GIC", () => {
    machine.load(programs.timer);
    const vcpu = machine.vcpu();
    set(vcpu, x(1), 30_000_000n);
    const began = performance.now();

    assert.equal(vcpu.runSync(), errno("EINTR"));

    assert.ok(performance.now() - began >= 25);
    assert.equal(page(vcpu).exit_reason, KVM_EXIT.INTR);
    assert.equal(page(vcpu)["s.regs.device_irq_level"], 1n);
    expectExit(vcpu, KVM_EXIT.SYSTEM_EVENT);
  });

  it("lets the event loop turn while a guest computes, and ends with EINTR when kicked", async () => {
    machine.load(programs.spin);
    const vcpu = machine.vcpu();
    let turns = 0;
    const ticking = setInterval(() => {
      if (++turns === 5) vcpu.kick();
    }, 1);

    assert.equal(await vcpu.run(), errno("EINTR"));

    clearInterval(ticking);
    assert.equal(page(vcpu).exit_reason, KVM_EXIT.INTR);
    assert.ok(get(vcpu, x(0)) > 1000n);
  });

  it("takes a kick of an idle vCPU at its next run, once", () => {
    machine.load(programs.store);
    const vcpu = machine.vcpu();

    vcpu.kick();
    vcpu.kick();

    assert.equal(vcpu.runSync(), errno("EINTR"));
    expectExit(vcpu, KVM_EXIT.MMIO);
  });

  it("refuses every other verb with EBUSY while it runs", async () => {
    machine.load(programs.waitForInterrupt);
    const vcpu = machine.vcpu();
    const running = vcpu.run();

    refuses("EBUSY", () => get(vcpu, PC));
    refuses("EBUSY", () => vcpu.getRegList());
    refuses("EBUSY", () => init(vcpu, PSCI_0_2));
    refuses("EBUSY", () => vcpu.runSync());
    await assert.rejects(vcpu.run(), { errno: errno("EBUSY") });

    vcpu.kick();
    assert.equal(await running, errno("EINTR"));
  });

  it("exits at each step, and before the instruction after one that was emulated", () => {
    machine.load(programs.store);
    const vcpu = machine.vcpu();
    vcpu.setGuestDebug(pack(structs.kvm_guest_debug, { control: 3 }));

    const first = expectExit(vcpu, KVM_EXIT.DEBUG);
    assert.equal(first["debug.arch.hsr"] >>> 26, 0x32);
    assert.equal(get(vcpu, PC), RAM + 4n);
    expectExit(vcpu, KVM_EXIT.DEBUG);
    assert.equal(get(vcpu, PC), RAM + 8n);
    expectExit(vcpu, KVM_EXIT.MMIO);
  });

  it("counts a hypercall that the kernel answers as a step", () => {
    machine.load(programs.call);
    const vcpu = machine.vcpu();
    set(vcpu, x(0), 0x8400_0000n);
    vcpu.setGuestDebug(pack(structs.kvm_guest_debug, { control: 3 }));

    expectExit(vcpu, KVM_EXIT.DEBUG);

    assert.deepEqual([get(vcpu, PC), get(vcpu, x(0))], [RAM + 4n, 0x1_0003n]);
  });

  it("exits at BRK and at hardware breakpoints when asked", () => {
    machine.load(programs.breakpoint);
    const vcpu = machine.vcpu();
    const bcr = [0x1e7n]; // E, EL1 and EL0, all bytes
    const bvr = [RAM];
    vcpu.setGuestDebug(pack(structs.kvm_guest_debug, { control: 0x3_0001, "arch.dbg_bcr": bcr, "arch.dbg_bvr": bvr }));

    assert.equal(expectExit(vcpu, KVM_EXIT.DEBUG)["debug.arch.hsr"] >>> 26, 0x30);
    vcpu.setGuestDebug(pack(structs.kvm_guest_debug, { control: 0x1_0001 }));
    const brk = expectExit(vcpu, KVM_EXIT.DEBUG);

    assert.equal(brk["debug.arch.hsr"], 0xf200_0007);
    assert.equal(get(vcpu, PC), RAM + 4n);
    assert.equal(get(vcpu, x(0)), 1n);
  });

  it("names an instruction that the ID registers promise and the engine lacks", () => {
    const sve = new Machine(withSve(2));
    sve.load(programs.brainDotProduct);
    const vcpu = sve.vcpu(PSCI_0_2 | SVE);
    vcpu.armVcpuFinalize(4);
    set(vcpu, 0x6030_0000_0013_c082n, 3n << 20n);

    const exit = expectExit(vcpu, KVM_EXIT.INTERNAL_ERROR);

    assert.equal(exit["internal.data"][0], BigInt(programs.brainDotProduct[0]));
    assert.equal(exit["internal.data"][1], RAM);
    const name = Buffer.from(vcpu.runPage.slice(run["internal.data"] + 16, run["internal.data"] + 128)).toString();
    assert.match(name, /^[A-Z][\w (),-]+/);
    sve.close();
  });

  it("puts stores to a coalesced zone into the ring until it is full", () => {
    machine.vm.registerCoalescedMmio(pack(structs.kvm_coalesced_mmio_zone, { addr: UART, size: 8 }));
    machine.load(programs.store);
    const vcpu = machine.vcpu();

    expectExit(vcpu, KVM_EXIT.SYSTEM_EVENT);

    const ring = new DataView(vcpu.runPage.buffer, vcpu.runPage.byteOffset + 4096);
    assert.deepEqual([ring.getUint32(0, true), ring.getUint32(4, true)], [0, 1]);
    assert.deepEqual([ring.getBigUint64(8, true), ring.getUint32(16, true), ring.getUint8(24)], [UART, 1, 0x41]);

    ring.setUint32(0, 2, true);
    init(vcpu, PSCI_0_2);
    set(vcpu, PC, RAM);
    expectExit(vcpu, KVM_EXIT.MMIO);
  });

  it("signals an ioeventfd instead of exiting, and only for the data that it matches", () => {
    const event = machine.system.eventfd(0);
    const args = { addr: UART, len: 1, fd: event.fd, flags: 1, datamatch: 0x41n };
    machine.vm.ioeventfd(pack(structs.kvm_ioeventfd, args));
    machine.load(programs.store);
    const vcpu = machine.vcpu();

    expectExit(vcpu, KVM_EXIT.SYSTEM_EVENT);

    assert.equal(event.take(), 1n);
    machine.vm.ioeventfd(pack(structs.kvm_ioeventfd, { ...args, flags: 5 }));
    machine.vm.ioeventfd(pack(structs.kvm_ioeventfd, { ...args, datamatch: 0x42n }));
    init(vcpu, PSCI_0_2);
    set(vcpu, PC, RAM);
    expectExit(vcpu, KVM_EXIT.MMIO);
    event.close();
  });

  it("marks the pages that the guest writes, again after they were taken", () => {
    machine.vm.setUserMemoryRegion(0, 1, RAM, 1n << 20n, machine.ram, 0n);
    machine.load(programs.writeRam);
    const vcpu = machine.vcpu();
    const dirty = () => {
      const bitmap = new Uint8Array(32);
      machine.vm.getDirtyLog(0, bitmap);
      return [...bitmap.entries()].filter(([, byte]) => byte !== 0);
    };
    const write = (address: bigint) => {
      set(vcpu, x(0), address);
      set(vcpu, PC, RAM);
      expectExit(vcpu, KVM_EXIT.MMIO);
      setImmediateExit(vcpu, 1);
      vcpu.runSync();
      setImmediateExit(vcpu, 0);
    };

    write(RAM + 0x3000n);
    assert.deepEqual(dirty(), [[0, 8]]);
    assert.deepEqual(dirty(), []);
    write(RAM + 0x3008n);
    assert.deepEqual(dirty(), [[0, 8]]);
  });
});
