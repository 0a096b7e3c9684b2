// What the frames of a GICv2 hold, as KVM keeps it: the distributor, and a CPU interface as userspace saves it. IHI 0048,
// "Distributor register descriptions" and "CPU interface register descriptions"; Documentation/virt/kvm/devices/
// arm-vgic.rst. Inside `gicLocked`.

import type { ErrnoName } from "../../uapi/errno.js";
import type { VcpuState } from "../vcpu-state.js";
import { activePriorities, cell, putActivePriorities, putCell } from "./cpu-interface.js";
import { UNSET } from "./frames.js";
import type { Gic, Ref } from "./gic.js";
import {
  type Access,
  type BitHandlers,
  interruptRegisters as bit,
  readBits,
  writeBits,
} from "./interrupt-registers.js";
import { Field, type GicVcpuCell, Irq, PRIVATE } from "./layout.js";
import type { Row } from "./v3-frames.js";

/** vCPUs that ITARGETSR and SGIR can name. */
export const MOST_VCPUS = 8;
export const DISTRIBUTOR_BYTES = 0x1000n;
export const CPU_INTERFACE_BYTES = 0x2000n;
const SGIS = 16;

const BYTE = 1;
const WORD = 4;

type Read = (access: Access) => number;
type Write = (access: Access, value: number) => ErrnoName | null;

const zero: Read = () => 0;
const ignore: Write = () => null;

const register = (offset: number, bytes: number, sizes: number, read: Read = zero, write: Write = ignore): Row => ({
  offset,
  bytes,
  bits: 0,
  sizes,
  read,
  write,
});

/** A write that can not be refused. */
const takes =
  (write: (access: Access, value: number) => void): Write =>
  (access, value) => {
    write(access, value);
    return null;
  };

const bits = (offset: number, handlers: BitHandlers, sizes = WORD): Row => ({
  offset,
  bytes: (1024 * handlers.bits) / 8,
  bits: handlers.bits,
  sizes,
  read: (access) => readBits(handlers, offset, access),
  write(access, value) {
    writeBits(handlers, offset, access, value);
    return null;
  },
});

// Of an SGI's `sources`: 7:0 the vCPUs that sent it and wait, 10:8 the one that sent the active one.
const WAITING = 0xff;
export const ACTIVE_SOURCE_SHIFT = 8;

const isSgi = (gic: Gic, ref: Ref) => gic.read(ref, Field.intid) < SGIS;
const sourcesOf = (gic: Gic, ref: Ref) => gic.read(ref, Field.sources) & WAITING;

/** The vCPUs that wait for an SGI to be taken; it is pending as long as there are any. */
export function putSources(gic: Gic, ref: Ref, sources: number): void {
  gic.write(ref, Field.sources, (gic.read(ref, Field.sources) & ~WAITING) | sources);
  gic.change(ref, Irq.latch, sources !== 0);
  if (sources === 0) gic.changed(ref);
  else gic.queue(ref);
}

/** Whose private interrupt it is, by id. */
const ownerOf = (gic: Gic, ref: Ref) => gic.vcpus[gic.read(ref, Field.target) - 1]?.get("id") ?? 0;

const pending = (gic: Gic, ref: Ref) => (gic.isPending(ref) ? 1 : 0);

/** The pending bits of SGIs are for userspace only, which does not know their sources: then they send themselves. */
const setPending: BitHandlers = {
  bits: 1,
  read: pending,
  write(gic, ref, value, by) {
    if (value === 0) return;
    if (!isSgi(gic, ref)) bit.setPending.write(gic, ref, value, by);
    else if (by === "user") putSources(gic, ref, sourcesOf(gic, ref) | (1 << ownerOf(gic, ref)));
  },
};
const clearPending: BitHandlers = {
  bits: 1,
  read: pending,
  write(gic, ref, value, by) {
    if (value === 0) return;
    if (!isSgi(gic, ref)) {
      gic.change(ref, Irq.latch, false);
      gic.changed(ref);
    } else if (by === "user") putSources(gic, ref, 0);
  },
};

