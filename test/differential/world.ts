// One of the two sides: the objects that a sequence has made on one backend, and what its ops come to there.

import type { DeviceFd, EventFd, Mapping, SystemFd, VcpuFd, VmFd } from "../../lib/backend.js";
import { isRefusal } from "../../lib/errors.js";
import { errnoName } from "../../lib/uapi/errno.js";
import { isRef, isWithFds, type Op, type Value } from "./op.js";
import { perform as performRun, type RunPlan } from "./running.js";
import { type Answer, verbs } from "./verbs.js";

export interface Part {
  readonly name: string;
  readonly bytes: Uint8Array;
}

export interface Outcome {
  /** The errno's name, or that of JavaScript's error; null: it went well. */
  readonly threw: string | null;
  readonly value: number | bigint;
  /** Bytes may be those of live memory: they are compared before the next op. */
  readonly parts: readonly Part[];
}

/** An op whose object, or an object that it is given, was never made or is not open. */
export const absent: Outcome = { threw: "absent", value: 0, parts: [] };

export type SideObject = SystemFd | VmFd | VcpuFd | DeviceFd | Mapping | EventFd | { readonly fd: number };

const NO_FD = -1;

const nothing: readonly Part[] = [];

export function threw(error: unknown): string {
  if (isRefusal(error)) return errnoName(error.errno);
  if (error instanceof TypeError || error instanceof RangeError) return error.name;
  throw error;
}

function outcomeOf(answer: Answer): Outcome {
  if (answer === undefined) return { threw: null, value: 0, parts: nothing };
  if (typeof answer === "number" || typeof answer === "bigint") return { threw: null, value: answer, parts: nothing };
  if ("made" in answer) return { threw: null, value: 1, parts: nothing };
  const bytes =
    answer instanceof BigUint64Array ? new Uint8Array(answer.buffer, answer.byteOffset, answer.byteLength) : answer;
  return { threw: null, value: bytes.length, parts: [{ name: "bytes", bytes }] };
}

export class World {
  readonly #objects = new Map<string, SideObject>();
  /** Eventfds and the like are numbers to the kernel; what was closed has one that nothing else can get. */
  readonly #fds = new Map<string, number>();

  constructor(system: SystemFd) {
    this.#objects.set("kvm", system);
  }

  get(name: string): SideObject | undefined {
    return this.#objects.get(name);
  }

  perform(op: Op, plan: RunPlan): Outcome {
    const object = this.#objects.get(op.on);
    if (object === undefined) return absent;
    const args: unknown[] = [];
    for (const value of op.args) {
      const argument = this.#resolve(value);
      if (argument === undefined) return absent;
      args.push(argument);
    }
    const row = verbs[op.verb];
    try {
      if (row === undefined) return performRun(this, op.verb, object as VcpuFd, args, plan);
      const answer = row.perform(object as never, ...args) as Answer;
      if (op.makes !== undefined && typeof answer === "object" && "made" in answer) {
        this.#objects.set(op.makes, answer.made as SideObject);
        if ("fd" in answer.made) this.#fds.set(op.makes, answer.made.fd as number);
      }
      if (op.verb === "eventfd.close") this.#fds.set(op.on, NO_FD);
      return outcomeOf(answer);
    } catch (error) {
      return { threw: threw(error), value: 0, parts: nothing };
    }
  }

  #resolve(value: Value): unknown {
    if (typeof value !== "object" || value === null || value instanceof Uint8Array) return value;
    if (isRef(value)) {
      const object = this.#objects.get(value.ref);
      return object !== undefined && "fd" in object && !("signal" in object) ? object.fd : object;
    }
    if (!isWithFds(value)) return undefined;
    const bytes = value.bytes.slice();
    for (const [offset, name] of value.fds) {
      const fd = this.#fds.get(name);
      if (fd === undefined) return undefined;
      new DataView(bytes.buffer).setInt32(offset, fd, true);
    }
    return bytes;
  }

  /** What was made last is closed first. */
  close(): void {
    this.#objects.delete("kvm");
    for (const object of [...this.#objects.values()].reverse()) if ("close" in object) object.close();
    this.#objects.clear();
  }
}
