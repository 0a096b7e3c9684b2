// The kernel's own arm64 KVM selftests (tools/testing/selftests/kvm, 7.2 and 6.12), and where what they assert at the
// interface stands here. docs/testing.md shows this table.

export interface Selftest {
  /** Names of programs, as the kernel has them. */
  readonly selftests: readonly string[];
  /** Files of this folder, without `.test.ts`. */
  readonly files: readonly string[];
  /** What is not here, and why; "": nothing. */
  readonly leftOut: string;
}

const row = (selftests: string, files: string, leftOut = ""): Selftest => ({
  selftests: selftests.split(" "),
  files: files === "" ? [] : files.split(" "),
  leftOut,
});

// biome-ignore format: table
export const selftests: readonly Selftest[] = [
  row("get-reg-list", "reg-list sve"),
  row("set_id_regs", "id-registers id-register-fields id-registers-guest feature-selection"),
  row("aarch32_id_regs", "id-registers id-registers-guest"),
  row("vcpu_width_config", "vcpu-init"),
  row("hypercalls", "firmware-registers hypercalls"),
  row("smccc_filter", "smccc-filter"),
  row("psci_test", "psci"),
  row("external_aborts", "external-aborts events mmio", "EASE vectors, SError with AMO: hosts with SCTLR2_EL1 and EL2"),
  row("mmio_sign_ext", "mmio mmio-big-endian"),
  row("vgic_init", "vgic-v3 vgic-v2 vgic-redistributors vgic-its"),
  row("vgic_irq", "vgic-interrupts interrupts eventfds"),
  row("vgic_lpi_stress", "vgic-lpis", "the stress: its threads race in the kernel, not at the interface"),
  row("vgic_v5", "", "hosts with a GICv5"),
  row("arch_timer arch_timer_edge_cases", "guest-timers timer-registers", "the deadline 2^64 - 1: QEMU 7.2 goes round in circles over it"),
  row("debug-exceptions", "debug-exceptions guest-debug"),
  row("vpmu_counter_access", "pmu-counters vcpu-attributes"),
  row("page_fault_test", "memory-faults mmio dirty-log", "userfaultfd: Node has none"),
  row("no-vgic no-vgic-v3", "vgic-v3 id-registers"),
  row("kvm-uuid", "hypercalls"),
  row("at hello_el2 idreg-idst", "", "hosts with nested virtualisation"),
  row("host_sve", "", "the registers of the process itself, which JavaScript does not see"),
  row("sea_to_user", "", "a host whose memory fails"),
  row("set_memory_region_test", "memory-regions memory-changes", "all 32767 slots: hundreds, of any numbers"),
  row("guest_memfd_test", "guest-memfd memory-regions", "fallocate and NUMA: no verbs of KVM"),
  row("irqfd_test", "eventfds"),
  row("kvm_binary_stats_test", "statistics"),
  row("kvm_create_max_vcpus", "create-vcpu capabilities"),
  row("coalesced_io_test", "eventfds"),
  row("steal_time", "stolen-time vcpu-attributes"),
  row("dirty_log_test", "dirty-log dirty-ring memory-changes"),
  row("dirty_log_perf_test demand_paging_test access_tracking_perf_test kvm_page_table_test", "", "they measure, and assert nothing of the interface"),
  row("memslot_modification_stress_test memslot_perf_test", "memory-changes"),
  row("mmu_stress_test", "memory-backing", "mprotect of memory in use: Node has none"),
  row("rseq_test guest_print_test", "", "the host's scheduler, and the selftests' own library"),
];

/** The table as Markdown. */
export function selftestsAsText(): string {
  const lines = selftests.map(({ selftests: names, files, leftOut }) => {
    const where = files.map((file) => `\`${file}\``).join(", ");
    return `| ${names.join(", ")} | ${where || "—"} | ${leftOut} |`;
  });
  return ["| selftest | `test/contract/` | left out |", "| --- | --- | --- |", ...lines].join("\n");
}
