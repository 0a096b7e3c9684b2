// Reads captures of hosts: files that nobody vouches for. What is wrong is a TypeError or a RangeError that names the
// place in the file. Nothing here takes longer, or more memory, than in proportion to a file of bounded size.

import { fieldsOf } from "../../arm64/fields.js";
import { formatRegId, parseRegId } from "../../arm64/format.js";
import { bitsOf, type RegId } from "../../arm64/reg-id.js";
import { kernels } from "../../arm64/sysreg-row.js";
import { sysRegByName } from "../../arm64/sysregs.js";
import { vcpuFeatures } from "../../arm64/vcpu-features.js";
import {
  type AttributeAnswers,
  CAPTURE_FORMAT,
  type CapturedRegisters,
  type CapturedValue,
  type Combination,
  choices,
  choicesOf,
  type HostCapture,
} from "../../capture-format.js";
import { caps } from "../../uapi/caps.js";
import { PAGE_BYTES } from "../../uapi/constants.js";
import { type ErrnoName, errnos } from "../../uapi/errno.js";
import { VCPUS } from "../layout.js";
import { type Check, either, hex, integer, list, object, oneOf, record, text } from "./schema.js";

/** No capture of a real host comes near. */
export const MOST_BYTES = 1 << 20;
const MOST_REGISTERS = 1500;
const MOST_COMBINATIONS = 200;

const errnoName = oneOf(...(Object.keys(errnos) as ErrnoName[]));
const capNames = new Set<string>(Object.keys(caps));
const known = (name: string) => capNames.has(name) || /^cap \d{1,3}$/.test(name);
const capabilities = record(
  (name) => (known(name) ? either(["EINVAL"] as const, integer(-0x8000_0000, 0x7fff_ffff)) : undefined),
  300,
);

/** The names of formatRegId; each is checked once, however many combinations there are. */
const registerChecks = new Map<string, Check<CapturedValue>>();

function registerCheck(name: string): Check<CapturedValue> | undefined {
  const found = registerChecks.get(name);
  if (found !== undefined || name.length > 40) return found;
  let id: RegId;
  try {
    id = parseRegId(name);
  } catch {
    return undefined; // no register has this name
  }
  // One name for one register.
  if (formatRegId(id) !== name) return undefined;
  const check: Check<CapturedValue> = either(["volatile", null] as const, hex(bitsOf(id)));
  // Names of files that come later must not fill the memory.
  if (registerChecks.size < MOST_REGISTERS) registerChecks.set(name, check);
  return check;
}

const registers: Check<CapturedRegisters> = record(registerCheck, MOST_REGISTERS);

const combination: Check<Combination> = object(
  { features: list(oneOf(...vcpuFeatures), vcpuFeatures.length) },
  { mte: oneOf(true as const), refused: errnoName, registers },
);

const attributeAnswers: Check<AttributeAnswers> = record(
  (name) => (name === "ok" || Object.hasOwn(errnos, name) ? text(8192) : undefined),
  Object.keys(errnos).length + 1,
);
const word = /^[A-Za-z][\w +-]{0,40}$/;
const attributes = record((name) => (word.test(name) ? attributeAnswers : undefined), 64);
const place = /^(0x[0-9a-f]{1,8}(-0x[0-9a-f]{1,8})?|[A-Z]\w{0,40}(\+\d)?)$/;
const registerFile = record((name) => (place.test(name) ? hex(64) : undefined), 4096);
const device = object({
  attributes,
  registers: record((name) => (word.test(name) ? registerFile : undefined), 16),
});

const systemRegister = (name: string) => (sysRegByName(name) === undefined ? undefined : hex(64));
/** "ID_AA64PFR0_EL1.MPAM" */
const field = (name: string) => {
  const [register = "", part] = name.split(".", 2);
  return sysRegByName(register) !== undefined && fieldsOf(register).some((one) => one.name === part)
    ? integer(1, 15)
    : undefined;
};

