// The registers of the CPU interface as userspace saves and restores them: KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS of
// Documentation/virt/kvm/devices/arm-vgic-v3.rst. What is written is kept as it is; the guest's CPU makes of it what it
// can. Inside `gicLocked`.

import { packEncoding, type SysRegName, sysRegByName } from "../../arm64/sysregs.js";
import type { ErrnoName } from "../../uapi/errno.js";
import type { GicHost } from "../host/host.js";
import type { VcpuState } from "../vcpu-state.js";
import { activePriorities, binaryPoint1, cell, type Group, putActivePriorities, putCell } from "./cpu-interface.js";
import type { GicVcpuCell } from "./layout.js";

interface Row {
  /** null: EINVAL. */
  get(vcpu: VcpuState, host: GicHost): bigint | null;
  set(vcpu: VcpuState, value: bigint, host: GicHost): ErrnoName | null;
}

/** The low bits of a register that are a cell. */
const bits = (name: GicVcpuCell, mask: bigint): Row => ({
  get: (vcpu) => BigInt(cell(vcpu, name)),
  set(vcpu, value) {
    putCell(vcpu, name, Number(value & mask));
    return null;
  },
});

/** Binary points are at least 2 and 3 with the 5 priority bits that fill one word of active priorities; 6 bits fill two. */
const wordsOfActive = (vcpu: VcpuState): number => {
  const priorityBits = cell(vcpu, "priorityBits");
  return priorityBits === 7 ? 4 : priorityBits === 6 ? 2 : 1;
};

const active = (group: Group, n: number): Row => ({
  get: (vcpu) => (n < wordsOfActive(vcpu) ? BigInt(activePriorities(vcpu, group, n) >>> 0) : null),
  set(vcpu, value) {
    if (n >= wordsOfActive(vcpu)) return "EINVAL";
    putActivePriorities(vcpu, group, n, Number(BigInt.asIntN(32, value)));
    return null;
  },
});

/** ICC_BPR1_EL1 is writable where it is not that of group 0. */
const commonOrOwnPoint: Row = {
  get: (vcpu) => BigInt(binaryPoint1(vcpu)),
  set(vcpu, value) {
    if (cell(vcpu, "cbpr") === 0) putCell(vcpu, "bpr1", Number(value & 7n));
    return null;
  },
};

/** ICC_CTLR_EL1: CBPR, EOImode; PRIbits 10:8, IDbits 13:11, SEIS, A3V. */
const control: Row = {
  get(vcpu, { seis, a3v }) {
    const word =
      cell(vcpu, "cbpr") |
      (cell(vcpu, "eoiMode") << 1) |
      ((cell(vcpu, "priorityBits") - 1) << 8) |
      (cell(vcpu, "idBits") << 11) |
      (seis << 14) |
      (a3v << 15);
    return BigInt(word);
  },
  // The guest may be told of fewer bits than there are. What was taken before a mistake stays.
  set(vcpu, value, { seis, a3v }) {
    const word = Number(value & 0xffffn);
    const priorityBits = ((word >> 8) & 7) + 1;
    if (priorityBits > cell(vcpu, "priorityBits")) return "EINVAL";
    putCell(vcpu, "priorityBits", priorityBits);
    const idBits = (word >> 11) & 7;
    if (idBits > cell(vcpu, "idBits")) return "EINVAL";
    putCell(vcpu, "idBits", idBits);
    if (((word >> 14) & 1) !== seis || ((word >> 15) & 1) !== a3v) return "EINVAL";
    putCell(vcpu, "cbpr", word & 1);
    putCell(vcpu, "eoiMode", (word >> 1) & 1);
    return null;
  },
};

/** ICC_SRE_EL1: DIB, DFB, SRE; there is no interface but that of system registers. */
const SRE = 7n;
const systemRegisters: Row = {
  get: () => SRE,
  set: (_, value) => ((value & 1n) === 1n ? null : "EINVAL"),
};

const idOf = (name: SysRegName) => packEncoding(sysRegByName(name).encoding);

const rows: ReadonlyMap<number, Row> = new Map<number, Row>([
  [idOf("ICC_PMR_EL1"), bits("pmr", 0xffn)],
  [idOf("ICC_BPR0_EL1"), bits("bpr0", 7n)],
  [idOf("ICC_BPR1_EL1"), commonOrOwnPoint],
  [idOf("ICC_IGRPEN0_EL1"), bits("group0", 1n)],
  [idOf("ICC_IGRPEN1_EL1"), bits("group1", 1n)],
  [idOf("ICC_CTLR_EL1"), control],
  [idOf("ICC_SRE_EL1"), systemRegisters],
  [idOf("ICC_AP0R0_EL1"), active(0, 0)],
  [idOf("ICC_AP0R1_EL1"), active(0, 1)],
  [idOf("ICC_AP0R2_EL1"), active(0, 2)],
  [idOf("ICC_AP0R3_EL1"), active(0, 3)],
  [idOf("ICC_AP1R0_EL1"), active(1, 0)],
  [idOf("ICC_AP1R1_EL1"), active(1, 1)],
  [idOf("ICC_AP1R2_EL1"), active(1, 2)],
  [idOf("ICC_AP1R3_EL1"), active(1, 3)],
]);

/** The register of an attribute's lower half; undefined: none. */
export const cpuRegister = (attr: bigint): Row | undefined => {
  const id = attr & 0xffff_ffffn;
  return id > 0xffffn ? undefined : rows.get(Number(id));
};
