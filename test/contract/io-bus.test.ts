// Coalesced MMIO zones and ioeventfds on one bus: how many there may be, and who takes a store that several could take.
// Documentation/virt/kvm/api.rst 4.59, 4.116.

import assert from "node:assert/strict";
import type { EventFd } from "../../lib/eventfd.js";
import { pack, structs } from "../../lib/uapi/structs.js";
import type { Vm } from "../../lib/vm.js";
import { mov64, store, XZR } from "../support/assemble.js";
import { type Host, onEveryBackend } from "../support/backends.js";
import { DEVICE, finish, makeGuest, runToExit } from "../support/guest.js";
import { answer, assertRefused } from "../support/refusal.js";

const PIO = 2;
const CCW = 8;
const DEASSIGN = 4;
/** The guest's stores lie here: `finish` ends at DEVICE. */
const AT = DEVICE + 0x10_0000n;

interface Zone {
  readonly addr: bigint;
  readonly size: number;
  readonly pio?: number;
}
const zone = ({ addr, size, pio = 0 }: Zone) => pack(structs.kvm_coalesced_mmio_zone, { addr, size, pio });
const addZone = (vm: Vm, one: Zone) => vm.fd.registerCoalescedMmio(zone(one));
const removeZone = (vm: Vm, one: Zone) => vm.fd.unregisterCoalescedMmio(zone(one));
const ioevent = (event: EventFd, addr: bigint, said: { len?: number; flags?: number } = {}) =>
  pack(structs.kvm_ioeventfd, { addr, len: 4, fd: event.fd, ...said });

/** What becomes of a store of 4 bytes to each address: "ring", "exit", or "event". */
async function outcomes(host: Host, prepare: (vm: Vm, event: EventFd) => void, ...addresses: bigint[]) {
  const { vm, cpu } = makeGuest(host, [...addresses.flatMap((to) => [...mov64(1, to), store(4, XZR, 1)]), ...finish]);
  const event = host.keep(host.kvm.createEventFd());
  prepare(vm, event);
  const exits: bigint[] = [];
  while (exits.at(-1) !== DEVICE) {
    const exit = await runToExit(cpu);
    assert.equal(exit.reason, "mmio");
    if (exit.reason === "mmio") exits.push(exit.address);
  }
  const ring = cpu.takeCoalescedWrites().map(({ address }) => address);
  return addresses.map((to) => (exits.includes(to) ? "exit" : ring.includes(to) ? "ring" : "event"));
}

onEveryBackend("an I/O bus", (host) => {
  const makeVm = () => host.keep(host.kvm.createVm());

  it("holds 1000 devices that are no ioeventfds, each bus its own", () => {
    const vm = makeVm();
    for (const pio of [0, 1]) {
      for (let n = 0; n < 1000; n++) addZone(vm, { addr: BigInt(16 * n), size: 16, pio });
      assertRefused("ENOSPC", () => addZone(vm, { addr: 0n, size: 16, pio }));
    }
  });

  it("that is full takes no ioeventfd either, until a zone is removed", () => {
    const vm = makeVm();
    const event = host.keep(host.kvm.createEventFd());
    for (let n = 0; n < 1000; n++) addZone(vm, { addr: BigInt(16 * n), size: 16 });
    assertRefused("ENOSPC", () => vm.fd.ioeventfd(ioevent(event, AT)));
    removeZone(vm, { addr: 0n, size: 16 });
    vm.fd.ioeventfd(ioevent(event, AT));
    addZone(vm, { addr: 0n, size: 16 });
    assertRefused("ENOSPC", () => addZone(vm, { addr: 0n, size: 16 }));
  });

  it("is chosen by PIO before VIRTIO_CCW_NOTIFY", () => {
    const vm = makeVm();
    const event = host.keep(host.kvm.createEventFd());
    const add = (flags: number) => answer(() => vm.fd.ioeventfd(ioevent(event, AT, { flags })));
    assert.deepEqual([0, PIO, CCW, PIO | CCW].map(add), ["OK", "OK", "OK", "EEXIST"]);
    assert.deepEqual(
      [PIO | CCW, PIO, CCW].map((bus) => add(bus | DEASSIGN)),
      ["OK", "ENOENT", "OK"],
    );
  });

  it("of PIO or CCW is one that stores of a guest never reach", async () => {
    const prepare = (vm: Vm, event: EventFd) => {
      vm.fd.ioeventfd(ioevent(event, AT, { flags: PIO }));
      vm.fd.ioeventfd(ioevent(event, AT, { flags: CCW }));
      addZone(vm, { addr: AT, size: 16, pio: 1 });
    };
    assert.deepEqual(await outcomes(host, prepare, AT), ["exit"]);
  });

  it("an ioeventfd is taken off whatever the other flags, by its length, address, data and descriptor", () => {
    const vm = makeVm();
    const [event, other] = [host.keep(host.kvm.createEventFd()), host.keep(host.kvm.createEventFd())];
    const remove = (of: EventFd, said = {}) =>
      answer(() => vm.fd.ioeventfd(ioevent(of, AT, { flags: DEASSIGN, ...said })));
    vm.fd.ioeventfd(ioevent(event, AT));
    assert.deepEqual(
      [remove(other), remove(event, { len: 2 }), remove(event, { flags: DEASSIGN | 1 })],
      ["ENOENT", "ENOENT", "ENOENT"],
    );
    assert.deepEqual(
      [remove(event, { flags: 0xffff_ffe4 }), remove(event), remove(event, { len: 3 })],
      ["OK", "ENOENT", "ENOENT"],
    );
  });
});

