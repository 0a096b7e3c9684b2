// A CPU with flat memory, for tests of the evaluator.

import type { Feature } from "../../lib/model/a64/features.js";
import { CpuState } from "../../lib/model/cpu/state.js";
import { type Bus, type Environment, Evaluator } from "../../lib/model/engine/evaluator.js";

/** Stage-2 translation fault, level 3. */
const NOTHING_THERE = -0x07;
const READ_ONLY = -0x0f;

/** Where the guest's RAM is, in its own addresses. */
export const RAM = 0x4000_0000n;

const RAM_AT = 0x1_0000;

export interface GuestOptions {
  readonly memory?: WebAssembly.Memory;
  readonly ramBytes?: number;
  readonly readOnly?: readonly bigint[];
  readonly without?: readonly Feature[];
  readonly environment?: Partial<Environment>;
}

/** Features that the evaluator has all instructions of. */
const has: ReadonlySet<Feature> = new Set<Feature>([
  "CRC32",
  "LSE",
  "FlagM",
  "FlagM2",
  "LRCPC",
  "LRCPC2",
  "LOR",
  "PAN",
  "PAN2",
  "UAO",
  "DIT",
  "SSBS",
  "SSBS2",
  "SB",
  "DPB",
  "DPB2",
  "SPECRES",
  "RAS",
  "TLBIOS",
  "TLBIRANGE",
]);

export class Guest {
  readonly memory: WebAssembly.Memory;
  readonly state: CpuState;
  readonly evaluator: Evaluator;
  readonly bus: { generation: number; page: Bus["page"]; readonly asked: string[] };
  readonly ram: DataView;

  constructor(options: GuestOptions = {}) {
    const ramBytes = options.ramBytes ?? 0x1_0000;
    const pages = Math.ceil((RAM_AT + ramBytes) / 0x1_0000);
    this.memory = options.memory ?? new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    this.state = new CpuState(this.memory, 0);
    this.ram = new DataView(this.memory.buffer, RAM_AT, ramBytes);
    const asked: string[] = [];
    this.bus = {
      generation: 0,
      asked,
      page: (ipa, access) => {
        asked.push(`${access} ${ipa.toString(16)}`);
        const offset = ipa - RAM;
        if (offset < 0n || offset >= BigInt(ramBytes)) return NOTHING_THERE;
        if (access === "write" && options.readOnly?.includes(ipa)) return READ_ONLY;
        return RAM_AT + Number(offset);
      },
    };
    this.evaluator = new Evaluator(this.state, this.bus, {
      counter: () => 0n,
      promises: (feature) => has.has(feature) && !options.without?.includes(feature),
      has: (condition) => ["PAN", "UAO", "DIT", "SSBS", "RAS", "LOR"].includes(condition),
      unalignedDevice: "allow",
      ...options.environment,
    });
    this.state.pstate = 0x3c5n;
    this.state.pc = RAM;
    this.state.set("ID_AA64MMFR0_EL1", 5n);
    this.state.set("DCZID_EL0", 4n);
    this.state.set("SCTLR_EL1", 0xc5_0078n);
  }

  /** Writes instructions from the beginning of RAM. */
  program(...words: number[]): this {
    for (const [n, word] of words.entries()) this.ram.setUint32(n * 4, word, true);
    return this;
  }
}
