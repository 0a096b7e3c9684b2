// Each public method when its descriptor is closed, while its vCPU runs, after its VM died, and from a Worker: the
// kernel's errno, and nothing that breaks or leaks.

import assert from "node:assert/strict";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { Worker } from "node:worker_threads";
import { pc } from "../../lib/arm64/registers.js";
import { skip } from "../skip.js";
import { spin } from "../support/assemble.js";
import { onEveryBackend } from "../support/backends.js";
import { loadWords, untilRunning } from "../support/guest.js";
import { answer, assertRefused } from "../support/refusal.js";
import { answerTo, sweep } from "./invoke.js";
import {
  deviceMembers,
  eventFdMembers,
  kvmMembers,
  type Member,
  memoryMembers,
  type Subject,
  vcpuMembers,
  vmMembers,
} from "./members.js";
import { makeSubject } from "./subject.js";

/** The classes: table, the one of a subject that is tried, and what is closed to close it. */
const classes = [
  { className: "Kvm", members: kvmMembers, of: (s: Subject) => s.kvm, close: (s: Subject) => s.kvm.close() },
  { className: "Vm", members: vmMembers, of: (s: Subject) => s.vm, close: (s: Subject) => s.vm.close() },
  { className: "Vcpu", members: vcpuMembers, of: (s: Subject) => s.cpu, close: (s: Subject) => s.cpu.close() },
  {
    className: "Device",
    members: deviceMembers,
    of: (s: Subject) => s.device,
    close: (s: Subject) => s.device?.close(),
  },
  {
    className: "GuestMemory",
    members: memoryMembers,
    of: (s: Subject) => s.memory,
    close: (s: Subject) => s.vm.close(),
  },
  {
    className: "EventFd",
    members: eventFdMembers,
    of: (s: Subject) => s.event,
    close: (s: Subject) => s.event.close(),
  },
] as const;

const membersWhere = (members: Readonly<Record<string, Member>>, fits: (member: Member) => boolean): string[] =>
  Object.keys(members).filter((name) => fits(members[name] as Member));

onEveryBackend("a closed descriptor, through the public API,", (host) => {
  for (const { className, members, of, close } of classes) {
    it(`refuses every method of ${className} with EBADF, but those that need none`, async function () {
      const subject = makeSubject(host);
      const target = of(subject);
      if (target === undefined) skip(this, "the host has no vGICv3");
      close(subject);
      for (const name of Object.keys(members)) {
        const expected = members[name]?.closed === "own" ? "OK" : "EBADF";
        if (name !== "wait") assert.equal(await answerTo(target, name, members, subject), expected, name);
      }
    });
  }

  it("can be closed again, by close and by using", () => {
    const subject = makeSubject(host);
    for (const one of [subject.event, subject.device, subject.cpu, subject.vm, subject.kvm]) {
      one?.close();
      one?.close();
      one?.[Symbol.dispose]();
    }
  });

  it("of memory that was removed is EBADF to change, and can be removed again", () => {
    const { memory } = makeSubject(host);
    memory.remove();
    memory.remove();
    assertRefused("EBADF", () => memory.move(0x9000_0000n));
    assertRefused("EBADF", () => {
      memory.logDirty = false;
    });
    assert.equal(memory.bytes.length, 1 << 16);
  });
});

onEveryBackend("a vCPU that runs, through the public API,", (host) => {
  for (const name of membersWhere(vcpuMembers, (member) => member.running !== "own")) {
    it(`refuses ${name} with EBUSY`, async () => {
      const subject = makeSubject(host, { device: "none" });
      const { cpu, memory } = subject;
      loadWords(memory, 0, [spin]);
      cpu.setReg(pc, memory.at);
      const run = cpu.run();
      await untilRunning(cpu);
      const said = await answerTo(cpu, name, vcpuMembers, subject);
      cpu.kick();
      assert.equal((await run).reason, "interrupted");
      assert.equal(said, "EBUSY");
    });
  }

  it("does not hinder the verbs of its VM", async () => {
    const subject = makeSubject(host, { device: "none" });
    const { cpu, vm, memory } = subject;
    loadWords(memory, 0, [spin]);
    cpu.setReg(pc, memory.at);
    const run = cpu.run();
    await untilRunning(cpu);
    const said = [
      answer(() => vm.has("USER_MEMORY")),
      answer(() => host.keep(vm.createVcpu(5)).init()),
      answer(() => vm.addMemory({ at: 0x8000_0000n, bytes: 4096 })),
      answer(() => memory.dirtyLog()),
    ];
    cpu.kick();
    await run;
    assert.deepEqual(said, ["OK", "OK", "OK", "OK"]);
  });

  it("keeps running when its VM's descriptor is closed", async () => {
    const { cpu, vm, memory } = makeSubject(host, { device: "none" });
    loadWords(memory, 0, [spin]);
    cpu.setReg(pc, memory.at);
    const run = cpu.run();
    await untilRunning(cpu);
    vm.close();
    cpu.kick();
    assert.equal((await run).reason, "interrupted");
  });
});

