// KVM_GET_STATS_FD. Documentation/virt/kvm/api.rst 4.133.

import assert from "node:assert/strict";
import { structs, unpack } from "../../lib/uapi/structs.js";
import { hvc, mov64 } from "../support/assemble.js";
import { onEveryBackend } from "../support/backends.js";
import { DEVICE, finish, makeGuest, runToFinish } from "../support/guest.js";

// biome-ignore format: table
const vcpuNames = [
  "halt_successful_poll", "halt_attempted_poll", "halt_poll_invalid", "halt_wakeup", "halt_poll_success_ns",
  "halt_poll_fail_ns", "halt_wait_ns", "halt_poll_success_hist", "halt_poll_fail_hist", "halt_wait_hist", "blocking",
  "hvc_exit_stat", "wfe_exit_stat", "wfi_exit_stat", "mmio_exit_user", "mmio_exit_kernel", "signal_exits", "exits",
];

onEveryBackend("statistics", (host) => {
  it("of a VM are named after the process, and count TLB flushes", () => {
    const vm = host.keep(host.kvm.createVm());
    const { id, statistics } = vm.statistics();
    assert.equal(id, `kvm-${process.pid}`);
    assert.deepEqual(
      statistics.map(({ name }) => name),
      ["remote_tlb_flush", "remote_tlb_flush_requests"],
    );
  });

  it("of a vCPU are named after it, and are those of arm64", () => {
    const { cpu } = makeGuest(host);
    const { id, statistics } = cpu.statistics();
    assert.equal(id, `kvm-${process.pid}/vcpu-0`);
    assert.deepEqual(
      statistics.map(({ name }) => name),
      vcpuNames,
    );
  });

  it("say what they are: counters, nanoseconds, histograms, a boolean", () => {
    const { statistics } = makeGuest(host).cpu.statistics();
    const of = (name: string) => statistics.find((one) => one.name === name);
    assert.deepEqual([of("exits")?.type, of("exits")?.unit, of("exits")?.values.length], ["cumulative", "none", 1]);
    assert.deepEqual(
      [of("halt_wait_ns")?.unit, of("halt_wait_ns")?.exponent, of("halt_wait_ns")?.base],
      ["seconds", -9, 10],
    );
    assert.deepEqual([of("halt_wait_hist")?.type, of("halt_wait_hist")?.values.length], ["logarithmic histogram", 32]);
    assert.equal(of("blocking")?.type, "instant");
  });

  it("count exits to userspace and hypercalls", async () => {
    const { cpu } = makeGuest(host, [...mov64(0, DEVICE), hvc(0), hvc(0), ...finish]);
    const count = (name: string) => cpu.statistics().statistics.find((one) => one.name === name)?.values[0] ?? -1n;
    await runToFinish(cpu);
    assert.deepEqual([count("mmio_exit_user"), count("hvc_exit_stat")], [1n, 2n]);
    assert.ok(count("exits") >= 3n);
  });

  it("lie as their header says: descriptors of one size, data behind them", () => {
    const vm = host.keep(host.kvm.createVm());
    const bytes = new Uint8Array(structs.kvm_stats_header.bytes);
    assert.equal(vm.fd.readStats(0, bytes), bytes.length);
    const header = unpack(structs.kvm_stats_header, bytes);
    assert.deepEqual([header.name_size, header.id_offset, header.desc_offset], [48, 24, 72]);
    assert.equal(header.data_offset, 72 + header.num_desc * 64);
  });

  it("end: reading behind them gives nothing", () => {
    const vm = host.keep(host.kvm.createVm());
    assert.equal(vm.fd.readStats(1 << 20, new Uint8Array(8)), 0);
  });
});