onEveryBackend("a store that several could take", (host) => {
  it("goes to the ioeventfd where a zone begins at the same place", async () => {
    const prepare = (vm: Vm, event: EventFd) => {
      addZone(vm, { addr: AT, size: 0x1000 });
      vm.fd.ioeventfd(ioevent(event, AT));
    };
    assert.deepEqual(await outcomes(host, prepare, AT, AT + 0x100n), ["event", "ring"]);
  });

  it("goes to the zone where that begins before the ioeventfd and was there first", async () => {
    const prepare = (vm: Vm, event: EventFd) => {
      addZone(vm, { addr: AT - 0x100n, size: 0x1000 });
      vm.fd.ioeventfd(ioevent(event, AT));
    };
    // Above the ioeventfd the kernel's binary search does not find the zone.
    assert.deepEqual(await outcomes(host, prepare, AT, AT + 0x100n, AT - 0x100n), ["ring", "exit", "ring"]);
  });

  it("goes to the ioeventfd where that was there first", async () => {
    const prepare = (vm: Vm, event: EventFd) => {
      vm.fd.ioeventfd(ioevent(event, AT));
      addZone(vm, { addr: AT - 0x100n, size: 0x1000 });
    };
    assert.deepEqual(await outcomes(host, prepare, AT, AT + 0x100n, AT - 0x100n), ["event", "ring", "ring"]);
  });

  it("zones inside a zone hide what lies behind them", async () => {
    const prepare = (vm: Vm) => {
      addZone(vm, { addr: AT, size: 0x1000 });
      for (const from of [0x100n, 0x300n, 0x500n]) addZone(vm, { addr: AT + from, size: 16 });
    };
    const stores = [0n, 0x104n, 0x200n, 0x400n, 0x304n, 0x600n].map((from) => AT + from);
    assert.deepEqual(await outcomes(host, prepare, ...stores), ["ring", "ring", "exit", "exit", "ring", "exit"]);
  });
});

onEveryBackend("the range of a coalesced MMIO zone", (host) => {
  it("of 2^32 - 1 bytes holds no store: where KVM searches its size is -1", async () => {
    const prepare = (vm: Vm) => addZone(vm, { addr: AT, size: 0xffff_ffff });
    assert.deepEqual(await outcomes(host, prepare, AT, AT + 0x100n), ["exit", "exit"]);
  });

  it("is removed by any range inside it, with every other zone that holds that range", async () => {
    const prepare = (vm: Vm) => {
      addZone(vm, { addr: AT, size: 0x100 });
      addZone(vm, { addr: AT, size: 0x100 });
      addZone(vm, { addr: AT + 0x200n, size: 0x100 });
      removeZone(vm, { addr: AT + 0x10n, size: 0x10 });
    };
    assert.deepEqual(await outcomes(host, prepare, AT, AT + 0x200n), ["exit", "ring"]);
  });

  it("stays when the range to remove reaches beyond it", async () => {
    const prepare = (vm: Vm) => {
      addZone(vm, { addr: AT, size: 0x100 });
      removeZone(vm, { addr: AT - 0x10n, size: 0x200 });
      removeZone(vm, { addr: AT, size: 0x101 });
    };
    assert.deepEqual(await outcomes(host, prepare, AT), ["ring"]);
  });
});
