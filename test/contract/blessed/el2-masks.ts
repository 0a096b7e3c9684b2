// What a VM with EL2 keeps of ones and of zeros in the registers of EL2 after its first run, and what becomes of that when a
// field of its ID registers is lowered: recorded on a genuine kernel, asked of the model in the same words.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type SysReg, sysRegById } from "../../../lib/arm64/index.js";
import type { RegId } from "../../../lib/arm64/reg-id.js";
import type { VcpuFeature } from "../../../lib/arm64/vcpu-features.js";
import { type Kvm, KvmError } from "../../../lib/index.js";
import {
  KVM_ARM_VCPU_GROUP,
  KVM_ARM_VGIC_CTRL,
  KVM_ARM_VGIC_GROUP,
  KVM_VGIC_ADDR_TYPE,
} from "../../../lib/uapi/constants.js";
import { projectFolder } from "../../../scripts/kvm/initramfs.js";

const sets: Readonly<Record<string, readonly VcpuFeature[]>> = {
  all: ["el2", "sve", "pmu-v3", "ptrauth-address", "ptrauth-generic"],
  "el2 alone": ["el2"],
  e2h0: ["el2", "el2-e2h0", "ptrauth-address", "ptrauth-generic"],
};

const ones = 2n ** 64n - 1n;
const PMU_PPI = new Uint8Array([23, 0, 0, 0]);
const timers = /^CNTH[PV]_/;

interface Write {
  readonly id: RegId<64>;
  readonly value: bigint;
}

/** The first run needs a GIC, and a PMU that is ready. */
function prepared(kvm: Kvm, features: readonly VcpuFeature[], write: Write | null) {
  const vm = kvm.createVm();
  const gic = vm.createDevice("vgic-v3");
  const cpu = vm.createVcpu();
  cpu.init({ features });
  if (features.includes("sve")) cpu.finalize("sve");
  gic.setAttr(KVM_ARM_VGIC_GROUP.ADDR, BigInt(KVM_VGIC_ADDR_TYPE.V3_DIST), 0x0800_0000n);
  gic.setAttr(KVM_ARM_VGIC_GROUP.ADDR, BigInt(KVM_VGIC_ADDR_TYPE.V3_REDIST), 0x080a_0000n);
  gic.setAttr(KVM_ARM_VGIC_GROUP.CTRL, BigInt(KVM_ARM_VGIC_CTRL.INIT));
  if (features.includes("pmu-v3")) {
    cpu.setAttr(KVM_ARM_VCPU_GROUP.PMU_V3, 0n, PMU_PPI);
    cpu.setAttr(KVM_ARM_VCPU_GROUP.PMU_V3, 1n);
  }
  const close = (): void => {
    for (const made of [cpu, gic, vm]) made.close();
  };
  try {
    if (write !== null) cpu.setReg(write.id, write.value);
    cpu.immediateExit = true;
    cpu.runSync();
  } catch (error) {
    close();
    throw error;
  }
  return { cpu, close };
}

/** By register: what it keeps of ones, and of zeros. */
function masks(kvm: Kvm, features: readonly VcpuFeature[], write: Write | null): Map<string, string> {
  const { cpu, close } = prepared(kvm, features, write);
  const found = new Map<string, string>();
  for (const id of cpu.regList()) {
    const { name = "" } = (sysRegById(id) as SysReg | undefined) ?? {};
    if (!/_EL2$|^SCTLR_EL1$/.test(name) || timers.test(name)) continue;
    const kept = [ones, 0n].map((value) => {
      cpu.setReg(id as RegId<64>, value);
      return cpu.getReg(id as RegId<64>).toString(16);
    });
    found.set(name, kept.join(" "));
  }
  close();
  return found;
}

/** One line for each fact: of a set its registers, then what another value of an ID field changes. */
export function* el2Masks(kvm: Kvm): Generator<string> {
  for (const [set, features] of Object.entries(sets)) {
    const base = masks(kvm, features, null);
    for (const [name, kept] of base) yield `${set}: ${name} ${kept}`;
    const vm = kvm.createVm();
    const cpu = vm.createVcpu();
    cpu.init({ features });
    if (features.includes("sve")) cpu.finalize("sve");
    const registers = cpu.idRegisters().filter(({ name }) => name.startsWith("ID_AA64"));
    cpu.close();
    vm.close();
    for (const { name: register, id, value, fields } of registers) {
      for (const { name, lsb, width, value: now, accepts = [] } of fields) {
        if (width > 4) continue;
        for (const other of accepts.filter((one) => one !== now)) {
          const changed = (value & ~(((1n << BigInt(width)) - 1n) << BigInt(lsb))) | (BigInt(other) << BigInt(lsb));
          yield* changes(`${set}, ${register}.${name} ${other}`, base, () =>
            masks(kvm, features, { id, value: changed }),
          );
        }
      }
    }
  }
}

function* changes(what: string, base: Map<string, string>, ask: () => Map<string, string>): Generator<string> {
  let found: Map<string, string>;
  try {
    found = ask();
  } catch (error) {
    if (!(error instanceof KvmError)) throw error;
    yield `${what}: ${error.code}`;
    return;
  }
  for (const name of new Set([...base.keys(), ...found.keys()])) {
    if (found.get(name) !== base.get(name)) yield `${what}: ${name} ${found.get(name) ?? "is gone"}`;
  }
}

export const el2MasksFile = join(projectFolder, "test/contract/blessed/7.2-el2-masks.txt");
export const blessedEl2Masks = (): string[] => readFileSync(el2MasksFile, "utf8").trimEnd().split("\n");
