// Stage 1 in generated code finds what cpu/stage1.ts finds: random registers and random tables, every kind of access.

import assert from "node:assert/strict";
import { isDevice, regimeOf, type Tables, translateStage1 } from "../../lib/model/cpu/stage1.js";
import { CpuState } from "../../lib/model/cpu/state.js";
import { GUARDED, MUST_ALIGN, PAGE_CACHE_BYTES, PageCache, place, ROOM } from "../../lib/model/engine/page-cache.js";
import { PHYSICAL_BYTES, PhysicalPages } from "../../lib/model/engine/physical-pages.js";
import { I32, I64, Module } from "../../lib/model/engine/wasm/binary.js";
import { Room } from "../../lib/model/engine/wasm/room.js";
import { fillHelper, physicalHelper } from "../../lib/model/engine/wasm/walker.js";
import { writeWalks } from "../../lib/model/engine/wasm/walks.js";
import { Random } from "./qemu/random.js";

const PAGES = 64;
const ROOM_AT = 0x1_0000;
const RAM_AT = 0x10_0000;
const RAM = 0x4_0000n;
const RAM_BYTES = 64 * 4096;
const CASES = 1_000;

const memory = new WebAssembly.Memory({ initial: PAGES, maximum: 65536, shared: true });
const state = new CpuState(memory, 0);
const ram = new BigUint64Array(memory.buffer, RAM_AT, RAM_BYTES / 8);
const physical = new PhysicalPages(new Int32Array(memory.buffer, ROOM_AT + Room.physicalPages, PHYSICAL_BYTES / 4));

const module = new Module(65536);
const helper = module.function([I32, I64, I32], [I32], null, physicalHelper());
module.function([I32, I64], [I32], "fill", fillHelper(helper));
const instance = new WebAssembly.Instance(new WebAssembly.Module(module.bytes()), { env: { memory } });
const { fill } = instance.exports as unknown as { fill(cache: number, address: bigint): number };

const caches = (["read", "write", "fetch"] as const).flatMap((kind) =>
  [
    { unprivileged: true, pan: false },
    { unprivileged: false, pan: false },
    { unprivileged: false, pan: kind !== "fetch" },
  ].map((who) => ({ kind, ...who })),
);
const tables = caches.map((access, n) => {
  const at = ROOM_AT + Room.tables + n * PAGE_CACHE_BYTES;
  const cache = new PageCache(access, new Int32Array(memory.buffer, at, PAGE_CACHE_BYTES / 4));
  cache.words[ROOM / 4] = ROOM_AT;
  return cache;
});

/** The RAM, and that stage 1 wrote to it. */
let wrote = false;
const guest: Tables = {
  read: (ipa) => (ipa >= RAM && ipa < RAM + BigInt(RAM_BYTES) ? ram[Number(ipa - RAM) / 8]! : -7),
  update: () => {
    wrote = true;
    return true;
  },
};

/** An address of the RAM, or of what is near it. */
const somewhere = (random: Random, align: bigint): bigint =>
  (RAM + BigInt(random.below(RAM_BYTES + (random.chance(3) ? 0x8000 : 0)))) & ~(align - 1n);

function descriptor(random: Random, granule: bigint): bigint {
  const type = BigInt(random.chance(80) ? 3 : random.below(4));
  const address = somewhere(random, random.chance(90) ? granule : 4096n);
  let bits = BigInt(random.below(0x400)) << 2n;
  if (random.chance(85)) bits |= 1n << 10n;
  if (random.chance(40)) bits &= ~(1n << 7n);
  if (random.chance(30)) bits |= BigInt(random.below(0x1000)) << 52n;
  if (random.chance(30)) bits |= BigInt(random.below(4)) << 50n;
  if (random.chance(20)) bits |= 1n << BigInt(59 + random.below(4));
  return address | (bits & ~3n & ~0xf000n) | type;
}

