// Ops on memory: mappings, slots, dirty logs and rings, zones of coalesced MMIO.

import { KVM_MEM } from "../../../lib/uapi/constants.js";
import { pack, structs } from "../../../lib/uapi/structs.js";
import { DATA, RAM, RAM_BYTES } from "../guest-layout.js";
import type { Maker, MapPlan, SlotPlan, VmPlan } from "./maker.js";

/** Where slots may be; FINISH is not among them. */
export const RW_SLOT = 0x5000_0000n;
export const RO_SLOT = 0x6000_0000n;
const places = [
  RAM,
  RW_SLOT,
  RO_SLOT,
  0x5000_4000n,
  0x4001_0000n,
  0x7000_0000n,
  0xffff_0000n,
  1n << 36n,
  (1n << 40n) - 0x8000n,
];

export function newMap(m: Maker, vm: VmPlan, bytes: number): MapPlan {
  const map = { name: m.make("map", "vm.map", vm.name, bytes), bytes };
  vm.maps.push(map);
  return map;
}

/**
 * Programs are never in memory that is at a second address, too: a guest that wrote to itself there, without maintenance,
 * would be another one on each CPU (DDI 0487 B2.4.4).
 */
function showsCodeTwice(vm: VmPlan, plan: SlotPlan): boolean {
  const shows = (slot: SlotPlan, map: MapPlan, page: bigint) =>
    slot.map === map && slot.offset <= page && page < slot.offset + slot.bytes;
  const others = vm.slots.filter(({ slot, at }) => slot !== plan.slot && at !== plan.at);
  if (plan.at === RAM && others.some((slot) => shows(slot, plan.map, plan.offset))) return true;
  return others.some(({ at, map, offset }) => at === RAM && shows(plan, map, offset));
}

function setSlot(m: Maker, vm: VmPlan, plan: SlotPlan) {
  if (showsCodeTwice(vm, plan)) return;
  const { slot, flags, at, bytes, map, offset } = plan;
  const common = [slot, flags, at, bytes, bytes === 0n ? null : { ref: map.name }, offset] as const;
  if (m.random.once(3)) m.emit("vm.setUserMemoryRegion2", vm.name, ...common, 0, 0n);
  else m.emit("vm.setUserMemoryRegion", vm.name, ...common);
  const known = vm.slots.findIndex((other) => other.slot === slot);
  // A slot that the kernel refuses to move is still at RAM.
  const mayStay = bytes !== 0n && at !== RAM && vm.slots[known]?.at === RAM;
  if (known >= 0 && !mayStay) vm.slots.splice(known, 1);
  if (bytes !== 0n) vm.slots.push(plan);
}

/** RAM for guests, and sometimes a second slot and one that is read-only. */
export function makeRam(m: Maker, vm: VmPlan) {
  const { random } = m;
  const bytes = BigInt(RAM_BYTES);
  const logged = random.once(3) ? KVM_MEM.LOG_DIRTY_PAGES : 0;
  const map = newMap(m, vm, RAM_BYTES);
  setSlot(m, vm, { slot: 0, flags: logged, at: RAM, bytes, map, offset: 0n });
  if (random.once(2)) return;
  const other = newMap(m, vm, RAM_BYTES);
  setSlot(m, vm, { slot: 1, flags: logged, at: RW_SLOT, bytes: bytes / 2n, map: other, offset: 0n });
  setSlot(m, vm, { slot: 2, flags: KVM_MEM.READONLY, at: RO_SLOT, bytes: bytes / 4n, map: other, offset: bytes / 2n });
}

function slotOp(m: Maker, vm: VmPlan) {
  const { random } = m;
  const flags = random.pick([0, 0, 1, 2, 3, 1, random.once(4) ? 4 : 0, random.once(6) ? random.word() : 0]);
  const known = vm.slots.length > 0 && !random.once(3) ? random.pick(vm.slots) : undefined;
  if (known !== undefined) {
    // What is there: deleted, moved, its flags changed, resized, set again.
    switch (random.below(6)) {
      case 0:
        return setSlot(m, vm, { ...known, bytes: 0n });
      case 1:
        return setSlot(m, vm, { ...known, at: random.pick(places) });
      case 2:
        return setSlot(m, vm, { ...known, flags });
      case 3:
        return setSlot(m, vm, { ...known, bytes: known.bytes / 2n });
      case 4:
        return setSlot(m, vm, { ...known, slot: m.near(known.slot + 1) });
      default:
        return setSlot(m, vm, known);
    }
  }
  const map =
    vm.maps.length > 0 && !random.once(6) ? random.pick(vm.maps) : newMap(m, vm, 4096 * random.pick([1, 2, 16]));
  const offset = 4096n * BigInt(random.below(map.bytes / 4096));
  const room = BigInt(map.bytes) - offset;
  const misplaced = random.once(15) ? BigInt(random.pick([1, 8, 2048])) : 0n;
  const bytes = random.once(15) ? room - 1n : random.once(2) ? room : 4096n;
  const slot = random.once(10) ? random.pick([32766, 32767, 0x1_0000, 0xffff_ffff]) : random.below(6);
  const at =
    (random.once(12) ? random.pick([(1n << 64n) - 4096n, 1n << 48n, 1n << 52n]) : random.pick(places)) + misplaced;
  setSlot(m, vm, { slot, flags, at, bytes, map, offset });
}