/** Userspace that does not set GICD_IIDR is of a time when it saved groups that there were none of. */
const group: BitHandlers = {
  bits: 1,
  read: bit.group.read,
  write(gic, ref, value, by) {
    if (by !== "user" || gic.get("groupsWritable") === 1) bit.group.write(gic, ref, value);
  },
};

const everyVcpu = (gic: Gic) => 2 ** gic.vcpus.length - 1;

const targets: BitHandlers = {
  bits: 8,
  read: (gic, ref) => (gic.read(ref, Field.intid) < PRIVATE ? 1 << ownerOf(gic, ref) : gic.read(ref, Field.route)),
  write(gic, ref, value) {
    if (gic.read(ref, Field.intid) < PRIVATE) return;
    const some = value & everyVcpu(gic);
    gic.write(ref, Field.route, some);
    // Of several, the first; of none, the first of all.
    gic.write(ref, Field.target, some === 0 ? 1 : 32 - Math.clz32(some & -some));
    gic.changed(ref);
  },
};

const ENABLE = 1;

function setEnabled({ gic }: Access, value: number): void {
  gic.put("enabled", value & ENABLE);
  for (const vcpu of gic.vcpus) gic.signal(vcpu);
}

const typer = ({ gic }: Access) => (gic.intids >> 5) - 1 + ((gic.vcpus.length - 1) << 5);

const IIDR = 0x4b00_043b;
const REVISION = 0xf000;
const REVISIONS: readonly number[] = [2, 3];

const iidr = ({ gic }: Access) => (IIDR | (gic.get("revision") << 12)) >>> 0;

function writeIidr(access: Access, value: number): ErrnoName | null {
  const { gic, by } = access;
  if (by !== "user") return null;
  const revision = (value & REVISION) >>> 12;
  if (((value ^ IIDR) & ~REVISION) !== 0 || !REVISIONS.includes(revision)) return "EINVAL";
  gic.put("groupsWritable", 1);
  gic.put("revision", revision);
  return null;
}

// GICD_SGIR.
const SGI_TO_OTHERS = 1;
const SGI_TO_SELF = 2;

function sendSgi({ gic, vcpu }: Access, value: number): void {
  const own = 1 << vcpu.get("id");
  const filter = (value >>> 24) & 3;
  const named = (value >>> 16) & 0xff;
  const all = filter === SGI_TO_OTHERS ? everyVcpu(gic) & ~own : filter === SGI_TO_SELF ? own : named;
  if (filter > SGI_TO_SELF) return;
  for (const [place, to] of gic.vcpus.entries()) {
    if (((all >> place) & 1) === 0) continue;
    const ref = gic.find(to, value & (SGIS - 1));
    putSources(gic, ref, sourcesOf(gic, ref) | own);
  }
}

const SPENDSGIR = 0xf20;
const CPENDSGIR = 0xf10;

const sgisAt = ({ gic, vcpu, at, bytes }: Access) =>
  Array.from({ length: bytes }, (_, n) => gic.find(vcpu, (at & (SGIS - 1)) + n));

const readSources: Read = (access) =>
  sgisAt(access).reduce((word, ref, n) => word | (sourcesOf(access.gic, ref) << (8 * n)), 0) >>> 0;

const writeSources = (combine: (before: number, byte: number) => number): Write =>
  takes((access, value) => {
    const { gic } = access;
    for (const [n, ref] of sgisAt(access).entries()) {
      const before = sourcesOf(gic, ref);
      const after = combine(before, (value >>> (8 * n)) & 0xff);
      if (after !== before) putSources(gic, ref, after);
    }
  });

