// mmap(2) of the model: pages of the VM's own linear memory. A userspace address is a byte offset in that memory.

import { closeSync, fstatSync, openSync, readSync, statfsSync } from "node:fs";
import type { Mapping, MappingRequest } from "../backend.js";
import { Refused } from "../errors.js";
import { PAGE_BYTES } from "../uapi/constants.js";
import type { ErrnoName } from "../uapi/errno.js";
import { errnos } from "../uapi/errno.js";
import type { EventFds } from "./eventfd.js";
import { findGuestMemfd, guestMemfdAllocation, guestMemfdBytes, guestMemfdHas } from "./guest-memfd.js";
import type { VmState } from "./vm-state.js";

/** TMPFS_MAGIC: of the file systems only Linux' tmpfs has pages with tags. */
const TMPFS = 0x0102_1994;

export class ModelMapping implements Mapping {
  readonly vm: VmState;
  readonly allocation: number;
  readonly offset: number;
  /** 1: mapped without PROT_WRITE; the guest's stores fail with EFAULT. */
  readonly readonly: number;
  /** 1: the memory cannot hold MTE tags. */
  readonly untaggable: number;
  #bytes: number;

  /** `from`: where in the allocation the mapping begins. */
  constructor(vm: VmState, allocation: number, bytes: number, readonly: number, untaggable: number, from = 0) {
    this.vm = vm;
    this.allocation = allocation;
    this.offset = vm.allocationOffset(allocation) + from;
    this.readonly = readonly;
    this.untaggable = untaggable;
    this.#bytes = bytes;
  }

  get buffer(): SharedArrayBuffer {
    return this.vm.bufferTo(this.offset + this.#bytes) as SharedArrayBuffer;
  }

  /** 0 once closed. */
  get bytes(): number {
    return this.#bytes;
  }

  close(): void {
    if (this.#bytes === 0) return;
    this.#bytes = 0;
    this.vm.locked(() => this.vm.release(this.allocation));
  }
}

/** Pages for memory slots. A private file mapping is a copy of the file. */
export function map(vm: VmState, fds: EventFds, request: MappingRequest): ModelMapping {
  const { bytes } = request;
  if (!Number.isSafeInteger(bytes) || bytes <= 0 || bytes % PAGE_BYTES !== 0) {
    throw new RangeError(`map: bytes must be a positive multiple of ${PAGE_BYTES}, got ${bytes}`);
  }
  if (request.kind === "guest-memfd") return mapGuestMemfd(vm, fds, request);
  if (request.kind !== "file") return new ModelMapping(vm, allocate(vm, bytes), bytes, 0, 0);
  if (request.shared && request.writable) throw new Refused("EOPNOTSUPP", "mmap");
  return mapFile(vm, bytes, request);
}

/** A guest_memfd's own bytes, which every mapping and every slot of it shares. */
function mapGuestMemfd(
  vm: VmState,
  fds: EventFds,
  { fd, offset, bytes }: Extract<MappingRequest, { kind: "guest-memfd" }>,
): ModelMapping {
  const memfd = findGuestMemfd(vm, fd);
  if (memfd === null) throw new Refused(fds.isDescriptor(fd) ? "EINVAL" : "EBADF", "mmap");
  const inside = Number.isSafeInteger(offset) && offset >= 0 && BigInt(offset + bytes) <= guestMemfdBytes(vm, memfd);
  if (!inside || offset % PAGE_BYTES !== 0) throw new Refused("EINVAL", "mmap");
  if (!guestMemfdHas(vm, memfd, "MMAP")) throw new Refused("ENODEV", "mmap");
  // What nobody has shared yet can be mapped, but whoever looks gets SIGBUS.
  if (!guestMemfdHas(vm, memfd, "INIT_SHARED")) throw new Refused("EFAULT", "mmap");
  return vm.locked(() => {
    const allocation = guestMemfdAllocation(vm, memfd, "mmap");
    vm.retain(allocation);
    vm.show(allocation);
    return new ModelMapping(vm, allocation, bytes, 0, 1, offset);
  });
}

function allocate(vm: VmState, bytes: number): number {
  return vm.locked(() => {
    const allocation = vm.allocate(bytes, "mmap");
    vm.show(allocation);
    return allocation;
  });
}

function mapFile(vm: VmState, bytes: number, request: Extract<MappingRequest, { kind: "file" }>): ModelMapping {
  const { path, offset, writable } = request;
  if (!Number.isSafeInteger(offset) || offset < 0 || offset % PAGE_BYTES !== 0) throw new Refused("EINVAL", "mmap");
  const file = system("open", () => openSync(path, "r"));
  try {
    const status = fstatSync(file);
    if (!status.isFile()) throw new Refused("ENODEV", "mmap");
    // Pages wholly behind the end of a file would be SIGBUS.
    if (Math.ceil(status.size / PAGE_BYTES) * PAGE_BYTES < offset + bytes) throw new Refused("EINVAL", "mmap");
    const untaggable = statfsSync(path).type === TMPFS ? 0 : 1;
    const mapping = new ModelMapping(vm, allocate(vm, bytes), bytes, writable ? 0 : 1, untaggable);
    const view = vm.view(mapping.offset, bytes);
    for (let at = 0; at < bytes; ) {
      const got = system("read", () => readSync(file, view, at, bytes - at, offset + at));
      if (got === 0) break;
      at += got;
    }
    return mapping;
  } finally {
    closeSync(file);
  }
}

/** Node's errors of system calls, in the model's shape. */
function system<T>(call: string, body: () => T): T {
  try {
    return body();
  } catch (reason) {
    const code = (reason as NodeJS.ErrnoException).code;
    throw code !== undefined && code in errnos ? new Refused(code as ErrnoName, call) : reason;
  }
}