onEveryBackend("a dead VM, through the public API,", (host) => {
  for (const { className, members, of } of classes) {
    if (["Kvm", "EventFd"].includes(className)) continue;
    it(`refuses every method of ${className} with EIO, but those that ask no descriptor`, async function () {
      const subject = makeSubject(host);
      const target = of(subject);
      if (target === undefined || subject.device === undefined) skip(this, "the host has no vGICv3 to kill a VM with");
      assertRefused("ENXIO", () => subject.cpu.runSync()); // its vGIC has no place
      for (const name of membersWhere(members, (member) => member.dead !== "own")) {
        assert.equal(await answerTo(target, name, members, subject), "EIO", name);
      }
    });
  }
});

onEveryBackend("a Worker", (host) => {
  it("gets the same answers from every method as the main thread", async () => {
    const [here, there] = [makeSubject(host), makeSubject(host)];
    const answers = async ({ vm, cpu }: Subject) => {
      cpu.immediateExit = true;
      const event = host.keep(host.kvm.createEventFd());
      const memory = vm.addMemory({ at: 0xa000_0000n, bytes: 4096, slot: 99 });
      const subject: Subject = { kvm: host.kvm, vm, cpu, memory, event, device: undefined };
      return { Vm: await sweep(vm, vmMembers, subject), Vcpu: await sweep(cpu, vcpuMembers, subject) };
    };
    there.cpu.immediateExit = true;
    const worker = new Worker(new URL("./sweep-worker.js", import.meta.url), {
      workerData: { vm: there.vm.handle, vcpu: there.cpu.handle, open: host.options },
    });
    const [[said]] = await Promise.all([once(worker, "message"), once(worker, "exit")]);
    // It asks the vCPUs that this very Vm object made.
    assert.equal(said.Vm.selectFeatures, "ENOEXEC");
    said.Vm.selectFeatures = "OK";
    assert.deepEqual(said, await answers(here));
  });
});

/** Descriptors of this process, once the garbage collector has taken what the sweep made and forgot. */
async function openDescriptors(): Promise<number> {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  for (let i = 0; i < 3; i++) {
    collect();
    await new Promise((resolve) => setImmediate(resolve)); // finalizers run in a turn of their own
  }
  return readdirSync("/proc/self/fd").length;
}

onEveryBackend("nothing leaks", (host) => {
  it("when everything is made, refused and closed again and again", async function () {
    if (process.platform !== "linux") skip(this, "descriptors are counted in /proc");
    this.timeout(60_000);
    const round = async (): Promise<void> => {
      const subject = makeSubject(host);
      for (const { members, of } of classes) {
        const target = of(subject);
        subject.cpu.immediateExit = true;
        if (target !== undefined) await sweep(target, members, subject);
      }
      host.closeAll();
    };
    await round();
    const before = await openDescriptors();
    for (let i = 0; i < 5; i++) await round();
    const after = await openDescriptors();
    // A descriptor of the event loop may come or go; a leak would be five of something.
    assert.ok(after <= before + 3, `${before} descriptors before, ${after} after`);
  });

  it("when calls that make something are refused", async function () {
    if (process.platform !== "linux") skip(this, "descriptors are counted in /proc");
    const { vm } = makeSubject(host);
    const before = await openDescriptors();
    for (let i = 0; i < 50; i++) {
      assertRefused("EINVAL", () => host.kvm.createVm({ ipaBits: 1 }));
      assertRefused("EEXIST", () => vm.createVcpu(0));
      assertRefused("ENODEV", () => vm.createDevice(0));
      assertRefused("EEXIST", () => vm.addMemory({ at: 0x4000_0000n, bytes: 4096 }));
    }
    const after = await openDescriptors();
    assert.ok(after <= before + 1, `${before} descriptors before, ${after} after`);
  });

  it("of eventfds, however many come and go", () => {
    const kvm = host.open();
    for (let i = 0; i < 5000; i++) kvm.createEventFd().close();
  });

  it("of VMs with memory, however many come and go", function () {
    this.timeout(60_000);
    for (let i = 0; i < 150; i++) {
      const vm = host.kvm.createVm();
      vm.addMemory({ at: 0x4000_0000n, bytes: 1 << 20 }).bytes[0] = 1;
      vm.createVcpu().close();
      vm.close();
    }
  });
});
