// KVM_CHECK_EXTENSION, KVM_ENABLE_CAP, and what /dev/kvm says of itself. Documentation/virt/kvm/api.rst 4.1-4.5, 4.37.

import assert from "node:assert/strict";
import type { CapName } from "../../lib/uapi/caps.js";
import { needs, onEveryBackend, onHost, skipOfModel } from "../support/backends.js";
import { makeGuest } from "../support/guest.js";
import { answer, assertRefused } from "../support/refusal.js";

// biome-ignore format: table
const alwaysOne: readonly CapName[] = [
  "USER_MEMORY", "MP_STATE", "SYNC_MMU", "DESTROY_MEMORY_REGION_WORKS", "SET_GUEST_DEBUG", "JOIN_MEMORY_REGIONS_WORKS",
  "IRQFD", "IOEVENTFD", "INTERNAL_ERROR_DATA", "VCPU_EVENTS", "ONE_REG", "SIGNAL_MSI", "READONLY_MEM", "IRQFD_RESAMPLE",
  "ARM_PSCI", "ARM_SET_DEVICE_ADDR", "DEVICE_CTRL", "ENABLE_CAP_VM", "ARM_PSCI_0_2", "CHECK_EXTENSION_VM",
  "IOEVENTFD_ANY_LENGTH", "VCPU_ATTRIBUTES", "IMMEDIATE_EXIT", "ARM_USER_IRQ", "COALESCED_PIO",
  "ARM_IRQ_LINE_LAYOUT_2", "ARM_NISV_TO_USER", "ARM_INJECT_EXT_DABT", "HALT_POLL", "PTP_KVM", "BINARY_STATS_FD",
  "SYSTEM_EVENT_DATA", "ARM_SYSTEM_SUSPEND", "COALESCED_MMIO",
];

/** Capabilities that came with a kernel: their value on each. */
// biome-ignore format: table
const byKernel: Readonly<Partial<Record<CapName, Readonly<Record<"6.1" | "6.12" | "7.2", number>>>>> = {
  DIRTY_LOG_RING_WITH_BITMAP:     { "6.1": 0, "6.12": 1,          "7.2": 1 },
  DIRTY_LOG_RING_ACQ_REL:         { "6.1": 0, "6.12": 0x10_0000,  "7.2": 0x10_0000 },
  COUNTER_OFFSET:                 { "6.1": 0, "6.12": 1,          "7.2": 1 },
  USER_MEMORY2:                   { "6.1": 0, "6.12": 1,          "7.2": 1 },
  ARM_SUPPORTED_REG_MASK_RANGES:  { "6.1": 0, "6.12": 1,          "7.2": 1 },
  ARM_SUPPORTED_BLOCK_SIZES:      { "6.1": 0, "6.12": 0x4020_1000, "7.2": 0x4020_1000 },
  ARM_WRITABLE_IMP_ID_REGS:       { "6.1": 0, "6.12": 0,          "7.2": 1 },
  ARM_SEA_TO_USER:                { "6.1": 0, "6.12": 0,          "7.2": 1 },
  GUEST_MEMFD:                    { "6.1": 0, "6.12": 0,          "7.2": 1 },
  GUEST_MEMFD_FLAGS:              { "6.1": 0, "6.12": 0,          "7.2": 3 },
};

// biome-ignore format: table
const constants: Readonly<Partial<Record<CapName, number>>> = {
  NR_MEMSLOTS: 32767, IRQ_ROUTING: 4096, MANUAL_DIRTY_LOG_PROTECT2: 3, DIRTY_LOG_RING: 0, SET_GUEST_DEBUG2: 0x3_0003,
};

