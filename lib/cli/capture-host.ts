// A whole host, recorded through the public API: of a genuine KVM, or of the model.
import { CAPTURE_FORMAT, type Choice, type HostCapture } from "../capture-format.js";
import { type Kernel, type Kvm, vcpuFeatures } from "../index.js";
import { caps } from "../uapi/caps.js";
import { PAGE_BYTES } from "../uapi/constants.js";
import type { ErrnoName } from "../uapi/errno.js";
import { devicesOf, vcpuAttributesOf, vmAttributesOf } from "./capture-devices.js";
import { guestRegisters } from "./capture-guest.js";
import {
  answerOf,
  combinationsOf,
  hiddenFieldsOf,
  initAnswers,
  richest,
  vectorLengthsOf,
  writableMasksOf,
} from "./capture-registers.js";

export interface About {
  readonly note: string;
  readonly taken: string;
  readonly kernel: { readonly release: string; readonly contract: Kernel };
}

/** Beyond the capabilities of today. */
const CAPS = 300;

function capabilitiesOf(subject: Pick<Kvm, "has">): Map<string, number | ErrnoName> {
  const names = new Map<number, string>(Object.entries(caps).map(([name, number]) => [number, name]));
  const asked = Array.from({ length: CAPS }, (_, cap) => {
    const answer = answerOf(() => subject.has(cap));
    return [names.get(cap) ?? `cap ${cap}`, "refused" in answer ? answer.refused : answer.value] as const;
  });
  return new Map(asked);
}

export function captureHost(kvm: Kvm, about: About): HostCapture {
  using vm = kvm.createVm();
  const system = capabilitiesOf(kvm);
  const ofVm = capabilitiesOf(vm);
  const combinations = combinationsOf(kvm);
  const offered = richest(combinations);
  const vcpu = vcpuAttributesOf(kvm, without(offered, "mte", "el2", "el2-e2h0"));
  return {
    format: CAPTURE_FORMAT,
    ...about,
    pageBytes: PAGE_BYTES,
    runPageBytes: kvm.runPageBytes,
    capabilities: Object.fromEntries([...system].filter(([, value]) => value !== 0)),
    vmCapabilities: Object.fromEntries([...ofVm].filter(([name, value]) => system.get(name) !== value)),
    preferredTarget: vm.preferredTarget(),
    init: initAnswers(kvm, vcpuFeatures),
    vectorLengths: vectorLengthsOf(kvm),
    pmuTypes: vcpu.pmuTypes,
    guest: guestRegisters(kvm, offered),
    hiddenFields: hiddenFieldsOf(kvm),
    writableMasks: writableMasksOf(kvm),
    combinations,
    devices: devicesOf(kvm),
    vmAttributes: vmAttributesOf(kvm),
    vcpuAttributes: vcpu.attributes,
  };
}

const without = (picked: readonly Choice[], ...names: readonly Choice[]) =>
  picked.filter((choice) => !names.includes(choice));

const WIDTH = 120;

/** JSON with whatever fits on a line on one: short, and good to compare. `before`: what stands left of it. */
export function captureText(value: unknown, indent = "", before = 0): string {
  const flat = flatText(value);
  // Behind it there may be a comma.
  if (typeof value !== "object" || value === null || before + flat.length < WIDTH) return flat;
  const inner = `${indent}  `;
  const entries = Array.isArray(value)
    ? value.map((one) => captureText(one, inner, inner.length))
    : Object.entries(value).map(([name, one]) => {
        const key = `${JSON.stringify(name)}: `;
        return key + captureText(one, inner, inner.length + key.length);
      });
  const [open, close] = Array.isArray(value) ? "[]" : "{}";
  return `${open}\n${inner}${entries.join(`,\n${inner}`)}\n${indent}${close}`;
}

function flatText(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(flatText).join(", ")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const entries = Object.entries(value).map(([key, one]) => `${JSON.stringify(key)}: ${flatText(one)}`);
  return entries.length === 0 ? "{}" : `{ ${entries.join(", ")} }`;
}
