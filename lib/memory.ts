// A memory slot and its bytes. Documentation/virt/kvm/api.rst 4.35 KVM_SET_USER_MEMORY_REGION.
import { byteCount, bytes as bytesOf, flag, u32, u64 } from "./arguments.js";
import type { Mapping, VmFd } from "./backend.js";
import { KvmError, refuse } from "./errors.js";
import { KVM_MEM, PAGE_BYTES } from "./uapi/constants.js";
import { errno } from "./uapi/errno.js";

/** What a slot is, besides its bytes. */
export interface SlotOptions {
  readonly slot: number;
  readonly at: bigint;
  readonly readonly: boolean;
  readonly logDirty: boolean;
  /** A guest_memfd and the place in it. */
  readonly guestMemfd: { readonly fd: number; readonly offset: bigint } | undefined;
}

const hex = (value: bigint): string => `0x${value.toString(16)}`;

/** Guest memory: a slot of the VM, and its bytes as this process sees them. Made by `vm.addMemory`. */
export class GuestMemory {
  /** The bytes of the slot, shared with the guest. They stay valid after `remove()`; the guest then no longer sees them. */
  readonly bytes: Uint8Array;
  readonly slot: number;
  readonly readonly: boolean;
  readonly #vm: VmFd;
  readonly #mapping: Mapping;
  readonly #guestMemfd: SlotOptions["guestMemfd"];
  #at: bigint;
  #logDirty: boolean;
  #removed = false;
  readonly #forget: () => void;

  constructor(vm: VmFd, mapping: Mapping, options: SlotOptions, forget: () => void) {
    this.#vm = vm;
    this.#mapping = mapping;
    this.#at = options.at;
    this.#logDirty = options.logDirty;
    this.#guestMemfd = options.guestMemfd;
    this.#forget = forget;
    this.slot = options.slot;
    this.readonly = options.readonly;
    this.bytes = new Uint8Array(mapping.buffer, mapping.offset, mapping.bytes);
    this.#set(this.#at, this.#logDirty, BigInt(mapping.bytes));
  }

  /** Guest physical address of the first byte. */
  get at(): bigint {
    return this.#at;
  }

  /** Whether the slot logs dirty pages. */
  get logDirty(): boolean {
    return this.#logDirty;
  }

  set logDirty(on: boolean) {
    flag("logDirty", on);
    this.#set(this.#at, on, BigInt(this.bytes.length));
    this.#logDirty = on;
  }

  /** Moves the slot to another guest address. */
  move(at: bigint): void {
    u64("at", at);
    this.#set(at, this.#logDirty, BigInt(this.bytes.length));
    this.#at = at;
  }

  /**
   * KVM_GET_DIRTY_LOG: one bit for each 4 KiB page, bit 0 of byte 0 the first. Clears the log, unless the capability
   * MANUAL_DIRTY_LOG_PROTECT2 is enabled.
   */
  dirtyLog(): Uint8Array {
    const bitmap = new Uint8Array(Math.ceil(this.bytes.length / PAGE_BYTES / 64) * 8);
    try {
      this.#vm.getDirtyLog(this.slot, bitmap);
    } catch (error) {
      refuse(error, this.#subject());
    }
    return bitmap;
  }

  /**
   * KVM_CLEAR_DIRTY_LOG of the pages whose bits are set in `bitmap`, bit 0 being `firstPage` (a multiple of 64).
   * `pages`: how many the bitmap speaks of, a multiple of 64 unless it reaches the slot's end.
   */
  clearDirtyLog(firstPage: number, pages: number, bitmap: Uint8Array): void {
    byteCount("firstPage", firstPage);
    u32("pages", pages);
    bytesOf("bitmap", bitmap, { atLeast: Math.ceil(pages / 64) * 8 });
    try {
      this.#vm.clearDirtyLog(this.slot, BigInt(firstPage), pages, bitmap);
    } catch (error) {
      refuse(error, this.#subject());
    }
  }

  /** The numbers of the pages that the guest has written since the log was last cleared. */
  *dirtyPages(): Generator<number> {
    for (const [i, byte] of this.dirtyLog().entries()) {
      for (let bit = 0; bit < 8; bit++) if (byte & (1 << bit)) yield i * 8 + bit;
    }
  }

  /** Takes the slot out of the guest. A second call does nothing. */
  remove(): void {
    if (this.#removed || this.#vm.closed) return;
    this.#set(this.#at, this.#logDirty, 0n);
    this.#removed = true;
    this.#mapping.close();
    this.#forget();
  }

  #set(at: bigint, logDirty: boolean, size: bigint): void {
    if (this.#removed)
      throw new KvmError(errno("EBADF"), "KVM_SET_USER_MEMORY_REGION", {
        what: `slot ${this.slot}`,
        help: "it was removed",
      });
    const flags =
      (logDirty ? KVM_MEM.LOG_DIRTY_PAGES : 0) |
      (this.readonly ? KVM_MEM.READONLY : 0) |
      (this.#guestMemfd ? KVM_MEM.GUEST_MEMFD : 0);
    try {
      if (this.#guestMemfd) {
        const { fd, offset } = this.#guestMemfd;
        this.#vm.setUserMemoryRegion2(this.slot, flags, at, size, this.#mapping, 0n, fd, offset);
      } else this.#vm.setUserMemoryRegion(this.slot, flags, at, size, this.#mapping, 0n);
    } catch (error) {
      refuse(error, this.#subject(at));
    }
  }

  #subject(at = this.#at): { what: string } {
    return { what: `slot ${this.slot} at ${hex(at)}, ${this.bytes.length} bytes` };
  }
}
