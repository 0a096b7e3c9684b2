// One vCPU's block in the shared memory as every thread sees it.

import { featureIdIndex } from "../arm64/feature-id-space.js";
import type { Condition } from "../arm64/sysreg-row.js";
import { type SysRegName, sysRegByName } from "../arm64/sysregs.js";
import { KVM_DEV_TYPE } from "../uapi/constants.js";
import { type Feature as A64Feature, promised } from "./a64/features.js";
import { implementedPstate } from "./cpu/exceptions.js";
import { CpuState } from "./cpu/state.js";
import { CONTROL_BYTES, RUN_BYTES, VCPUS, type VcpuCell, VmCap, vcpuCells, vmCells } from "./layout.js";
import { Feature } from "./vcpu-features.js";
import type { VmState } from "./vm-state.js";

/** Bytes of a vCPU's block. */
export const VCPU_BYTES = RUN_BYTES + CONTROL_BYTES + CpuState.bytes;

// Conditions that are fields of the VM's ID registers: register, lowest bit, least value.
// biome-ignore format: table
const promisedBy: Partial<Record<Condition, readonly [SysRegName, number, number]>> = {
  TCRX: ["ID_AA64MMFR3_EL1", 0, 1], SCTLRX: ["ID_AA64MMFR3_EL1", 4, 1], S1PIE: ["ID_AA64MMFR3_EL1", 8, 1],
  S1POE: ["ID_AA64MMFR3_EL1", 16, 1], FPMR: ["ID_AA64PFR2_EL1", 32, 1], FGT: ["ID_AA64MMFR0_EL1", 56, 1],
  FGT2: ["ID_AA64MMFR0_EL1", 56, 2], NV_frac: ["ID_AA64MMFR4_EL1", 20, 1], AMU: ["ID_AA64PFR0_EL1", 44, 1],
  CCIDX: ["ID_AA64MMFR2_EL1", 20, 1], CSV2_2: ["ID_AA64PFR0_EL1", 56, 2], DIT: ["ID_AA64PFR0_EL1", 48, 1],
  ECV: ["ID_AA64MMFR0_EL1", 60, 1], GICv5: ["ID_AA64PFR2_EL1", 12, 1],
  LOR: ["ID_AA64MMFR1_EL1", 16, 1], LS64_ACCDATA: ["ID_AA64ISAR1_EL1", 60, 3], MPAM: ["ID_AA64PFR0_EL1", 40, 1],
  MTE2: ["ID_AA64PFR1_EL1", 8, 2], NMI: ["ID_AA64PFR1_EL1", 36, 1], PAN: ["ID_AA64MMFR1_EL1", 20, 1],
  RAS: ["ID_AA64PFR0_EL1", 28, 1], RNDR: ["ID_AA64ISAR0_EL1", 60, 1], SME: ["ID_AA64PFR1_EL1", 24, 1],
  SPE: ["ID_AA64DFR0_EL1", 32, 1], SSBS: ["ID_AA64PFR1_EL1", 4, 2], TRF: ["ID_AA64DFR0_EL1", 40, 1],
  UAO: ["ID_AA64MMFR2_EL1", 4, 1], VHE: ["ID_AA64MMFR1_EL1", 8, 1],
};

export class VcpuState {
  readonly vm: VmState;
  /** Byte of the block in the memory. */
  readonly base: number;
  readonly words: Int32Array;
  readonly quads: BigUint64Array;
  readonly runPage: Uint8Array;
  readonly run: DataView;
  readonly cpu: CpuState;

  constructor(vm: VmState, base: number) {
    const buffer = vm.bufferTo(base + VCPU_BYTES);
    const control = base + RUN_BYTES;
    this.vm = vm;
    this.base = base;
    this.words = new Int32Array(buffer, control, CONTROL_BYTES / 4);
    this.quads = new BigUint64Array(buffer, control, CONTROL_BYTES / 8);
    this.runPage = new Uint8Array(buffer, base, RUN_BYTES);
    this.run = new DataView(buffer, base, RUN_BYTES);
    this.cpu = new CpuState(vm.memory, control + CONTROL_BYTES);
  }