function zone(m: Maker): Uint8Array {
  const { random } = m;
  const addr = random.pick([0x0900_0000n, 0x0900_0100n, 0x0900_1000n, 0x0901_0000n]);
  const size = random.pick([4, 8, 0x100, 0x1000, 0]);
  return pack(structs.kvm_coalesced_mmio_zone, { addr, size, pio: random.once(8) ? random.below(3) : 0 });
}

function dirtyLogOp(m: Maker, vm: VmPlan) {
  const { random } = m;
  const plan = vm.slots.length > 0 ? random.pick(vm.slots) : undefined;
  const slot = m.near(plan?.slot ?? 0, [32767, 0x1_0000, 5]);
  const pages = Number((plan?.bytes ?? 65536n) / 4096n);
  const bytes = Math.ceil(pages / 64) * 8;
  if (random.once(2)) return m.emit("vm.getDirtyLog", vm.name, slot, random.once(10) ? bytes + 8 : bytes);
  const first = random.once(4) ? BigInt(random.pick([1, 63, 64, 128])) : 0n;
  const count = m.near(pages, [1, 8, 63, 64, 0, pages + 64]) % 1024;
  m.emit("vm.clearDirtyLog", vm.name, slot, first, count, random.bytes(Math.max(8, Math.ceil(count / 64) * 8)));
}

function memfdOp(m: Maker, vm: VmPlan) {
  const { random } = m;
  if (vm.memfds.length === 0 || random.once(4)) {
    const size = random.pick([0x1_0000n, 0x4000n, 0n, 4095n, 1n << 63n, 0x1_0000n]);
    const args = pack(structs.kvm_create_guest_memfd, {
      size,
      flags: random.pick([0n, 1n, 3n, 3n, 2n, 4n, 1n << 63n]),
    });
    vm.memfds.push(m.make("memfd", "vm.createGuestMemfd", vm.name, m.nearBytes(args)));
    return;
  }
  const memfd = random.pick(vm.memfds);
  const bytes = 0x1_0000;
  if (random.once(3)) {
    const map = { name: m.make("map", "vm.mapGuestMemfd", vm.name, bytes, { ref: memfd }, 0), bytes };
    vm.maps.push(map);
    return;
  }
  if (vm.maps.length === 0) newMap(m, vm, bytes);
  const map = random.pick(vm.maps);
  const args = [
    random.below(8),
    random.pick([4, 4, 4, 5, 6, 0]),
    random.pick(places),
    BigInt(Math.min(map.bytes, bytes)),
  ];
  const offset = random.pick([0n, 0n, 4096n, 0x1_0000n, 1n]);
  m.emit("vm.setUserMemoryRegion2", vm.name, ...args, { ref: map.name }, 0n, { ref: memfd }, offset);
}

const weights = { slot: 30, dirty: 20, zone: 6, rings: 4, map: 4, memfd: 8, bytes: 10, tags: 4 } as const;

export function memoryOp(m: Maker, vm: VmPlan) {
  const { random } = m;
  switch (random.weighted(weights)) {
    case "slot":
      return slotOp(m, vm);
    case "dirty":
      return dirtyLogOp(m, vm);
    case "zone":
      return m.emit(random.once(3) ? "vm.unregisterCoalescedMmio" : "vm.registerCoalescedMmio", vm.name, zone(m));
    case "rings":
      return m.emit("vm.resetDirtyRings", vm.name);
    case "map":
      if (vm.maps.length > 1 && random.once(4)) return m.emit("map.close", random.pick(vm.maps).name);
      newMap(m, vm, 4096 * random.pick([1, 2, 3, 16]));
      return;
    case "memfd":
      return memfdOp(m, vm);
    case "tags":
      return tagsOp(m, vm);
    case "bytes": {
      if (vm.maps.length === 0) return;
      const map = random.pick(vm.maps);
      const offset = random.once(2) ? 0 : map.bytes - 4096;
      if (random.once(2)) return m.emit("map.read", map.name, offset, 4096);
      // Behind the code.
      if (map.bytes > DATA + 64) return m.emit("map.write", map.name, DATA, random.bytes(16));
    }
  }
}

function tagsOp(m: Maker, vm: VmPlan) {
  const { random } = m;
  const at = random.pick([RAM, RAM + 4096n, RW_SLOT, RO_SLOT, 0x7000_0000n, RAM + 16n]);
  const bytes = random.pick([4096n, 8192n, 0n, 16n, 4097n, 0x2_0000n]);
  m.emit(
    "vm.armMteCopyTags",
    vm.name,
    at,
    bytes,
    random.bytes(Math.ceil(Number(bytes) / 16)),
    random.pick([0n, 1n, 0n, 1n, 2n]),
  );
}
