// The kernel's structures as data: where each member lies, and how it reads in JavaScript. Members that are pointers are
// absent: pointers never leave the backends. Offsets are held against the real arm64 headers by scripts/check-uapi.ts.

type Kind = "u8" | "u16" | "u32" | "s32" | "u64" | "u32s" | "u64s" | "bytes";

export interface Member<V = unknown> {
  readonly offset: number;
  readonly kind: Kind;
  /** How many of them; 1 for a scalar. */
  readonly count: number;
  /** Carries the JavaScript type; never set. */
  readonly value?: V;
}

export interface Struct<M extends Record<string, Member> = Record<string, Member>> {
  readonly name: string;
  readonly bytes: number;
  readonly members: M;
}

/** The members of a structure as JavaScript values. */
export type Values<S extends Struct> = {
  -readonly [K in keyof S["members"]]: S["members"][K] extends Member<infer V> ? V : never;
};

const scalar = (kind: Kind) => (offset: number) => ({ offset, kind, count: 1 }) as Member<number>;
const u8 = scalar("u8");
const u16 = scalar("u16");
const u32 = scalar("u32");
const s32 = scalar("s32");
const u64 = (offset: number) => ({ offset, kind: "u64", count: 1 }) as Member<bigint>;
const u32s = (offset: number, count: number) => ({ offset, kind: "u32s", count }) as Member<readonly number[]>;
const u64s = (offset: number, count: number) => ({ offset, kind: "u64s", count }) as Member<readonly bigint[]>;
const bytes = (offset: number, count: number) => ({ offset, kind: "bytes", count }) as Member<Uint8Array>;

const struct = <M extends Record<string, Member>>(name: string, size: number, members: M): Struct<M> => ({
  name,
  bytes: size,
  members,
});

// biome-ignore format: table
export const structs = {
  kvm_vcpu_init: struct("kvm_vcpu_init", 32, { target: u32(0), features: u32s(4, 7) }),
  kvm_mp_state: struct("kvm_mp_state", 4, { mp_state: u32(0) }),
  kvm_vcpu_events: struct("kvm_vcpu_events", 64, {
    "exception.serror_pending": u8(0), "exception.serror_has_esr": u8(1), "exception.ext_dabt_pending": u8(2),
    "exception.serror_esr": u64(8),
  }),
  kvm_guest_debug: struct("kvm_guest_debug", 520, {
    control: u32(0), "arch.dbg_bcr": u64s(8, 16), "arch.dbg_bvr": u64s(136, 16), "arch.dbg_wcr": u64s(264, 16),
    "arch.dbg_wvr": u64s(392, 16),
  }),
  kvm_userspace_memory_region: struct("kvm_userspace_memory_region", 32, {
    slot: u32(0), flags: u32(4), guest_phys_addr: u64(8), memory_size: u64(16), userspace_addr: u64(24),
  }),
  kvm_userspace_memory_region2: struct("kvm_userspace_memory_region2", 160, {
    slot: u32(0), flags: u32(4), guest_phys_addr: u64(8), memory_size: u64(16), userspace_addr: u64(24),
    guest_memfd_offset: u64(32), guest_memfd: u32(40),
  }),
  kvm_irqfd: struct("kvm_irqfd", 32, { fd: u32(0), gsi: u32(4), flags: u32(8), resamplefd: u32(12) }),
  kvm_ioeventfd: struct("kvm_ioeventfd", 64, {
    datamatch: u64(0), addr: u64(8), len: u32(16), fd: s32(20), flags: u32(24),
  }),
  kvm_dirty_gfn: struct("kvm_dirty_gfn", 16, { flags: u32(0), slot: u32(4), offset: u64(8) }),
  kvm_coalesced_mmio_zone: struct("kvm_coalesced_mmio_zone", 16, { addr: u64(0), size: u32(8), pio: u32(12) }),
  kvm_coalesced_mmio: struct("kvm_coalesced_mmio", 24, { phys_addr: u64(0), len: u32(8), pio: u32(12), data: bytes(16, 8) }),
  kvm_irq_routing: struct("kvm_irq_routing", 8, { nr: u32(0), flags: u32(4) }),
  kvm_irq_routing_entry: struct("kvm_irq_routing_entry", 48, { gsi: u32(0), type: u32(4), flags: u32(8), u: u32s(16, 4) }),
  kvm_msi: struct("kvm_msi", 32, { address_lo: u32(0), address_hi: u32(4), data: u32(8), flags: u32(12), devid: u32(16) }),
  kvm_arm_counter_offset: struct("kvm_arm_counter_offset", 16, { counter_offset: u64(0), reserved: u64(8) }),
  kvm_enable_cap: struct("kvm_enable_cap", 104, { cap: u32(0), flags: u32(4), args: u64s(8, 4) }),
  kvm_smccc_filter: struct("kvm_smccc_filter", 24, { base: u32(0), nr_functions: u32(4), action: u8(8) }),
  kvm_pmu_event_filter: struct("kvm_pmu_event_filter", 8, { base_event: u16(0), nevents: u16(2), action: u8(4) }),
  kvm_create_guest_memfd: struct("kvm_create_guest_memfd", 64, { size: u64(0), flags: u64(8) }),
  kvm_stats_header: struct("kvm_stats_header", 24, {
    flags: u32(0), name_size: u32(4), num_desc: u32(8), id_offset: u32(12), desc_offset: u32(16), data_offset: u32(20),
  }),
  kvm_stats_desc: struct("kvm_stats_desc", 16, {
    flags: u32(0), exponent: u16(4), size: u16(6), offset: u32(8), bucket_size: u32(12),
  }),
} as const;

