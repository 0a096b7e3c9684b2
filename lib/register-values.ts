// Register values on their way to and from a backend: checked against the width that the id carries, named in errors.
import { describe } from "./arguments.js";
import { formatRegId } from "./arm64/format.js";
import type { RegId, RegValue } from "./arm64/reg-id.js";
import { type ErrnoName, errno } from "./uapi/errno.js";

/** The bytes of one register, as a backend takes them, and a view to read and write them through. */
export interface Cell {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** The bytes of a cell of its own for a 64-bit register: cheaper than the view (measured: scripts/bench). */
  readonly quad?: BigUint64Array;
}

/** "SCTLR_EL1 (0x603000000013c080)" */
export function idText(id: bigint): string {
  const hex = `0x${id.toString(16)}`;
  try {
    return `${formatRegId(id as RegId)} (${hex})`;
  } catch {
    return hex; // not an id: the number alone has to do
  }
}

/** TypeError or RangeError unless `id` is a 64-bit bigint whose size field KVM knows. */
export function checkId(what: string, id: unknown): void {
  if (typeof id !== "bigint") {
    throw new TypeError(`${what}: a register id is a bigint made by a builder or by regId(), got ${describe(id)}`);
  }
  if (id < 0n || id >> 64n !== 0n) throw new RangeError(`${what}: a register id must fit in 64 bits, got ${id}`);
  if (((id >> 52n) & 0xfn) > 8n) {
    throw new RangeError(`${what}: the size field of register id 0x${id.toString(16)} must be 0 to 8`);
  }
}

export function makeCell(size: number): Cell {
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  return size === 8 ? { bytes, view, quad: new BigUint64Array(bytes.buffer) } : { bytes, view };
}

/** Part of a longer buffer as a cell. */
export const cellAt = (values: Uint8Array, at: number, size: number): Cell => ({
  bytes: values.subarray(at, at + size),
  view: new DataView(values.buffer, values.byteOffset + at, size),
});

// The upper half of an id as a number: no bigint is made on the way to it, which would cost as much as the crossing
// into the addon (measured: scripts/bench).
const word = new BigUint64Array(1);
const halves = new Uint32Array(word.buffer);

/** The size field of an id, bits 55:52: the register has 1 << size bytes. Bits beyond the 64th are not looked at. */
export function sizeField(id: bigint): number {
  word[0] = id;
  return ((halves[1] as number) >>> 20) & 0xf;
}

/** How many bytes the values of these registers take, one after the other. */
export function totalBytes(ids: BigUint64Array): number {
  const words = new Uint32Array(ids.buffer, ids.byteOffset, 2 * ids.length);
  let total = 0;
  for (let i = 0; i < ids.length; i++) {
    const size = ((words[2 * i + 1] as number) >>> 20) & 0xf;
    if (size > 8) checkId("ids", ids[i]);
    total += 1 << size;
  }
  return total;
}

/** The value of the register of `size` bytes that lies at `at`. */
export function readValue({ bytes, view }: Cell, at: number, size: number): RegValue {
  if (size === 8) return view.getBigUint64(at, true);
  if (size === 4) return view.getUint32(at, true);
  if (size === 2) return view.getUint16(at, true);
  if (size === 1) return view.getUint8(at);
  return bytes.slice(at, at + size);
}

const wrongType = (id: bigint, size: number, got: string): TypeError => {
  checkId("setReg", id); // a wrong id has no width to speak of
  const takes = size > 8 ? `a Uint8Array of ${size} bytes` : size === 8 ? "a bigint" : "a number";
  return new TypeError(`setReg ${idText(id)}: a register of ${8 * size} bits takes ${takes}, got ${got}`);
};

/** Writes a value to a cell as wide as the register. TypeError or RangeError names the register. */
export function writeValue({ bytes, view }: Cell, value: unknown, id: bigint): void {
  const size = bytes.length;
  if (size === 8) {
    if (typeof value !== "bigint") throw wrongType(id, size, describe(value));
    if (value < 0n || value >> 64n !== 0n) {
      throw new RangeError(`setReg ${idText(id)}: the value must be from 0 to 2^64-1, got ${value}`);
    }
    view.setBigUint64(0, value, true);
  } else if (size > 8) {
    if (!(value instanceof Uint8Array)) throw wrongType(id, size, describe(value));
    if (value.length !== size) throw wrongType(id, size, `${value.length} bytes`);
    bytes.set(value);
  } else {
    if (typeof value !== "number") throw wrongType(id, size, describe(value));
    if (!Number.isInteger(value) || value < 0 || value >= 2 ** (8 * size)) {
      throw new RangeError(
        `setReg ${idText(id)}: the value must be an integer from 0 to ${2 ** (8 * size) - 1}, got ${value}`,
      );
    }
    if (size === 4) view.setUint32(0, value, true);
    else if (size === 2) view.setUint16(0, value, true);
    else view.setUint8(0, value);
  }
}

// What an errno means for a register, by the space of its id (bits 27:16). The first row that fits is used.
// Documentation/virt/kvm/api.rst 4.68, 4.84; arm/fw-pseudo-registers.rst.
interface Cause {
  readonly errno: ErrnoName;
  readonly call?: "KVM_GET_ONE_REG" | "KVM_SET_ONE_REG";
  readonly fits: (id: bigint) => boolean;
  readonly help: string;
}
const inSpace = (space: bigint) => (id: bigint) => ((id >> 16n) & 0xfffn) === space;
const VLS = 0x6060_0000_0015_ffffn;
const SET = "KVM_SET_ONE_REG";
// biome-ignore format: table
const causes: readonly Cause[] = [
  { errno: "EINVAL", fits: (id) => id >> 56n === 0x40n, help: "a register of 32-bit ARM hosts; arm64 kernels have none of them" },
  { errno: "EPERM", call: SET, fits: (id) => id === VLS, help: 'the vector lengths are fixed by vcpu.finalize("sve")' },
  { errno: "EPERM", fits: inSpace(0x15n), help: 'SVE is not finalized: call vcpu.finalize("sve") first' },
  { errno: "EINVAL", call: SET, fits: (id) => id === VLS, help: "the set must be what the host supports, cut off at some length" },
  { errno: "EBUSY", call: SET, fits: inSpace(0x13n), help: "ID registers are frozen once a vCPU of the VM has run" },
  { errno: "EINVAL", call: SET, fits: inSpace(0x13n), help: "the value promises what the host, or this VM's configuration, lacks" },
  { errno: "EBUSY", call: SET, fits: inSpace(0x16n), help: "firmware features are frozen once a vCPU of the VM has run" },
  { errno: "EINVAL", call: SET, fits: inSpace(0x16n), help: "this kernel does not have one of the services" },
  { errno: "EINVAL", fits: (id) => id >> 20n === 0x6040_0000_001n, help: "V registers are hidden on a vCPU with SVE: use the Z registers" },
  { errno: "ENOENT", fits: () => true, help: "this vCPU has no such register" },
];

/** Which register a refusal was about, and what to do, where the register's space tells. */
export function registerSubject(id: bigint, positiveErrno: number, call: string): { what: string; help?: string } {
  const cause = causes.find(
    (c) => errno(c.errno) === positiveErrno && (c.call === undefined || c.call === call) && c.fits(id),
  );
  return cause === undefined ? { what: idText(id) } : { what: idText(id), help: cause.help };
}