  get(name: VcpuCell, index = 0): number {
    return this.words[(vcpuCells[name] + index) * 2]!;
  }
  put(name: VcpuCell, value: number, index = 0): void {
    this.words[(vcpuCells[name] + index) * 2] = value;
  }
  /** Number of a cell in the control block. */
  cellOf(name: VcpuCell, index: number): number {
    return vcpuCells[name] + index;
  }
  quad(name: VcpuCell, index = 0): bigint {
    return this.quads[vcpuCells[name] + index]!;
  }
  putQuad(name: VcpuCell, value: bigint, index = 0): void {
    this.quads[vcpuCells[name] + index] = value;
  }
  peek(name: VcpuCell): number {
    return Atomics.load(this.words, vcpuCells[name] * 2);
  }
  store(name: VcpuCell, value: number): void {
    Atomics.store(this.words, vcpuCells[name] * 2, value);
  }
  /** Takes a flag: gives what it was and clears it. */
  exchange(name: VcpuCell, value: number): number {
    return Atomics.exchange(this.words, vcpuCells[name] * 2, value);
  }

  /** Makes a sleeping vCPU look up. From any thread. */
  wake(): void {
    Atomics.add(this.words, vcpuCells.wake * 2, 1);
    Atomics.notify(this.words, vcpuCells.wake * 2);
  }

  feature(bit: number): boolean {
    return (this.get("features") & bit) !== 0;
  }

  /** An ID register of the VM, as this vCPU sees it. */
  idRegister(name: SysRegName): bigint {
    return this.vm.quads[vmCells.idRegs + featureIdIndex(sysRegByName(name).encoding)]!;
  }

  /** Whether a condition of the table of system registers holds for this vCPU. */
  has(condition: Condition): boolean {
    switch (condition) {
      case "PMU":
        return this.feature(Feature.pmuV3);
      case "SVE":
        return this.feature(Feature.sve);
      case "PTRAUTH":
        return this.feature(Feature.ptrauthAddress);
      case "EL2":
        return this.feature(Feature.hasEl2);
      case "noE2H0":
        return !this.feature(Feature.hasEl2E2h0);
      case "GICv3":
        if (this.vm.get("irqchip") !== KVM_DEV_TYPE.ARM_VGIC_V3) return false;
        return Number((this.idRegister("ID_AA64PFR0_EL1") >> 24n) & 15n) >= 1;
      case "MTE":
        return (this.vm.peek("caps") & VmCap.mte) !== 0;
      default: {
        const [register, lsb, least] = promisedBy[condition]!;
        return Number((this.idRegister(register) >> BigInt(lsb)) & 15n) >= least;
      }
    }
  }

  /** Whether the ID registers, as the guest reads them, promise a feature of the instruction set. */
  promises(feature: A64Feature): boolean {
    return promised(feature, (name) => this.cpu.get(name as SysRegName));
  }

  /** The bits of PSTATE that the CPU has. */
  get pstateBits(): number {
    return implementedPstate((feature) => this.promises(feature));
  }

  /** The vector length in bytes of a vCPU with SVE. */
  get vectorBytes(): number {
    return (32 - Math.clz32(this.get("vls"))) * 16;
  }
}

/** The vCPU of an id; null: none. */
export function vcpuById(vm: VmState, id: number): VcpuState | null {
  const base = id < VCPUS ? Number(vm.quads[vmCells.vcpus + id]!) : 0;
  return base === 0 ? null : new VcpuState(vm, base);
}

/** Every vCPU ever created. */
export function allVcpus(vm: VmState): VcpuState[] {
  const found: VcpuState[] = [];
  for (let id = 0; found.length < vm.get("vcpuCount") && id < VCPUS; id++) {
    const vcpu = vcpuById(vm, id);
    if (vcpu !== null) found.push(vcpu);
  }
  return found;
}

/** In the order of creation. */
export const vcpusInOrder = (vm: VmState): VcpuState[] => allVcpus(vm).sort((a, b) => a.get("place") - b.get("place"));
