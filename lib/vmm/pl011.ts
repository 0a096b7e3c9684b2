// Arm PrimeCell UART PL011 (DDI 0183): what a console needs. Sending is instant; what was received waits in a queue.
import { CLOCK_PHANDLE } from "./board.js";
import { type Device, type DeviceHost, type DeviceNode, primeCellId } from "./device.js";
import { PL011_AT } from "./memory-map.js";

const UARTDR = 0x00;
const UARTFR = 0x18;
const UARTFBRD = 0x28;
const UARTLCR_H = 0x2c;
const UARTCR = 0x30;
const UARTIFLS = 0x34;
const UARTIMSC = 0x38;
const UARTRIS = 0x3c;
const UARTMIS = 0x40;
const UARTICR = 0x44;

const FR_RXFE = 1 << 4;
const FR_TXFE = 1 << 7;
const INT_RX = 1 << 4;
const INT_TX = 1 << 5;

// Registers that read back the bits written to them: offset, bits, reset value. DDI 0183 table 3-1.
const plain = new Map([
  [0x20, [0xff, 0]], // UARTILPR
  [0x24, [0xffff, 0]], // UARTIBRD
  [UARTFBRD, [0x3f, 0]],
  [UARTLCR_H, [0xff, 0]],
  [UARTCR, [0xff87, 0x300]],
  [UARTIFLS, [0x3f, 0x12]],
  [UARTIMSC, [0x7ff, 0]],
  [0x48, [0x7, 0]], // UARTDMACR
] as const);

export interface Pl011Options {
  /** Gets each byte that the guest writes. */
  readonly send: (byte: number) => void;
  readonly at?: bigint;
  /**
   * When what was received can be read: at once, as guests need that poll; or while the receive interrupt is enabled,
   * since Linux throws away what it finds when it opens the port. Default: at once.
   */
  readonly receives?: "always" | "with-interrupt";
}

export class Pl011 implements Device {
  readonly name = "PL011";
  readonly at: bigint;
  readonly bytes = 0x1000;
  readonly node: DeviceNode = {
    name: "pl011",
    properties: {
      compatible: ["arm,pl011", "arm,primecell"],
      clocks: [CLOCK_PHANDLE, CLOCK_PHANDLE],
      "clock-names": ["uartclk", "apb_pclk"],
    },
  };
  readonly #registers = new Map<number, number>();
  readonly #send: (byte: number) => void;
  readonly #receives: "always" | "with-interrupt";
  /** Received and not yet read: the bytes of the first from `#read` on, then the others. */
  readonly #received: Uint8Array[] = [];
  #read = 0;
  #sent = false;
  #host: DeviceHost | undefined;

  constructor({ send, at = PL011_AT, receives = "always" }: Pl011Options) {
    this.#send = send;
    this.#receives = receives;
    this.at = at;
  }

  connect(host: DeviceHost): void {
    this.#host = host;
  }

  /** Bytes for the guest to read. */
  receive(bytes: Uint8Array): void {
    if (bytes.length > 0) this.#received.push(bytes.slice());
    this.#signal();
  }

  /** Whether the guest has yet to read what was received. */
  get unread(): boolean {
    return this.#received.length > 0;
  }

  /** Whether the guest wants to be told of what is received. */
  get listening(): boolean {
    return (this.read(UARTIMSC) & INT_RX) !== 0;
  }

  get #readable(): boolean {
    return this.unread && (this.#receives === "always" || this.listening);
  }

  get #interrupts(): number {
    return (this.#readable ? INT_RX : 0) | (this.#sent ? INT_TX : 0);
  }

  #signal(): void {
    this.#host?.setInterrupt(this.read(UARTMIS) !== 0);
  }

  #take(): number {
    const [first] = this.#received;
    if (first === undefined || !this.#readable) return 0;
    const byte = first[this.#read++] as number;
    if (this.#read === first.length) {
      this.#received.shift();
      this.#read = 0;
    }
    this.#signal();
    return byte;
  }

  read(offset: number): number {
    switch (offset) {
      case UARTDR:
        return this.#take();
      case UARTFR:
        return FR_TXFE | (this.#readable ? 0 : FR_RXFE);
      case UARTRIS:
        return this.#interrupts;
      case UARTMIS:
        return this.#interrupts & this.read(UARTIMSC);
      default:
        return this.#registers.get(offset) ?? plain.get(offset as 0x20)?.[1] ?? primeCellId(offset, 0x011, 1) ?? 0;
    }
  }

  write(offset: number, value: number): void {
    if (offset === UARTDR) {
      this.#sent = true;
      this.#send(value & 0xff);
    } else if (offset === UARTICR) {
      if (value & INT_TX) this.#sent = false;
    } else {
      const row = plain.get(offset as 0x20);
      if (row !== undefined) this.#registers.set(offset, value & row[0]);
    }
    this.#signal();
  }
}
