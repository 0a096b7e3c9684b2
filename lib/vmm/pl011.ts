// Arm PrimeCell UART PL011 (DDI 0183): what a console needs. Sending is instant; what was received waits in a queue.
// There is no interrupt line: software polls, as early consoles do.
import { type Device, primeCellId } from "./device.js";

export const PL011_AT = 0x0900_0000n;

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

export class Pl011 implements Device {
  readonly name = "PL011";
  readonly at: bigint;
  readonly bytes = 0x1000;
  readonly #registers = new Map<number, number>();
  readonly #received: number[] = [];
  readonly #send: (byte: number) => void;
  #sent = false;

  /** `send` gets each byte that the guest writes. */
  constructor(send: (byte: number) => void, at: bigint = PL011_AT) {
    this.#send = send;
    this.at = at;
  }

  /** Bytes for the guest to read. */
  receive(bytes: Uint8Array): void {
    this.#received.push(...bytes);
  }

  get #interrupts(): number {
    return (this.#received.length > 0 ? INT_RX : 0) | (this.#sent ? INT_TX : 0);
  }

  read(offset: number): number {
    switch (offset) {
      case UARTDR:
        return this.#received.shift() ?? 0;
      case UARTFR:
        return FR_TXFE | (this.#received.length === 0 ? FR_RXFE : 0);
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
  }
}
