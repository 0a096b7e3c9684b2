// The ops that run a guest, and those that look at a vCPU as a whole. Nothing here may block or run for ever: a vCPU runs
// freely only where the picture knows that its guest ends by itself; otherwise it is kicked before.

import { elrEl1, pc, pstate, sp, spEl1, sysReg, x } from "../../lib/arm64/registers.js";
import type { Mapping, VcpuFd } from "../../lib/backend.js";
import { KVM_EXIT, KVM_MP_STATE } from "../../lib/uapi/constants.js";
import { run as runOffsets } from "../../lib/uapi/structs.js";
import { DATA, DATA_BYTES, image, RAM, VECTORS } from "./guest-layout.js";
import type { Outcome, Part, World } from "./world.js";

/** What the picture says of a run. */
export interface RunPlan {
  /** Its guest ends by itself. */
  readonly free: boolean;
  /** Where the memory at RAM comes from: a mapping's name and the place in it. */
  readonly ram: { readonly map: string; readonly offset: number } | null;
}

export const blocked: RunPlan = { free: false, ram: null };

/** As much of the run page as struct kvm_run takes; behind it the header and first entries of the coalesced ring. */
const RUN_BYTES = 2352;
const RING_AT = 4096;
const RING_BYTES = 512;

const EL1H_MASKED = 0x3c5n;
/** MMU and caches off, RES1 of Armv8.0 set. */
const SCTLR = 0x30d0_0800n;
const LAUNCH_REGISTERS = 8;

const launchIds = BigUint64Array.from([
  ...Array.from({ length: LAUNCH_REGISTERS }, (_, n) => x(n as 0)),
  x(29),
  sp,
  spEl1,
  pc,
  pstate,
  sysReg("SCTLR_EL1"),
  sysReg("VBAR_EL1"),
  sysReg("MDSCR_EL1"),
]);

/** What is looked at after each run: a dump sees the others. */
export const watched = BigUint64Array.from([
  ...Array.from({ length: LAUNCH_REGISTERS }, (_, n) => x(n as 0)),
  pc,
  pstate,
  sysReg("ESR_EL1"),
  elrEl1,
]);

const fine = (parts: readonly Part[], value = 0): Outcome => ({ threw: null, value, parts });

/** Runs, and says what is to be seen afterwards. A fault of the caller's thread is an errno here as well. */
function seen(cpu: VcpuFd, errno: number, more: readonly Part[]): Outcome {
  const registers = new Uint8Array(watched.length * 8);
  const refused = new Int32Array(1);
  let count = 0;
  try {
    count = cpu.getRegs(watched, registers, refused);
  } catch {
    // A dead VM: the errno of the run says so.
  }
  const { runPage } = cpu;
  return fine(
    [
      { name: "run", bytes: runPage.subarray(0, RUN_BYTES) },
      { name: "zones", bytes: runPage.subarray(RING_AT, RING_AT + RING_BYTES) },
      { name: "registers", bytes: registers.subarray(0, count * 8) },
      ...more,
    ],
    errno,
  );
}

function runNow(cpu: VcpuFd, plan: RunPlan): number {
  // Asking refuses for a dead VM: then it can not sleep either.
  const awake = cpu.getMpState() === KVM_MP_STATE.RUNNABLE;
  if (!plan.free || !awake) cpu.kick();
  return cpu.runSync();
}

/** Ends an access that waits for userspace, without running the guest. */
function immediate(cpu: VcpuFd): number {
  cpu.runPage[runOffsets.immediate_exit] = 1;
  const errno = cpu.runSync();
  cpu.runPage[runOffsets.immediate_exit] = 0;
  return errno;
}

function launch(world: World, cpu: VcpuFd, code: Uint8Array, values: Uint8Array, plan: RunPlan): Outcome {
  const map = plan.ram === null ? undefined : (world.get(plan.ram.map) as Mapping | undefined);
  if (map === undefined || plan.ram === null) return fine([], -1);
  const first = immediate(cpu);
  const memory = new Uint8Array(map.buffer, map.offset + plan.ram.offset, DATA + DATA_BYTES);
  memory.set(image(code));
  const registers = new BigUint64Array(launchIds.length);
  const view = new DataView(values.buffer, values.byteOffset, values.byteLength);
  for (let n = 0; n < LAUNCH_REGISTERS; n++) registers[n] = view.getBigUint64(8 * n, true);
  const data = RAM + BigInt(DATA);
  registers.set([data, data + 0x800n, data + 0xc00n, RAM, EL1H_MASKED, SCTLR, RAM + BigInt(VECTORS), 0n], 8);
  const refused = new Int32Array(1);
  const set = cpu.setRegs(launchIds, new Uint8Array(registers.buffer), refused);
  const steps = new Int32Array([first, set, set < launchIds.length ? refused[0]! : 0]);
  const head = { name: "launch", bytes: new Uint8Array(steps.buffer) };
  if (set < launchIds.length || first !== 4) return fine([head], -2);
  const errno = runNow(cpu, plan);
  return seen(cpu, errno, [head, { name: "memory", bytes: memory.subarray(DATA) }]);
}

/** Where the data of an MMIO exit is. */
const MMIO_DATA = runOffsets["mmio.data"];

function resume(cpu: VcpuFd, data: Uint8Array | null, plan: RunPlan): Outcome {
  const page = cpu.runPage;
  const reason = new DataView(page.buffer, page.byteOffset).getUint32(runOffsets.exit_reason, true);
  if (data !== null && reason === KVM_EXIT.MMIO && page[runOffsets["mmio.is_write"]] === 0) page.set(data, MMIO_DATA);
  return seen(cpu, runNow(cpu, plan), []);
}

/** All registers there are. */
function dump(cpu: VcpuFd): Outcome {
  const ids = cpu.getRegList();
  let bytes = 0;
  for (const id of ids) bytes += 1 << Number((id >> 52n) & 15n);
  const values = new Uint8Array(bytes);
  const refused = new Int32Array(1);
  const count = cpu.getRegs(ids, values, refused);
  return fine(
    [
      { name: "list", bytes: new Uint8Array(ids.buffer, ids.byteOffset, ids.byteLength) },
      { name: "values", bytes: values },
    ],
    count < ids.length ? -refused[0]! : count,
  );
}

export function perform(world: World, verb: string, cpu: VcpuFd, args: readonly unknown[], plan: RunPlan): Outcome {
  switch (verb) {
    case "cpu.run":
      return resume(cpu, args[0] as Uint8Array | null, plan);
    case "cpu.runImmediate":
      return seen(cpu, immediate(cpu), []);
    case "cpu.launch":
      return launch(world, cpu, args[0] as Uint8Array, args[1] as Uint8Array, plan);
    case "cpu.dump":
      return dump(cpu);
    default:
      throw new Error(`there is no verb ${verb}`);
  }
}
