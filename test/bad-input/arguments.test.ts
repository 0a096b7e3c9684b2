// Each public method with each of its arguments wrong: a TypeError or RangeError that names the argument, before the
// kernel is asked, and nothing that breaks.

import assert from "node:assert/strict";
import { Device } from "../../lib/device.js";
import { EventFd } from "../../lib/eventfd.js";
import { Kvm } from "../../lib/kvm.js";
import { GuestMemory } from "../../lib/memory.js";
import { Vcpu } from "../../lib/vcpu.js";
import { Vm } from "../../lib/vm.js";
import { skip } from "../skip.js";
import { onEveryBackend } from "../support/backends.js";
import { invoke, nameOf } from "./invoke.js";
import {
  deviceMembers,
  eventFdMembers,
  kvmMembers,
  kvmStatics,
  type Member,
  type Members,
  memoryMembers,
  type Subject,
  vcpuMembers,
  vmMembers,
} from "./members.js";
import { makeSubject } from "./subject.js";

/** The classes, with the table of each and which of a subject it is about. */
const classes = [
  ["Kvm", Kvm.prototype, kvmMembers, (subject: Subject) => subject.kvm],
  ["Vm", Vm.prototype, vmMembers, (subject: Subject) => subject.vm],
  ["Vcpu", Vcpu.prototype, vcpuMembers, (subject: Subject) => subject.cpu],
  ["Device", Device.prototype, deviceMembers, (subject: Subject) => subject.device],
  ["GuestMemory", GuestMemory.prototype, memoryMembers, (subject: Subject) => subject.memory],
  ["EventFd", EventFd.prototype, eventFdMembers, (subject: Subject) => subject.event],
] as const;

/** The members that a table must have a row for. */
const membersOf = (object: object): string[] =>
  Reflect.ownKeys(object)
    .filter((key) => !["constructor", "length", "name", "prototype"].includes(String(key)))
    .map(nameOf)
    .sort();

/** `value` with what is at `path` replaced. */
function replaced(value: unknown, path: readonly string[], by: unknown): unknown {
  const [key, ...rest] = path;
  if (key === undefined) return by;
  const copy = (Array.isArray(value) ? [...value] : { ...(value as object) }) as Record<string, unknown>;
  copy[key] = replaced(copy[key], rest, by);
  return copy;
}

/** What was wrong with the answer to a wrong argument; undefined: nothing. */
function complaint(call: () => unknown, argument: string): string | undefined {
  let given: unknown;
  try {
    given = call();
  } catch (error) {
    if (!(error instanceof TypeError) && !(error instanceof RangeError)) return `threw ${error}`;
    // V8's own words are no clear error.
    if (/Cannot |undefined is not|is not (iterable|a function)|Invalid/.test(error.message)) return `threw ${error}`;
    return error.message.includes(argument) ? undefined : `does not name ${argument}: ${error.message}`;
  }
  return `was taken, and gave ${typeof given}`;
}

onEveryBackend("wrong arguments", (host) => {
  for (const [className, prototype, members] of classes) {
    it(`every member of ${className} has a row`, () => {
      assert.deepEqual(membersOf(prototype), Object.keys(members).sort());
    });
  }

  it("every static member of Kvm has a row", () => {
    assert.deepEqual(membersOf(Kvm), Object.keys(kvmStatics).sort());
  });

  const test = (title: string, name: string, member: Member, targetOf: (subject: Subject) => object | undefined) => {
    for (const [path, argument, wrongValues] of member.takes ?? []) {
      it(`${title} with a wrong ${argument} (argument ${path}) says so`, function () {
        const subject = makeSubject(host);
        const target = targetOf(subject);
        if (target === undefined) skip(this, "the host has no vGICv3");
        const good = member.good?.(subject) ?? [];
        const complaints = Object.entries(wrongValues).flatMap(([label, value]) => {
          const args = replaced(good, path.split("."), value) as unknown[];
          const what = complaint(() => invoke(target, name, args), argument);
          return what === undefined ? [] : [`${label}: ${what}`];
        });
        assert.deepEqual(complaints, []);
      });
    }
  };

  const testAll = (className: string, members: Members, targetOf: (subject: Subject) => object | undefined) => {
    for (const [name, member] of Object.entries(members)) test(`${className}.${name}`, name, member, targetOf);
  };
  testAll("Kvm", kvmStatics, () => Kvm);
  for (const [className, , members, targetOf] of classes) testAll(className, members, targetOf);
});
