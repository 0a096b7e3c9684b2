// Arm PrimeCell real-time clock PL031 (DDI 0224): seconds since 1970, without the alarm's interrupt line.
import { type Device, primeCellId } from "./device.js";

export const PL031_AT = 0x0901_0000n;

const RTCDR = 0x00;
const RTCMR = 0x04;
const RTCLR = 0x08;
const RTCCR = 0x0c;
const RTCIMSC = 0x10;

export class Pl031 implements Device {
  readonly name = "PL031";
  readonly at: bigint;
  readonly bytes = 0x1000;
  readonly #hostSeconds: () => number;
  /** What the guest has set the clock forward by. */
  #offset = 0;
  #match = 0;
  #load = 0;
  #mask = 0;

  constructor(at: bigint = PL031_AT, hostSeconds: () => number = () => Math.floor(Date.now() / 1000)) {
    this.at = at;
    this.#hostSeconds = hostSeconds;
  }

  read(offset: number): number {
    switch (offset) {
      case RTCDR:
        return (this.#hostSeconds() + this.#offset) >>> 0;
      case RTCMR:
        return this.#match;
      case RTCLR:
        return this.#load;
      case RTCCR:
        return 1; // once started it can not be stopped
      case RTCIMSC:
        return this.#mask;
      default:
        return primeCellId(offset, 0x031, 0) ?? 0;
    }
  }

  write(offset: number, value: number): void {
    if (offset === RTCMR) this.#match = value;
    else if (offset === RTCIMSC) this.#mask = value & 1;
    else if (offset === RTCLR) {
      this.#load = value;
      this.#offset = value - this.#hostSeconds();
    }
  }
}