/** struct kvm_run, as far as arm64 fills it. The union of the exits begins at 32. */
// biome-ignore format: table
export const kvm_run = struct("kvm_run", 2352, {
  immediate_exit: u8(1), exit_reason: u32(8), flags: u16(14),
  "fail_entry.hardware_entry_failure_reason": u64(32), "fail_entry.cpu": u32(40),
  "hypercall.nr": u64(32), "hypercall.args": u64s(40, 6), "hypercall.ret": u64(88), "hypercall.flags": u64(96),
  "debug.arch.hsr": u32(32), "debug.arch.hsr_high": u32(36), "debug.arch.far": u64(40),
  "mmio.phys_addr": u64(32), "mmio.data": bytes(40, 8), "mmio.len": u32(48), "mmio.is_write": u8(52),
  "internal.suberror": u32(32), "internal.ndata": u32(36), "internal.data": u64s(40, 16),
  "system_event.type": u32(32), "system_event.ndata": u32(36), "system_event.data": u64s(40, 16),
  "arm_nisv.esr_iss": u64(32), "arm_nisv.fault_ipa": u64(40),
  "memory_fault.flags": u64(32), "memory_fault.gpa": u64(40), "memory_fault.size": u64(48),
  "arm_sea.flags": u64(32), "arm_sea.esr": u64(40), "arm_sea.gva": u64(48), "arm_sea.gpa": u64(56),
  "s.regs.device_irq_level": u64(304),
});

/** Offsets of the members of struct kvm_run. */
export const run = Object.fromEntries(Object.entries(kvm_run.members).map(([name, m]) => [name, m.offset])) as {
  readonly [K in keyof typeof kvm_run.members]: number;
};

const widths = { u8: 1, u16: 2, u32: 4, s32: 4, u64: 8, u32s: 4, u64s: 8, bytes: 1 } as const;

/** How many bytes a member takes. */
export const memberBytes = (m: Member): number => widths[m.kind] * m.count;

function put(view: DataView, what: string, kind: Kind, at: number, value: unknown): void {
  if (kind === "u64" || kind === "u64s") {
    if (typeof value !== "bigint") throw new TypeError(`${what} must be a bigint, got ${typeof value}`);
    if (value < 0n || value >> 64n !== 0n) {
      throw new RangeError(`${what} must be an unsigned 64-bit value, got ${value}`);
    }
    view.setBigUint64(at, value, true);
    return;
  }
  if (typeof value !== "number") throw new TypeError(`${what} must be a number, got ${typeof value}`);
  const bits = widths[kind] * 8;
  const least = kind === "s32" ? -(2 ** 31) : 0;
  const most = kind === "s32" ? 2 ** 31 - 1 : 2 ** bits - 1;
  if (!Number.isInteger(value) || value < least || value > most) {
    throw new RangeError(`${what} must be an integer from ${least} to ${most}, got ${value}`);
  }
  if (bits === 8) view.setUint8(at, value);
  else if (bits === 16) view.setUint16(at, value, true);
  else if (kind === "s32") view.setInt32(at, value, true);
  else view.setUint32(at, value, true);
}

/** The bytes of a structure. Members that are left out are 0; TypeError or RangeError names a member that does not fit. */
export function pack<S extends Struct>(s: S, values: Partial<Values<S>>): Uint8Array {
  const packed = new Uint8Array(s.bytes);
  const view = new DataView(packed.buffer);
  for (const [name, value] of Object.entries(values)) {
    const m = s.members[name];
    if (m === undefined) throw new TypeError(`${s.name} has no member ${name}`);
    if (value === undefined) continue;
    const what = `${s.name}.${name}`;
    if (m.kind === "bytes") {
      if (!(value instanceof Uint8Array) || value.length > m.count) {
        throw new TypeError(`${what} must be at most ${m.count} bytes`);
      }
      packed.set(value, m.offset);
    } else if (m.kind === "u32s" || m.kind === "u64s") {
      if (!Array.isArray(value) || value.length > m.count) {
        throw new TypeError(`${what} must be an array of at most ${m.count} values`);
      }
      for (const [i, v] of value.entries()) put(view, `${what}[${i}]`, m.kind, m.offset + i * widths[m.kind], v);
    } else {
      put(view, what, m.kind, m.offset, value);
    }
  }
  return packed;
}

function take(view: DataView, kind: Kind, at: number): number | bigint {
  if (kind === "u64" || kind === "u64s") return view.getBigUint64(at, true);
  if (kind === "u8") return view.getUint8(at);
  if (kind === "u16") return view.getUint16(at, true);
  return kind === "s32" ? view.getInt32(at, true) : view.getUint32(at, true);
}

/** The members of a structure that lies at the start of `from`; byte members are views, not copies. */
export function unpack<S extends Struct>(s: S, from: Uint8Array): Values<S> {
  if (from.length < s.bytes) throw new RangeError(`${s.name} needs ${s.bytes} bytes, got ${from.length}`);
  const view = new DataView(from.buffer, from.byteOffset, from.byteLength);
  const values: Record<string, unknown> = {};
  for (const [name, m] of Object.entries(s.members)) {
    if (m.kind === "bytes") values[name] = from.subarray(m.offset, m.offset + m.count);
    else if (m.kind === "u32s" || m.kind === "u64s") {
      values[name] = Array.from({ length: m.count }, (_, i) => take(view, m.kind, m.offset + i * widths[m.kind]));
    } else values[name] = take(view, m.kind, m.offset);
  }
  return values as Values<S>;
}
