// KVM_GET_VCPU_EVENTS and KVM_SET_VCPU_EVENTS: SErrors and external aborts. Documentation/virt/kvm/api.rst 4.31, 4.32.

import assert from "node:assert/strict";
import { elrEl1, pc, pstate, sysReg } from "../../lib/arm64/registers.js";
import { pack, structs } from "../../lib/uapi/structs.js";
import { daifClear, nop } from "../support/assemble.js";
import { onEveryBackend, onHost } from "../support/backends.js";
import { exceptionClass, finish, loadWords, makeGuest, RAM, runToFinish } from "../support/guest.js";
import { answer, assertRefused } from "../support/refusal.js";

const VECTORS = 0x800;
const [SYNCHRONOUS, SERROR] = [0x200, 0x380]; // from the current exception level, with SP_EL1

onEveryBackend("vCPU events", (host) => {
  /** A guest whose vectors end it. */
  const setUp = (code: readonly number[]) => {
    const guest = makeGuest(host, code);
    loadWords(guest.ram, VECTORS + SYNCHRONOUS, finish);
    loadWords(guest.ram, VECTORS + SERROR, finish);
    guest.cpu.setReg(sysReg("VBAR_EL1"), RAM + BigInt(VECTORS));
    return guest;
  };
  const hasEsr = () => host.kvm.has("ARM_INJECT_SERROR_ESR") !== 0;

  it("nothing is pending on a fresh vCPU", () => {
    const { cpu } = makeGuest(host);
    const { serrorPending, externalAbortPending } = cpu.getEvents();
    assert.deepEqual([serrorPending, externalAbortPending], [false, false]);
  });

  it("before INIT they are ENOEXEC since 7.2, and were allowed before", () => {
    const cpu = host.keep(host.keep(host.kvm.createVm()).createVcpu());
    assert.equal(
      answer(() => cpu.getEvents()),
      onHost(host, { "6.1": "OK", "6.12": "OK", "7.2": "ENOEXEC" }),
    );
  });

  it("an SError stays pending while the guest masks it, and can not be withdrawn", () => {
    const { cpu } = makeGuest(host);
    cpu.setEvents({ serrorPending: true });
    assert.equal(cpu.getEvents().serrorPending, true);
    cpu.setEvents({ serrorPending: false });
    assert.equal(cpu.getEvents().serrorPending, true);
  });

  it("an SError is taken when the guest unmasks it", async () => {
    const { cpu } = setUp([nop, daifClear(4), nop, nop]);
    cpu.setEvents({ serrorPending: true });
    await runToFinish(cpu);
    assert.equal(exceptionClass(cpu), 0x2fn);
    assert.equal(cpu.getEvents().serrorPending, false);
  });

  it("an SError has the syndrome that it was given, where the host can", async () => {
    const { cpu } = setUp([nop, daifClear(4), nop, nop]);
    const said = answer(() => cpu.setEvents({ serrorPending: true, serrorEsr: 0x1234n }));
    assert.equal(said, hasEsr() ? "OK" : "EINVAL");
    cpu.setEvents({ serrorPending: true });
    const { serrorEsr } = cpu.getEvents();
    assert.equal(typeof serrorEsr, hasEsr() ? "bigint" : "undefined");
  });

  it("the guest sees that syndrome", async () => {
    const { cpu } = setUp([nop, daifClear(4), nop, nop]);
    const events = hasEsr() ? { serrorPending: true, serrorEsr: 0x1234n } : { serrorPending: true };
    cpu.setEvents(events);
    await runToFinish(cpu);
    assert.equal(cpu.getReg(sysReg("ESR_EL1")) & 0xff_ffffn, hasEsr() ? 0x1234n : 0n);
  });

  it("a syndrome beyond bits 24:0 is EINVAL", () => {
    const { cpu } = makeGuest(host);
    assertRefused("EINVAL", () => cpu.setEvents({ serrorPending: true, serrorEsr: 1n << 25n }));
  });

  it("an SError that is not masked is taken at once since 7.2; one that was pending goes on being so", () => {
    const { cpu } = setUp([nop]);
    cpu.setEvents({ serrorPending: true });
    cpu.setReg(pstate, 5n);
    cpu.setEvents({});
    assert.equal(cpu.getReg(pc), RAM);
    cpu.setEvents({ serrorPending: true });
    const vector = RAM + BigInt(VECTORS + SERROR);
    assert.equal(cpu.getReg(pc), onHost(host, { "6.1": RAM, "6.12": RAM, "7.2": vector }));
    assert.equal(cpu.getEvents().serrorPending, true);
  });

  it("an external abort's vector is counted from all that is in VBAR_EL1, since 7.2 before the CPU has seen it", () => {
    const { cpu } = makeGuest(host);
    cpu.setReg(sysReg("VBAR_EL1"), RAM + 0x7ffn);
    cpu.setEvents({ externalAbortPending: true });
    const taken = RAM + 0x7ffn + BigInt(SYNCHRONOUS);
    assert.equal(cpu.getReg(pc), onHost(host, { "6.1": RAM, "6.12": RAM, "7.2": taken }));
  });

  it("an external abort is taken at once, at the address where the guest is", async () => {
    const { cpu } = setUp([nop, nop]);
    cpu.setEvents({ externalAbortPending: true });
    assert.equal(cpu.getEvents().externalAbortPending, false);
    await runToFinish(cpu);
    assert.deepEqual([exceptionClass(cpu), cpu.getReg(elrEl1)], [0x25n, RAM]);
    assert.equal(cpu.getReg(sysReg("ESR_EL1")) & 0x3fn, 0x10n); // synchronous external abort
  });

  it("since 7.2 the external abort is in the registers before the next run", () => {
    const { cpu } = setUp([nop]);
    cpu.setReg(pstate, 0x5n);
    cpu.setEvents({ externalAbortPending: true });
    const vector = RAM + BigInt(VECTORS + SYNCHRONOUS);
    assert.equal(cpu.getReg(pc), onHost(host, { "6.1": RAM, "6.12": RAM, "7.2": vector }));
  });

  it("padding and reserved words that are not 0 are EINVAL", () => {
    const vm = host.keep(host.kvm.createVm());
    const fd = vm.fd.createVcpu(0);
    fd.armVcpuInit(pack(structs.kvm_vcpu_init, { target: 5 }));
    for (const at of [3, 7, 16, 63]) {
      const bytes = new Uint8Array(64);
      bytes[at] = 1;
      assertRefused("EINVAL", () => fd.setVcpuEvents(bytes));
    }
    fd.close();
  });
});