onEveryBackend("capabilities", (host) => {
  it("the API version is 12", () => {
    assert.equal(host.kvm.apiVersion, 12);
  });

  it("the run page and the coalesced ring take two pages", () => {
    assert.equal(host.kvm.runPageBytes, 8192);
  });

  for (const cap of alwaysOne) {
    it(`${cap} is 1 on /dev/kvm and on the VM`, () => {
      const vm = host.keep(host.kvm.createVm());
      assert.deepEqual([host.kvm.has(cap), vm.has(cap)], [1, 1]);
    });
  }

  for (const [cap, value] of Object.entries(constants)) {
    it(`${cap} is ${value}`, () => {
      assert.equal(host.kvm.has(cap as CapName), value);
    });
  }

  for (const [cap, values] of Object.entries(byKernel)) {
    it(`${cap} is ${JSON.stringify(values)} by kernel`, function () {
      skipOfModel(this, host, cap as CapName);
      assert.equal(host.kvm.has(cap as CapName), onHost(host, values));
    });
  }

  for (const cap of ["ENABLE_CAP", "SYNC_REGS", "MEMORY_ATTRIBUTES", "PRE_FAULT_MEMORY"] as const) {
    it(`${cap} is 0: arm64 does not have it`, () => {
      assert.equal(host.kvm.has(cap), 0);
    });
  }

  it("a capability that nobody knows is 0, not an error", () => {
    assert.deepEqual([host.kvm.has(100_000), host.kvm.has(0xffff_ffff)], [0, 0]);
  });

  it("MAX_VCPU_ID equals MAX_VCPUS, and NR_VCPUS does not exceed it", () => {
    const vcpus = host.kvm.has("MAX_VCPUS");
    assert.equal(host.kvm.has("MAX_VCPU_ID"), vcpus);
    assert.ok(host.kvm.has("NR_VCPUS") >= 1 && host.kvm.has("NR_VCPUS") <= vcpus);
  });

  it("PTRAUTH_ADDRESS and PTRAUTH_GENERIC come together", () => {
    assert.equal(host.kvm.has("ARM_PTRAUTH_ADDRESS"), host.kvm.has("ARM_PTRAUTH_GENERIC"));
  });

  it("MSI_DEVID asked of /dev/kvm is EINVAL, of a VM without ITS 0", () => {
    const vm = host.keep(host.kvm.createVm());
    assertRefused("EINVAL", () => host.kvm.has("MSI_DEVID"));
    assert.equal(vm.has("MSI_DEVID"), 0);
  });

  it("ARM_EAGER_SPLIT_CHUNK_SIZE reads 0 until it is set, then what was set", function () {
    needs(this, host, "ARM_SUPPORTED_BLOCK_SIZES");
    const vm = host.keep(host.kvm.createVm());
    assert.deepEqual([host.kvm.has("ARM_EAGER_SPLIT_CHUNK_SIZE"), vm.has("ARM_EAGER_SPLIT_CHUNK_SIZE")], [0, 0]);
    vm.enableCap("ARM_EAGER_SPLIT_CHUNK_SIZE", [0x20_0000n]);
    assert.equal(vm.has("ARM_EAGER_SPLIT_CHUNK_SIZE"), 0x20_0000);
  });

  it("ARM_EAGER_SPLIT_CHUNK_SIZE refuses sizes that are no block size, and any once there is memory", function () {
    needs(this, host, "ARM_SUPPORTED_BLOCK_SIZES");
    const vm = host.keep(host.kvm.createVm());
    assertRefused("EINVAL", () => vm.enableCap("ARM_EAGER_SPLIT_CHUNK_SIZE", [0x3000n]));
    vm.addMemory({ at: 0x4000_0000n, bytes: 4096 });
    assertRefused("EINVAL", () => vm.enableCap("ARM_EAGER_SPLIT_CHUNK_SIZE", [0x20_0000n]));
  });

  it("enabling a capability that nobody knows is EINVAL", () => {
    const vm = host.keep(host.kvm.createVm());
    assertRefused("EINVAL", () => vm.enableCap(100_000));
  });

  it("flags are EINVAL", () => {
    const vm = host.keep(host.kvm.createVm());
    assertRefused("EINVAL", () => vm.enableCap("ARM_NISV_TO_USER", [], 1));
  });

  it("ARM_NISV_TO_USER and ARM_SYSTEM_SUSPEND can be enabled at any time, even after a run", () => {
    const { vm, cpu } = makeGuest(host);
    cpu.immediateExit = true;
    assert.equal(cpu.runSync().reason, "interrupted");
    vm.enableCap("ARM_NISV_TO_USER", [77n]);
    vm.enableCap("ARM_SYSTEM_SUSPEND");
  });

  it("HALT_POLL takes 32 bits", () => {
    const vm = host.keep(host.kvm.createVm());
    vm.enableCap("HALT_POLL", [0xffff_ffffn]);
    assertRefused("EINVAL", () => vm.enableCap("HALT_POLL", [1n << 32n]));
  });

  it("ARM_MTE is EINVAL once there is a vCPU, and on hosts without it", () => {
    const vm = host.keep(host.kvm.createVm());
    host.keep(vm.createVcpu());
    assertRefused("EINVAL", () => vm.enableCap("ARM_MTE"));
    const other = host.keep(host.kvm.createVm());
    assert.equal(
      answer(() => other.enableCap("ARM_MTE")),
      host.kvm.has("ARM_MTE") ? "OK" : "EINVAL",
    );
  });

  it("ARM_WRITABLE_IMP_ID_REGS is EINVAL once there is a vCPU", function () {
    needs(this, host, "ARM_WRITABLE_IMP_ID_REGS");
    const vm = host.keep(host.kvm.createVm());
    vm.enableCap("ARM_WRITABLE_IMP_ID_REGS");
    host.keep(vm.createVcpu());
    assertRefused("EINVAL", () => vm.enableCap("ARM_WRITABLE_IMP_ID_REGS"));
  });

  it("the IPA size of a VM is 0 for 40 bits, or 32 to ARM_VM_IPA_SIZE", () => {
    const limit = host.kvm.has("ARM_VM_IPA_SIZE");
    const make = (ipaBits: number) => answer(() => host.keep(host.kvm.createVm({ ipaBits })));
    assert.ok(limit >= 40 && limit <= 52);
    assert.deepEqual([0, 32, limit].map(make), ["OK", "OK", "OK"]);
    assert.deepEqual([1, 31, limit + 1, 255].map(make), ["EINVAL", "EINVAL", "EINVAL", "EINVAL"]);
  });

  it("machine types beside the IPA size are EINVAL", () => {
    assertRefused("EINVAL", () => host.kvm.createVm({ type: 0x100n }));
    assertRefused("EINVAL", () => host.kvm.createVm({ type: 1n << 31n }));
    assertRefused("EINVAL", () => host.kvm.createVm({ type: 1n << 32n }));
  });

  it("the preferred target is GENERIC_V8", () => {
    assert.equal(host.keep(host.kvm.createVm()).preferredTarget(), 5);
  });
});