const capture: Check<HostCapture> = object({
  format: oneOf(CAPTURE_FORMAT),
  note: text(4096),
  taken: text(200),
  kernel: object({ release: text(200), contract: oneOf(...kernels) }),
  // The model's pages, and kvm_run with the coalesced MMIO ring.
  pageBytes: integer(PAGE_BYTES, PAGE_BYTES),
  runPageBytes: integer(2 * PAGE_BYTES, 2 * PAGE_BYTES),
  capabilities,
  vmCapabilities: capabilities,
  preferredTarget: integer(0, 0xffff_ffff),
  init: record(
    (name) =>
      (vcpuFeatures as readonly string[]).includes(name) || /^bit \d{1,3}$/.test(name)
        ? either(["ok"] as const, errnoName)
        : undefined,
    300,
  ),
  vectorLengths: list(integer(1, 16), 16),
  pmuTypes: list(integer(0, 0xffff_ffff), 256),
  guest: record((name) => {
    const check = systemRegister(name);
    return check && either(["undefined"] as const, check);
  }, 64),
  hiddenFields: record(field, 64),
  writableMasks: (value, path) => (value === null ? null : record(systemRegister, 192)(value, path)),
  combinations: list(combination, MOST_COMBINATIONS),
  devices: record((name) => (word.test(name) ? device : undefined), 32),
  vmAttributes: attributes,
  vcpuAttributes: attributes,
});

/** What the model cannot do without. */
const needed = ["MIDR_EL1", "CTR_EL0", "ID_AA64PFR0_EL1", "ID_AA64DFR0_EL1", "ID_AA64MMFR0_EL1"];

function checkCombinations({ combinations, vectorLengths }: HostCapture, path: string): void {
  const [plain] = combinations;
  const isPlain = plain?.registers !== undefined && plain.features.length === 0 && !plain.mte && !plain.refused;
  if (!isPlain) throw new RangeError(`${path}[0]: must be the vCPU without features, with its registers`);
  for (const name of needed) {
    const value = plain.registers?.[name];
    if (value === undefined) throw new TypeError(`${path}[0].registers.${name}: is missing`);
    if (value === null || value === "volatile") {
      throw new RangeError(`${path}[0].registers.${name}: must be a value, got ${value}`);
    }
  }
  const seen = new Set<string>();
  for (const [n, one] of combinations.entries()) {
    const made = choicesOf(one);
    const features = new Set(made.flatMap((choice): readonly string[] => choices[choice]));
    if (features.size !== one.features.length || !one.features.every((feature) => features.has(feature))) {
      throw new RangeError(`${path}[${n}].features: must be made of ${Object.keys(choices).join(", ")}`);
    }
    if (features.has("sve") && !one.refused && vectorLengths.length === 0) {
      throw new RangeError(`${path}[${n}].features: has sve, and the host has no vector lengths`);
    }
    const key = made.join(" ");
    if (seen.has(key)) throw new RangeError(`${path}[${n}]: stands there twice`);
    seen.add(key);
  }
}

const capBounds = {
  ARM_VM_IPA_SIZE: [32, 52],
  NR_VCPUS: [1, 0x1_0000],
  MAX_VCPUS: [1, VCPUS],
  GUEST_DEBUG_HW_BPS: [0, 16],
  GUEST_DEBUG_HW_WPS: [0, 16],
} as const;

/** Least and most of what guests read, where not every value makes sense. DC ZVA zeroes 2048 bytes at most. */
const guestBounds = { CNTFRQ_EL0: [1n, 0xffff_ffffn], DCZID_EL0: [0n, 9n] } as const;
const PROHIBITED = 1n << 4n;

function checkBounds(host: HostCapture, path: string): void {
  for (const [name, [least, most]] of Object.entries(capBounds)) {
    integer(least, most)(host.capabilities[name] ?? 0, `${path}.capabilities.${name}`);
  }
  for (const [name, [least, most]] of Object.entries(guestBounds)) {
    const text = host.guest[name] ?? "undefined";
    const value = text === "undefined" ? -1n : BigInt(text) & ~(name === "DCZID_EL0" ? PROHIBITED : 0n);
    if (value < least || value > most) throw new RangeError(`${path}.guest.${name}: must be ${least} to ${most}`);
  }
  if (host.vectorLengths.some((vq, n) => vq <= (host.vectorLengths[n - 1] ?? 0))) {
    throw new RangeError(`${path}.vectorLengths: must ascend`);
  }
}

/** A checked copy of a capture. */
export function checkCapture(value: unknown, path = "host"): HostCapture {
  const host = capture(value, path);
  checkCombinations(host, `${path}.combinations`);
  checkBounds(host, path);
  return host;
}

/** A capture from the bytes of its file. */
export function parseCapture(bytes: Uint8Array, path = "host"): HostCapture {
  if (bytes.length > MOST_BYTES) {
    throw new RangeError(`${path}: a capture has at most ${MOST_BYTES} bytes, this has ${bytes.length}`);
  }
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    throw new TypeError(`${path}: is no JSON: ${(error as Error).message}`);
  }
  return checkCapture(value, path);
}
