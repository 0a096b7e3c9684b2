// Arm PrimeCell real-time clock PL031 (DDI 0224): seconds since 1970, and an alarm.
import { CLOCK_PHANDLE } from "./board.js";
import { type Device, type DeviceHost, type DeviceNode, primeCellId } from "./device.js";
import { PL031_AT } from "./memory-map.js";

const RTCDR = 0x00;
const RTCMR = 0x04;
const RTCLR = 0x08;
const RTCCR = 0x0c;
const RTCIMSC = 0x10;
const RTCRIS = 0x14;
const RTCMIS = 0x18;
const RTCICR = 0x1c;

/** The longest that a timer of Node's can wait. */
const MOST_TIMER_MS = 0x7fff_ffff;

export interface Pl031Options {
  readonly at?: bigint;
  /** Default: the host's clock. */
  readonly hostSeconds?: () => number;
}

export class Pl031 implements Device {
  readonly name = "PL031";
  readonly at: bigint;
  readonly bytes = 0x1000;
  readonly node: DeviceNode = {
    name: "pl031",
    properties: { compatible: ["arm,pl031", "arm,primecell"], clocks: CLOCK_PHANDLE, "clock-names": "apb_pclk" },
  };
  readonly #hostSeconds: () => number;
  /** What the guest has set the clock forward by. */
  #offset = 0;
  #match = 0;
  #load = 0;
  #mask = 0;
  #raw = 0;
  #alarm: NodeJS.Timeout | undefined;
  #host: DeviceHost | undefined;

  constructor({ at = PL031_AT, hostSeconds = () => Math.floor(Date.now() / 1000) }: Pl031Options = {}) {
    this.at = at;
    this.#hostSeconds = hostSeconds;
  }

  connect(host: DeviceHost): void {
    this.#host = host;
  }

  close(): void {
    clearTimeout(this.#alarm);
  }

  get #seconds(): number {
    return (this.#hostSeconds() + this.#offset) >>> 0;
  }

  /** The interrupt comes when the clock equals RTCMR next, up to 136 years from now. */
  #arm(): void {
    clearTimeout(this.#alarm);
    const milliseconds = ((this.#match - this.#seconds) >>> 0) * 1000;
    this.#alarm = setTimeout(
      () => {
        if (milliseconds > MOST_TIMER_MS) return this.#arm();
        this.#raw = 1;
        this.#signal();
      },
      Math.min(milliseconds, MOST_TIMER_MS),
    );
    // A guest that waits for nothing else is kept alive by its vCPU.
    this.#alarm.unref();
  }

  #signal(): void {
    this.#host?.setInterrupt((this.#raw & this.#mask) !== 0);
  }

  read(offset: number): number {
    switch (offset) {
      case RTCDR:
        return this.#seconds;
      case RTCMR:
        return this.#match;
      case RTCLR:
        return this.#load;
      case RTCCR:
        return 1; // once started it can not be stopped
      case RTCIMSC:
        return this.#mask;
      case RTCRIS:
        return this.#raw;
      case RTCMIS:
        return this.#raw & this.#mask;
      default:
        return primeCellId(offset, 0x031, 0) ?? 0;
    }
  }

  write(offset: number, value: number): void {
    if (offset === RTCMR) this.#match = value;
    else if (offset === RTCIMSC) this.#mask = value & 1;
    else if (offset === RTCICR) this.#raw &= ~value;
    else if (offset === RTCLR) {
      this.#load = value;
      this.#offset = value - this.#hostSeconds();
    }
    if (offset === RTCMR || offset === RTCLR) this.#arm();
    this.#signal();
  }
}
