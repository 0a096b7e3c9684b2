// Which host to play: a bundled capture by name, a file, or a capture at hand.

import { readdirSync, readFileSync, statSync } from "node:fs";
import type { Kernel } from "../../arm64/sysreg-row.js";
import type { SysRegName } from "../../arm64/sysregs.js";
import type { HostCapture } from "../../capture-format.js";
import { builtInHost } from "./built-in.js";
import { checkCapture, MOST_BYTES, parseCapture } from "./capture.js";
import { capturedHost } from "./captured.js";
import { withinEngine } from "./engine-limits.js";
import type { Host } from "./host.js";

/** The captures lie with the sources: they are data, nothing compiles them. */
const folder = new URL("../../../../lib/model/host/captures/", import.meta.url);

/** A bundled capture's name, a file of one, or a capture itself. */
export type HostChoice = string | { readonly file: string | URL } | HostCapture;

/** The names of the bundled captures. */
export function bundledHosts(): string[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith(".json"))
    .map((name) => name.slice(0, -".json".length))
    .sort();
}

function bundledHost(name: string): HostCapture {
  const names = bundledHosts();
  if (!names.includes(name)) {
    throw new RangeError(
      `model.host must be a bundled host (${names.join(", ")}), got ${JSON.stringify(name.slice(0, 60))}`,
    );
  }
  return parseCapture(readFileSync(new URL(`${name}.json`, folder)), name);
}

function hostFromFile(file: unknown): HostCapture {
  if (typeof file !== "string" && !(file instanceof URL))
    throw new TypeError("model.host.file must be a path or a URL");
  const stat = statSync(file);
  // Reading a pipe or a device may never end.
  if (!stat.isFile()) throw new TypeError(`model.host.file: ${String(file)} is no regular file`);
  if (stat.size > MOST_BYTES) {
    throw new RangeError(
      `model.host.file: a capture has at most ${MOST_BYTES} bytes, ${String(file)} has ${stat.size}`,
    );
  }
  return parseCapture(readFileSync(file));
}

/** The capture that is meant, checked. */
function captureOf(choice: HostChoice): HostCapture {
  if (typeof choice === "string") return bundledHost(choice);
  if (typeof choice !== "object" || choice === null) {
    throw new TypeError(`model.host must be the name of a bundled host, { file }, or a capture, got ${String(choice)}`);
  }
  return "file" in choice ? hostFromFile(choice.file) : checkCapture(choice);
}

export interface ChosenHost {
  readonly host: Host;
  readonly kernel: Kernel;
  /** What chooses the same host on another thread, even when the file has changed. */
  readonly choice: string | HostCapture;
}

function cached<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const known = map.get(key);
  if (known !== undefined) return known;
  const made = make();
  map.set(key, made);
  return made;
}

/** The same host, asked again and again: what it said once it says at once. */
function remembered(host: Host): Host {
  const values = new Map<SysRegName, bigint>();
  const limits = new Map<number, Map<SysRegName, bigint>>();
  return {
    ...host,
    value: (register) => cached(values, register, () => host.value(register)),
    limit(register, features, mte) {
      const ofVm = cached(limits, mte ? -1 - features : features, () => new Map<SysRegName, bigint>());
      return cached(ofVm, register, () => host.limit(register, features, mte));
    },
  };
}

/** Bundled hosts by name and use: a VM must not wait for one to be read again. */
const ready = new Map<string, ChosenHost>();

/** The host to play: exactly the captured one, or as much of it as the engine can run. */
export function chosenHost(choice: HostChoice, use: "exact" | "within-engine"): ChosenHost {
  const key = typeof choice === "string" ? `${use} ${choice}` : null;
  const known = key === null ? undefined : ready.get(key);
  if (known !== undefined) return known;
  const capture = captureOf(choice);
  const exact = capturedHost(capture);
  const made: ChosenHost = {
    host: remembered(use === "exact" ? exact : withinEngine(exact, builtInHost)),
    kernel: capture.kernel.contract,
    choice: typeof choice === "string" ? choice : capture,
  };
  if (key !== null) ready.set(key, made);
  return made;
}
