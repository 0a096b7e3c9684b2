// What a run has met: ioctls, their errnos, registers, device attributes, exits.

import { errnos } from "../../lib/uapi/errno.js";
import { run } from "../../lib/uapi/structs.js";
import type { Op } from "./op.js";
import { verbs } from "./verbs.js";
import type { Outcome } from "./world.js";

export class Coverage {
  readonly #counts = new Map<string, number>();
  /** Kinds of the devices that were made, by name. */
  readonly #devices = new Map<string, number>();

  take(op: Op, outcome: Outcome): void {
    const { threw, value } = outcome;
    if (threw === "absent") return;
    if (op.verb === "vm.createDevice" && op.makes !== undefined && threw === null) {
      this.#devices.set(op.makes, op.args[0] as number);
    }
    if (op.verb === "cpu.dump") this.#dump(outcome);
    else if (op.verb in verbs) this.#verb(op, threw);
    else this.#run(threw, Number(value), outcome.parts.find(({ name }) => name === "run")?.bytes);
  }

  #run(threw: string | null, errno: number, page: Uint8Array | undefined): void {
    if (threw !== null) this.#answer("KVM_RUN", threw);
    if (page === undefined) return;
    this.#answer("KVM_RUN", errno === 0 ? null : nameOf(errno));
    if (errno !== 0) return;
    this.#add(`exit ${new DataView(page.buffer, page.byteOffset).getUint32(run.exit_reason, true)}`);
  }

  #verb(op: Op, threw: string | null): void {
    this.#answer(verbs[op.verb]!.call, threw);
    const get = op.verb === "cpu.getOneReg";
    if ((get || op.verb === "cpu.setOneReg" || op.verb === "cpu.alterReg") && threw === null) {
      this.#add(`${get ? "get" : "set"} 0x${(op.args[0] as bigint).toString(16)}`);
    }
    if (op.verb.endsWith("DeviceAttr")) this.#attribute(op, threw);
  }

  #attribute({ verb, on, args }: Op, threw: string | null): void {
    const [kind, what] = verb.split(".");
    const group = args[0] as number;
    const attr = args[1] as bigint;
    const owner = kind === "device" ? `device ${this.#devices.get(on)}` : kind;
    // The rest of an attribute is a vCPU's affinity, or an offset of which there are too many.
    this.#add(`${what} ${owner} ${group} ${attr & 0xffffn}${threw === null ? "" : ` ${threw}`}`);
  }

  #dump({ parts, value }: Outcome): void {
    const list = parts[0]?.bytes;
    this.#answer("KVM_GET_REG_LIST", null);
    if (list === undefined || Number(value) * 8 !== list.length) return;
    const view = new DataView(list.buffer, list.byteOffset, list.byteLength);
    for (let at = 0; at < list.length; at += 8) this.#add(`get 0x${view.getBigUint64(at, true).toString(16)}`);
  }

  #answer(call: string, threw: string | null): void {
    this.#add(threw === null ? call : `${call} ${threw}`);
  }

  #add(key: string): void {
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1);
  }

  counts(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#counts);
  }
}

const names = new Map<number, string>(Object.entries(errnos).map(([name, [number]]) => [number, name]));
const nameOf = (errno: number): string => names.get(errno) ?? String(errno);
