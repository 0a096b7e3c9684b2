// Stolen time as the guest reads it: DEN0057, the structure of PV_TIME_ST; Documentation/virt/kvm/arm/pvtime.rst.

import assert from "node:assert/strict";
import { pc, x } from "../../lib/arm64/registers.js";
import { KVM_ARM_VCPU_GROUP as GROUP } from "../../lib/uapi/constants.js";
import { hvc } from "../support/assemble.js";
import { needs, onEveryBackend } from "../support/backends.js";
import { finish, makeGuest, RAM, runToFinish } from "../support/guest.js";

const AT = 0x1000;
const PV_TIME_ST = 0xc500_0021n;

onEveryBackend("stolen time", (host) => {
  beforeEach(function () {
    needs(this, host, "STEAL_TIME");
  });

  const setUp = () => {
    const guest = makeGuest(host, [hvc(0), ...finish], { features: ["psci-0.2"] });
    guest.ram.bytes.fill(0xff, AT, AT + 64);
    guest.cpu.setAttr(GROUP.PVTIME, 0n, RAM + BigInt(AT));
    guest.cpu.setReg(x(0), PV_TIME_ST);
    const view = new DataView(guest.ram.bytes.buffer, guest.ram.bytes.byteOffset + AT, 64);
    return { ...guest, view };
  };

  it("is a structure of revision 0 without attributes, written when the guest asks where it is", async () => {
    const { cpu, view } = setUp();
    await runToFinish(cpu);
    assert.deepEqual([view.getUint32(0, true), view.getUint32(4, true)], [0, 0]);
    assert.ok(view.getBigUint64(8, true) < 60_000_000_000n);
  });

  it("never becomes less", async () => {
    const { cpu, view } = setUp();
    let before = 0n;
    for (let round = 0; round < 5; round++) {
      cpu.setReg(pc, round === 0 ? RAM : RAM + 4n); // asked for once
      await runToFinish(cpu);
      const stolen = view.getBigUint64(8, true);
      assert.ok(stolen >= before);
      before = stolen;
    }
  });

  it("is an entry of the dirty ring each time that it is written", async function () {
    needs(this, host, "DIRTY_LOG_RING_ACQ_REL");
    const guest = makeGuest(host, finish, {
      memory: { logDirty: true },
      prepare: (vm) => vm.enableCap("DIRTY_LOG_RING_ACQ_REL", [4096n]),
    });
    const { cpu } = guest;
    const ring = new DataView(cpu.dirtyRing(4096).buffer, cpu.dirtyRing(4096).byteOffset, 4096);
    const entries = () => {
      let count = 0;
      for (let at = 0; at < 4096; at += 16) if (ring.getBigUint64(at + 8, true) === 5n) count++;
      return count;
    };
    cpu.setAttr(GROUP.PVTIME, 0n, RAM + 5n * 4096n);
    const seen: number[] = [];
    for (let round = 0; round < 3; round++) {
      cpu.setReg(pc, RAM);
      await runToFinish(cpu);
      seen.push(entries());
    }
    // The host's scheduler may add some.
    assert.ok(seen[0]! >= 1 && seen[1]! > seen[0]! && seen[2]! > seen[1]!, String(seen));
  });
});