// biome-ignore format: table
export const distributorV2: readonly Row[] = [
  register(0x000, 4, WORD, ({ gic }) => gic.get("enabled"), takes(setEnabled)),
  register(0x004, 4, WORD, typer),
  register(0x008, 4, WORD, iidr, writeIidr),
  bits(0x080, group),
  bits(0x100, bit.setEnable),
  bits(0x180, bit.clearEnable),
  bits(0x200, setPending),
  bits(0x280, clearPending),
  bits(0x300, bit.setActive),
  bits(0x380, bit.clearActive),
  bits(0x400, bit.priority, WORD | BYTE),
  bits(0x800, targets, WORD | BYTE),
  bits(0xc00, bit.config),
  register(0xf00, 4, WORD, zero, takes(sendSgi)),
  register(CPENDSGIR, 0x10, WORD | BYTE, readSources, writeSources((before, byte) => before & ~byte)),
  register(SPENDSGIR, 0x10, WORD | BYTE, readSources, writeSources((before, byte) => before | byte)),
];

// GICC_CTLR.
// biome-ignore format: table
const controls: readonly (readonly [bit: number, name: GicVcpuCell])[] = [
  [0, "group0"], [1, "group1"], [2, "ackControl"], [3, "fiqEnable"], [4, "cbpr"], [9, "eoiMode"],
];

export const readControl = (vcpu: VcpuState): number =>
  controls.reduce((word, [at, name]) => word | (cell(vcpu, name) << at), 0);

export function writeControl(vcpu: VcpuState, value: number): void {
  for (const [at, name] of controls) putCell(vcpu, name, (value >>> at) & 1);
}

/** A cell that decides what can be delivered. */
const setting = (read: (vcpu: VcpuState) => number, write: (vcpu: VcpuState, value: number) => void): [Read, Write] => [
  ({ vcpu }) => read(vcpu),
  takes(({ gic, vcpu }, value) => {
    write(vcpu, value);
    gic.signal(vcpu);
  }),
];

/** Userspace has the five implemented bits of a priority mask where they are in GICH_VMCR. */
const MASK_SHIFT = 3;
const CPU_IIDR = 0x4b2_043b;

const binaryPoint = (name: "bpr0" | "bpr1") =>
  setting(
    (vcpu) => cell(vcpu, name),
    (vcpu, value) => putCell(vcpu, name, value & 7),
  );

/** One register for both groups: which group an active priority was of is not known. */
export const readActive = (vcpu: VcpuState): number =>
  (activePriorities(vcpu, 0, 0) | activePriorities(vcpu, 1, 0)) >>> 0;

export function writeActive(vcpu: VcpuState, value: number): void {
  putActivePriorities(vcpu, 0, 0, value);
  putActivePriorities(vcpu, 1, 0, 0);
}

const GICC_DIR: Row = register(0x1000, 4, WORD);

// biome-ignore format: table
const cpuInterface: readonly Row[] = [
  register(0x00, 4, WORD, ...setting(readControl, writeControl)),
  register(0x04, 4, WORD, ...setting((vcpu) => cell(vcpu, "pmr") >> MASK_SHIFT, (vcpu, value) => putCell(vcpu, "pmr", (value << MASK_SHIFT) & 0xff))),
  register(0x08, 4, WORD, ...binaryPoint("bpr0")),
  register(0x1c, 4, WORD, ...binaryPoint("bpr1")),
  register(0xd0, 4, WORD, ...setting(readActive, writeActive)),
  register(0xd4, 12, WORD),
  register(0xfc, 4, WORD, () => CPU_IIDR),
];

/** What keeps a VM with a GICv2 from its first run; null: nothing. */
export function wrongFramesV2(gic: Gic): ErrnoName | null {
  const [distributor, cpu] = [gic.quad("distributorBase"), gic.quad("cpuBase")];
  if (distributor === UNSET || cpu === UNSET) return "ENXIO";
  const apart = distributor + DISTRIBUTOR_BYTES <= cpu || cpu + CPU_INTERFACE_BYTES <= distributor;
  return apart ? null : "EINVAL";
}

/** The CPU interface as userspace has it. */
export const cpuInterfaceV2 = (gic: Gic): readonly Row[] =>
  gic.vm.profile.switches.deactivateRegisterSaved ? [...cpuInterface, GICC_DIR] : cpuInterface;