function registers(random: Random): bigint {
  const granules = [12, 16, 14] as const;
  const tg0 = random.below(3);
  const granule = granules[tg0]!;
  const tg1 = { 12: 2n, 14: 1n, 16: 3n }[granule];
  const size = () => BigInt(random.chance(90) ? 16 + random.below(24) : random.below(64));
  let tcr = size() | (size() << 16n) | (BigInt(tg0) << 14n) | (tg1 << 30n) | (BigInt(random.below(7)) << 32n);
  for (const bit of [7, 23, 55, 56]) if (random.chance(4)) tcr |= 1n << BigInt(bit);
  for (const bit of [22, 37, 38, 39, 40, 41, 42, 51, 52]) if (random.chance(40)) tcr |= 1n << BigInt(bit);
  state.set("TCR_EL1", tcr);
  state.set("SCTLR_EL1", 1n | (random.chance(20) ? 2n : 0n) | (random.chance(30) ? 1n << 19n : 0n));
  state.set("MAIR_EL1", random.quad() & 0xf0ff_f0ff_0fff_f0ffn);
  state.set("ID_AA64MMFR0_EL1", BigInt(random.below(6)) | (1n << 20n));
  state.set("ID_AA64MMFR1_EL1", BigInt(random.below(3)) | (BigInt(random.below(2)) << 12n));
  state.set("ID_AA64MMFR2_EL1", (BigInt(random.below(2)) << 16n) | (BigInt(random.below(2)) << 28n) | (1n << 60n));
  for (const name of ["TTBR0_EL1", "TTBR1_EL1"] as const)
    state.set(name, somewhere(random, 4096n) | (random.chance(10) ? BigInt(random.below(16)) << 2n : 0n));
  return 1n << BigInt(granule);
}

describe("the walk in generated code", () => {
  it(`fills what stage 1 gives, in ${CASES} random regimes, and nothing else`, function () {
    this.timeout(60_000);
    let filled = 0;
    for (let number = 0; number < CASES; number++) {
      const random = new Random(number);
      const granule = registers(random);
      for (let n = 0; n < ram.length; n += 1) ram[n] = n % 8 === 0 ? descriptor(random, granule) : ram[n - (n % 8)]!;
      physical.clear();
      for (let page = 0n; page < BigInt(RAM_BYTES); page += 4096n) {
        for (const kind of ["read", "write", "fetch"] as const)
          if (random.chance(98)) physical.put(RAM + page, kind, RAM_AT + Number(page));
      }
      const ranged = random.chance(40) ? random.below(RAM_BYTES / 4096) : 0;
      if (ranged > 0)
        physical.putRange({ first: Number(RAM >> 12n), pages: ranged, offset: RAM_AT, access: ["read", "fetch"] });
      const known = (ipa: bigint, kind: "read" | "write" | "fetch") => {
        const inRange = kind !== "write" && ipa >= RAM && ipa < RAM + BigInt(ranged * 4096);
        return inRange ? RAM_AT + Number((ipa & ~4095n) - RAM) : physical.find(ipa & ~4095n, kind);
      };
      const regime = regimeOf(state);
      const sctlr = Number(state.get("SCTLR_EL1"));
      writeWalks(new DataView(memory.buffer), ROOM_AT + Room.walks, regime, sctlr);
      for (let n = 0; n < 40; n++) {
        const high = random.chance(50);
        const low = random.quad() >> BigInt(random.below(64));
        const address = high ? BigInt.asUintN(64, ~low) : low;
        const cache = tables[random.below(tables.length)]!;
        cache.clear();
        wrote = false;
        let isKnown = true;
        const seen: Tables = {
          read: (ipa) => {
            if (known(ipa, "read") === 0) isKnown = false;
            return guest.read(ipa);
          },
          update: guest.update,
        };
        const found = translateStage1(regime, seen, address, cache.access);
        const what = `case ${number}.${n}: ${address.toString(16)} ${JSON.stringify(cache.access)}`;
        const entry = cache.words.subarray(place(Number(BigInt.asIntN(32, address))));
        const given = fill(cache.words.byteOffset, BigInt.asIntN(64, address));
        const offset = found.kind === "page" ? known(found.address, cache.access.kind) : 0;
        if (found.kind !== "page" || wrote || !isKnown || offset === 0) {
          assert.equal(given, 0, what);
          continue;
        }
        assert.equal(given, 1, what);
        filled++;
        const copy = cache.words.slice();
        const isFetch = cache.access.kind === "fetch";
        const device = isDevice(found.attributes);
        const flags = !isFetch && (device || (sctlr & 2) !== 0) ? MUST_ALIGN : 0;
        const more = isFetch ? (found.guarded ? GUARDED : 0) : device ? 1 : 0;
        assert.equal(entry[3], more, what);
        cache.clear();
        const [lo, hi] = [Number(BigInt.asIntN(32, address)), Number(BigInt.asIntN(32, address >> 32n))];
        cache.put(lo, hi, flags, offset, more, found);
        assert.deepEqual(cache.words, copy, what);
      }
    }
    assert.ok(filled > CASES, `${filled} filled`);
  });
});
