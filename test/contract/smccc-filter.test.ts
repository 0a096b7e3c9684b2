// KVM_ARM_VM_SMCCC_FILTER. Documentation/virt/kvm/devices/vm.rst 6.

import assert from "node:assert/strict";
import { pc, x } from "../../lib/arm64/registers.js";
import { pack, structs } from "../../lib/uapi/structs.js";
import type { Vm } from "../../lib/vm.js";
import { skip } from "../skip.js";
import { hvc, smc } from "../support/assemble.js";
import { onEveryBackend } from "../support/backends.js";
import { finish, makeGuest, RAM, runToExit, runToFinish } from "../support/guest.js";
import { answer, assertRefused } from "../support/refusal.js";

const GROUP = 0;
const FILTER = 0n;
const SMCCC_VERSION = 0x8000_0000;
/** In the vendor's range: free to filter. */
const FUNCTION = 0x8600_1000;

onEveryBackend("the SMCCC filter", (host) => {
  const vmWithFilter = (context: Mocha.Context): Vm => {
    const vm = host.keep(host.kvm.createVm());
    if (answer(() => vm.fd.hasDeviceAttr(GROUP, FILTER)) !== "OK") skip(context, "the kernel has no SMCCC filter");
    return vm;
  };
  const deny = (base: number, functions: number) => ({ base, functions, action: "deny" }) as const;

  it("an action above 2, an empty range and one that wraps are EINVAL", function () {
    const vm = vmWithFilter(this);
    const raw = (base: number, nr_functions: number, action: number) =>
      vm.fd.setDeviceAttr(GROUP, FILTER, pack(structs.kvm_smccc_filter, { base, nr_functions, action }));
    assertRefused("EINVAL", () => raw(FUNCTION, 1, 3));
    assertRefused("EINVAL", () => raw(FUNCTION, 0, 1));
    assertRefused("EINVAL", () => raw(0xffff_ffff, 2, 1));
  });

  it("padding that is not 0 is EINVAL", function () {
    const vm = vmWithFilter(this);
    const filter = pack(structs.kvm_smccc_filter, { base: FUNCTION, nr_functions: 1, action: 1 });
    filter[23] = 1;
    assertRefused("EINVAL", () => vm.fd.setDeviceAttr(GROUP, FILTER, filter));
  });

  it("a null pointer is EFAULT", function () {
    const vm = vmWithFilter(this);
    assertRefused("EFAULT", () => vm.fd.setDeviceAttr(GROUP, FILTER, null));
  });

  it("reading it is EINVAL, other attributes are ENXIO", function () {
    const vm = vmWithFilter(this);
    assertRefused("EINVAL", () => vm.fd.getDeviceAttr(GROUP, FILTER, new Uint8Array(24)));
    assertRefused("ENXIO", () => vm.fd.setDeviceAttr(GROUP, 1n, new Uint8Array(24)));
    assertRefused("ENXIO", () => vm.fd.hasDeviceAttr(7, 0n));
  });

  it("the Arm architecture's own ranges are EEXIST", function () {
    const vm = vmWithFilter(this);
    assertRefused("EEXIST", () => vm.filterHypercalls(deny(SMCCC_VERSION, 1)));
    assertRefused("EEXIST", () => vm.filterHypercalls(deny(0xc000_ffff, 1)));
    vm.filterHypercalls(deny(0x8001_0000, 1));
  });

  it("a range that overlaps an earlier one is EEXIST, even when that one says handle", function () {
    const vm = vmWithFilter(this);
    vm.filterHypercalls({ base: FUNCTION, functions: 16, action: "handle" });
    assertRefused("EEXIST", () => vm.filterHypercalls(deny(FUNCTION + 15, 1)));
    vm.filterHypercalls(deny(FUNCTION + 16, 1));
  });

  it("after a run it is EBUSY", function () {
    vmWithFilter(this);
    const { vm, cpu } = makeGuest(host);
    cpu.immediateExit = true;
    cpu.runSync();
    assertRefused("EBUSY", () => vm.filterHypercalls(deny(FUNCTION, 1)));
  });

  for (const [conduit, instruction] of [
    ["hvc", hvc(0)],
    ["smc", smc(0)],
  ] as const) {
    it(`a denied function answers NOT_SUPPORTED to ${conduit}`, async function () {
      vmWithFilter(this);
      const { vm, cpu } = makeGuest(host, [instruction, ...finish], { features: ["psci-0.2"] });
      vm.filterHypercalls(deny(0x8600_ff01, 1)); // the vendor's UID, which answers otherwise
      cpu.setReg(x(0), 0x8600_ff01n);
      await runToFinish(cpu);
      assert.equal(cpu.getReg(x(0)), 0xffff_ffff_ffff_ffffn);
    });

    it(`a forwarded function exits on ${conduit} with its number, PC behind the instruction, arguments in X registers`, async function () {
      vmWithFilter(this);
      const { vm, cpu } = makeGuest(host, [instruction, ...finish], { features: ["psci-0.2"] });
      vm.filterHypercalls({ base: FUNCTION, functions: 1, action: "forward" });
      cpu.setReg(x(0), BigInt(FUNCTION));
      cpu.setReg(x(1), 0x55n);
      const exit = await runToExit(cpu);
      assert.equal(exit.reason, "hypercall");
      assert.deepEqual([exit.number, exit.conduit], [BigInt(FUNCTION), conduit]);
      assert.deepEqual([cpu.getReg(pc), cpu.getReg(x(1))], [RAM + 4n, 0x55n]);
    });
  }

  it("what userspace leaves in X0 after a forwarded function is what the guest sees", async function () {
    vmWithFilter(this);
    const { vm, cpu } = makeGuest(host, [hvc(0), ...finish], { features: ["psci-0.2"] });
    vm.filterHypercalls({ base: FUNCTION, functions: 1, action: "forward" });
    cpu.setReg(x(0), BigInt(FUNCTION));
    await runToExit(cpu);
    cpu.setReg(x(0), 42n);
    await runToFinish(cpu);
    assert.equal(cpu.getReg(x(0)), 42n);
  });

  it("kernels without it refuse every attribute of a VM with EINVAL", function () {
    const vm = host.keep(host.kvm.createVm());
    if (answer(() => vm.fd.hasDeviceAttr(GROUP, FILTER)) === "OK") skip(this, "the kernel has the SMCCC filter");
    assertRefused("EINVAL", () => vm.fd.hasDeviceAttr(GROUP, FILTER));
    assertRefused("EINVAL", () => vm.fd.setDeviceAttr(GROUP, FILTER, new Uint8Array(24)));
    assertRefused("EINVAL", () => vm.fd.getDeviceAttr(GROUP, FILTER, new Uint8Array(24)));
  });
});
