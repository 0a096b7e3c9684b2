// eventfd(2) as irqfds and ioeventfds need it; the model has its own counterpart.
import { u64 } from "./arguments.js";
import type { EventFd as EventFdSeam } from "./backend.js";
import { refuse } from "./errors.js";

/** A 64-bit counter that KVM can signal (ioeventfd) or be signalled by (irqfd). */
export class EventFd implements Disposable {
  readonly #seam: EventFdSeam;

  /** Made by `kvm.createEventFd`. */
  constructor(seam: EventFdSeam) {
    this.#seam = seam;
  }

  /** The number that kvm_irqfd and kvm_ioeventfd take. */
  get fd(): number {
    return this.#seam.fd;
  }

  /** Adds `value` (default 1) to the counter. EAGAIN: it would exceed 2^64-2. */
  signal(value = 1n): void {
    u64("value", value);
    try {
      this.#seam.signal(value);
    } catch (error) {
      refuse(error);
    }
  }

  /** The counter's value, which becomes 0; 0n when nothing was signalled. */
  take(): bigint {
    try {
      return this.#seam.take();
    } catch (error) {
      refuse(error);
    }
  }

  /** Resolves with true when the counter is not 0, with false when the eventfd is closed first. Does not take. */
  wait(): Promise<boolean> {
    return this.#seam.wait();
  }

  close(): void {
    this.#seam.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
