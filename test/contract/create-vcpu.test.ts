// KVM_CREATE_VCPU. Documentation/virt/kvm/api.rst 4.7.

import assert from "node:assert/strict";
import { onEveryBackend } from "../support/backends.js";
import { assertRefused } from "../support/refusal.js";

onEveryBackend("KVM_CREATE_VCPU", (host) => {
  it("of an id that there is already is EEXIST", () => {
    const vm = host.keep(host.kvm.createVm());
    host.keep(vm.createVcpu(3));
    assertRefused("EEXIST", () => vm.createVcpu(3));
  });

  it("of an id beyond MAX_VCPU_ID is EINVAL", () => {
    const vm = host.keep(host.kvm.createVm());
    const limit = vm.has("MAX_VCPU_ID");
    assertRefused("EINVAL", () => vm.createVcpu(limit));
    assertRefused("EINVAL", () => vm.createVcpu(0xffff_ffff));
    host.keep(vm.createVcpu(limit - 1));
  });

  it("ids need not be consecutive, and are what the vCPU says", () => {
    const vm = host.keep(host.kvm.createVm());
    assert.deepEqual(
      [7, 2].map((id) => host.keep(vm.createVcpu(id)).id),
      [7, 2],
    );
  });

  it("gives by default the next id", () => {
    const vm = host.keep(host.kvm.createVm());
    assert.deepEqual([host.keep(vm.createVcpu()).id, host.keep(vm.createVcpu()).id], [0, 1]);
  });

  it("works MAX_VCPUS times in a VM without an interrupt controller, and then is EINVAL", function () {
    this.timeout(60_000);
    const vm = host.keep(host.kvm.createVm());
    const most = vm.has("MAX_VCPUS");
    for (let id = 0; id < most; id++) host.keep(vm.createVcpu(id));
    assertRefused("EINVAL", () => vm.createVcpu(most));
    assertRefused("EINVAL", () => vm.createVcpu(0));
  });

  it("a closed vCPU keeps its id until the VM is gone", () => {
    const vm = host.keep(host.kvm.createVm());
    vm.createVcpu(0).close();
    assertRefused("EEXIST", () => vm.createVcpu(0));
  });

  it("a vCPU outlives the VM's descriptor", () => {
    const vm = host.kvm.createVm();
    const cpu = host.keep(vm.createVcpu());
    vm.close();
    cpu.init();
    cpu.immediateExit = true;
    assert.equal(cpu.runSync().reason, "interrupted");
  });

  it("a VM outlives the descriptor of /dev/kvm", () => {
    const kvm = host.open();
    const vm = host.keep(kvm.createVm());
    kvm.close();
    host.keep(vm.createVcpu()).init();
  });
});
