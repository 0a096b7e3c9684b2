// Asks a backend about registers, exhaustively, and writes down what it says: one line for each question. Two backends that
// are the same host on the same kernel write the same lines.

import { CoreWord } from "../../lib/arm64/reg-id.js";
import { sysRegById } from "../../lib/arm64/sysregs.js";
import type { SystemFd, VcpuFd, VmFd } from "../../lib/backend.js";
import { isRefusal } from "../../lib/errors.js";
import { caps } from "../../lib/uapi/caps.js";
import { errnoName } from "../../lib/uapi/errno.js";
import { pack, run, structs } from "../../lib/uapi/structs.js";

/** Takes an answer: what was asked, and what the backend said. */
export type Write = (question: string, answer: string) => void;

const ARM64 = 0x6000_0000_0000_0000n;
const SYSREG = ARM64 | 0x0030_0000_0013_0000n;
const idOf = (log2Bytes: number, low: number): bigint => ARM64 | (BigInt(log2Bytes) << 52n) | BigInt(low);
const bytesOf = (id: bigint): number => 1 << Number((id >> 52n) & 15n);
const hex = (n: bigint | number): string => n.toString(16);

/** Registers whose values move by themselves. */
const volatileNames = /^(CNTVCT|CNTPCT)_EL0$|^PMCCNTR_EL0$|^PMEVCNTR/;

const one = new BigUint64Array(1);
const refusal = new Int32Array(1);
const buffers = Array.from({ length: 16 }, (_, log2) => new Uint8Array(1 << log2));

function text(bytes: Uint8Array): string {
  let end = bytes.length;
  while (end > 1 && bytes[end - 1] === 0) end--;
  return Buffer.from(bytes.subarray(0, end))
    .reverse()
    .toString("hex")
    .replace(/^0(?=.)/, "");
}

/** QEMU's DBGVCR32_EL2 reads as what was in the destination before: what a run of AArch32 leaves in it is nothing. */
const isDebris = (id: bigint, value: string): boolean => id === (SYSREG | 0xa038n) && value === "1de7ec7edbadc0de";

function get(cpu: VcpuFd, id: bigint): string {
  one[0] = id;
  const value = buffers[Number((id >> 52n) & 15n)]!;
  value.fill(0xa5);
  if (cpu.getRegs(one, value, refusal) === 0) return errnoName(refusal[0]!);
  const said = text(value);
  if (isDebris(id, said)) return "0";
  return volatileNames.test(sysRegById(id)?.name ?? "") ? "volatile" : said;
}

function set(cpu: VcpuFd, id: bigint, value: Uint8Array): string {
  one[0] = id;
  return cpu.setRegs(one, value, refusal) === 0 ? errnoName(refusal[0]!) : "OK";
}

const word = new Uint8Array(8);
function setWord(cpu: VcpuFd, id: bigint, value: bigint): string {
  new DataView(word.buffer).setBigUint64(0, BigInt.asUintN(64, value), true);
  return set(cpu, id, word.subarray(0, Math.min(8, bytesOf(id))));
}

/** What a call says: "OK", what it gives, or an errno. */
function say(call: () => unknown): string {
  try {
    const given = call();
    return given === undefined ? "OK" : String(given);
  } catch (error) {
    if (isRefusal(error)) return errnoName(error.errno);
    throw error;
  }
}

const init = (cpu: VcpuFd, features: number, target = 5, more = 0) =>
  say(() => cpu.armVcpuInit(pack(structs.kvm_vcpu_init, { target, features: [features, more] })));

function list(cpu: VcpuFd): bigint[] | string {
  try {
    return [...cpu.getRegList()];
  } catch (error) {
    if (isRefusal(error)) return errnoName(error.errno);
    throw error;
  }
}

const listText = (cpu: VcpuFd): string => {
  const ids = list(cpu);
  return typeof ids === "string" ? ids : ids.map(hex).join(" ");
};

// ---- which ids

/** Every id of the spaces that are small, and samples of what lies beside them. */
function* idsBeside(): Generator<bigint> {
  for (let log2 = 0; log2 < 16; log2++) {
    for (let at = 0; at < 220; at++) yield idOf(log2, 0x10_0000 + at);
    for (const at of [0xffff, 0x100, 0x1000]) yield idOf(log2, 0x10_0000 + at);
    for (let at = 0; at < 0x20; at++) for (const space of [0x11, 0x14, 0x16]) yield idOf(log2, (space << 16) + at);
    for (const at of [0, 0x10, 0x20, 0x400, 0x600, 0x610, 0x620, 0xffff, 0xfffe]) yield idOf(log2, 0x15_0000 + at);
    for (let space = 0; space < 0x20; space++) yield idOf(log2, space << 16);
    for (const bit of [28, 29, 30, 31]) {
      for (const low of [0x10_0000, 0x11_0000, 0x13_c080, 0x14_0000, 0x15_0000, 0x16_0000]) {
        yield idOf(log2, low) | (1n << BigInt(bit));
      }
    }
  }
  for (let space = 0; space < 0x1000; space++) if (space !== 0x10) yield idOf(3, 0) | (BigInt(space) << 16n);
  for (let at = 0; at < 0x100; at++) for (const space of [0x14, 0x16]) yield idOf(3, (space << 16) + at);
  for (let at = 0; at < 0x100; at++) yield idOf(2, 0x11_0000 + at);
  for (let at = 0; at <= 0xff00; at += 0x100) yield idOf(2, 0x11_0000 + at);
  for (let at = 0; at < 0x800; at++) for (const log2 of [5, 8]) yield idOf(log2, 0x15_0000 + at);
  for (const log2 of [0, 1, 2, 4, 5, 6, 7, 8]) {
    for (const low of [0xc000, 0xc080, 0xdf19, 0xdf1a, 0xc512, 0xe180]) yield idOf(log2, 0x13_0000 + low);
  }
  for (let bit = 32; bit < 64; bit++) yield idOf(3, 0x10_0000) ^ (1n << BigInt(bit));
  for (const arch of [0x40n, 0x10n, 0x20n, 0x50n, 0x70n, 0x80n]) yield (arch << 56n) | 0x30_0000_0010_0000n;
}

/** The ids of system registers that some kernel may know. */
const known: bigint[] = [];
for (let at = 0; at < 0x1_0000; at++) {
  const id = SYSREG | BigInt(at);
  // All of op0 3, op1 0, CRn 0, where feature registers are, and what has a name.
  if ((at >= 0xc000 && at < 0xc080) || sysRegById(id) !== undefined) known.push(id);
}

function sweepAll(cpu: VcpuFd, phase: string, write: Write): void {
  for (let at = 0; at < 0x1_0000; at++) {
    const id = SYSREG | BigInt(at);
    const said = get(cpu, id);
    if (said !== "ENOENT" || known.includes(id)) write(`${phase} get ${hex(id)}`, said);
  }
  for (const id of idsBeside()) write(`${phase} get ${hex(id)}`, get(cpu, id));
}

function sweepKnown(cpu: VcpuFd, phase: string, write: Write): void {
  write(`${phase} list`, listText(cpu));
  for (const id of known) write(`${phase} get ${hex(id)}`, get(cpu, id));
  const ids = list(cpu);
  if (typeof ids === "string") return;
  for (const id of ids) if (((id >> 16n) & 0xfffn) !== 0x13n) write(`${phase} get ${hex(id)}`, get(cpu, id));
}

const isIdRegister = (id: bigint): boolean =>
  (id >= (SYSREG | 0xc008n) && id < (SYSREG | 0xc040n)) ||
  [0xc000n, 0xc006n, 0xc801n, 0xc807n, 0xd801n].includes(id & 0xffffn);

const isMpidr = (id: bigint): boolean => id === (SYSREG | 0xc005n);

function sweepSets(cpu: VcpuFd, phase: string, write: Write): void {
  const ids = list(cpu);
  if (typeof ids === "string") return;
  for (const id of ids) {
    const bytes = bytesOf(id);
    const before = new Uint8Array(bytes);
    cpu.getOneReg(id, before);
    const put = (what: string, value: Uint8Array) => {
      write(`${phase} set ${what} ${hex(id)}`, set(cpu, id, value));
      write(`${phase} after ${what} ${hex(id)}`, get(cpu, id));
    };
    put("same", before);
    put("zero", new Uint8Array(bytes));
    put("ones", new Uint8Array(bytes).fill(0xff));
    put(
      "pattern",
      new Uint8Array(bytes).map((_, n) => 0x11 * (n + 3)),
    );
    put("same again", before);
  }
}

/** What a run leaves of values: hardware that has fewer bits keeps fewer. */
function sweepRetention(cpu: VcpuFd, phase: string, write: Write): void {
  const ids = list(cpu);
  if (typeof ids === "string") return;
  const raw = ids.filter((id) => {
    const name = sysRegById(id)?.name;
    return name !== undefined && id > (SYSREG | 0xc040n) && !/^(PM|CNT)/.test(name) && !isIdRegister(id);
  });
  for (const value of [-1n, 0x5555_5555_5555_5555n, 0xaaaa_aaaa_aaaa_aaaan, 0n]) {
    for (const id of raw) write(`${phase} retain ${hex(id)} ${value}`, setWord(cpu, id, value));
    write(`${phase} retain ${value} run`, runOnce(cpu));
    for (const id of raw) write(`${phase} retained ${hex(id)} ${value}`, get(cpu, id));
  }
}

/** Each bit of each ID register, flipped from its limit and back. */
function sweepFlips(cpu: VcpuFd, phase: string, write: Write): void {
  for (const id of known.filter((one) => isIdRegister(one))) {
    const limit = new Uint8Array(8);
    one[0] = id;
    if (cpu.getRegs(one, limit, refusal) === 0) continue;
    const value = new DataView(limit.buffer).getBigUint64(0, true);
    const saidOf = (wanted: bigint): string => {
      const said = setWord(cpu, id, wanted);
      const back = get(cpu, id);
      if (said !== "OK") return back === hex(value) ? said : `${said} ${back}`;
      return `${said} ${back}`;
    };
    for (let bit = 0n; bit < 64n; bit++) {
      const question = `${phase} flip ${hex(id)} ${bit}`;
      const said = saidOf(value ^ (1n << bit));
      write(question, said);
      if (said.startsWith("OK")) {
        write(`${question} list`, String((list(cpu) as bigint[]).length));
        write(`${question} back`, setWord(cpu, id, value));
      }
    }
    // Each field to each value.
    for (let lsb = 0n; lsb < 64n; lsb += 4n) {
      for (let wanted = 0n; wanted < 16n; wanted++) {
        const said = saidOf((value & ~(15n << lsb)) | (wanted << lsb));
        write(`${phase} field ${hex(id)} ${lsb} ${wanted}`, said);
        setWord(cpu, id, value);
      }
    }
  }
}

const core = (at: number): bigint => idOf(3, 0x10_0000 + at);
const PSTATE = core(CoreWord.pstate);

function sweepPstate(cpu: VcpuFd, phase: string, write: Write): void {
  const registers = [0, 1, 13, 14, 15, 16, 30].map((n) => core(2 * n)).concat(core(CoreWord.pc), core(CoreWord.sp));
  registers.push(core(CoreWord.SP_EL1), core(CoreWord.ELR_EL1), core(CoreWord.SPSR_EL1), core(CoreWord.SPSR_abt));
  for (let mode = 0; mode < 32; mode++) {
    for (const above of [0n, 0x3c0n, 0xffff_ffff_ffff_ffe0n]) {
      for (const id of registers) setWord(cpu, id, 0x1234_5678_9abc_def0n);
      const question = `${phase} pstate ${hex(above | BigInt(mode))}`;
      write(question, setWord(cpu, PSTATE, above | BigInt(mode)));
      write(`${question} after`, [PSTATE, ...registers].map((id) => get(cpu, id)).join(" "));
      for (const id of registers) setWord(cpu, id, 0xfedc_ba98_7654_3210n);
      write(`${question} wide`, registers.map((id) => get(cpu, id)).join(" "));
    }
  }
  write(`${phase} pstate back`, setWord(cpu, PSTATE, 0x3c5n) + setWord(cpu, PSTATE, 0x1d3n));
}

/** SETs of ids that may not exist: the checks before the value is looked at. */
function sweepSetIds(cpu: VcpuFd, phase: string, write: Write): void {
  const zero = buffers.map((buffer) => new Uint8Array(buffer.length));
  for (const id of idsBeside()) write(`${phase} set ${hex(id)}`, set(cpu, id, zero[Number((id >> 52n) & 15n)]!));
  for (const id of known) {
    const said = get(cpu, id);
    if (said === "ENOENT") write(`${phase} set ${hex(id)}`, setWord(cpu, id, 0n));
  }
}

function sweepFirmware(cpu: VcpuFd, phase: string, write: Write): void {
  for (const low of [0x14_0000, 0x14_0001, 0x14_0002, 0x14_0003, 0x16_0000, 0x16_0001, 0x16_0002, 0x16_0003]) {
    const id = idOf(3, low);
    const before = get(cpu, id);
    const values = Array.from({ length: 64 }, (_, n) => BigInt(n));
    for (let bit = 6n; bit < 64n; bit++) values.push(1n << bit);
    values.push(0x1_0000n, 0x1_0001n, 0x1_0002n, 0x1_0003n, 0x1_0004n, 0x2_0000n, -1n, 0x1_0000_0002n);
    for (const value of values) {
      write(`${phase} firmware ${hex(id)} ${hex(value)}`, `${setWord(cpu, id, value)} ${get(cpu, id)}`);
    }
    if (/^[0-9a-f]+$/.test(before)) write(`${phase} firmware ${hex(id)} back`, setWord(cpu, id, BigInt(`0x${before}`)));
  }
}

function sweepLengths(cpu: VcpuFd, phase: string, write: Write): void {
  const vls = idOf(6, 0x15_ffff);
  const limit = new Uint8Array(64);
  one[0] = vls;
  if (cpu.getRegs(one, limit, refusal) === 0) {
    write(`${phase} vls`, errnoName(refusal[0]!));
    return;
  }
  write(`${phase} vls`, text(limit));
  const view = new DataView(limit.buffer);
  const whole = view.getBigUint64(0, true);
  const put = (low: bigint, high = 0n) => {
    const bytes = new Uint8Array(64);
    new DataView(bytes.buffer).setBigUint64(0, low, true);
    new DataView(bytes.buffer).setBigUint64(56, high, true);
    write(`${phase} vls ${hex(low)} ${hex(high)}`, `${set(cpu, vls, bytes)} ${get(cpu, vls)}`);
  };
  for (let bits = 0n; bits < 0x200n; bits++) put(bits);
  for (let bit = 0n; bit < 64n; bit++) {
    put(1n << bit);
    put((1n << bit) - 1n);
    put(whole & ((1n << bit) - 1n));
    put(whole ^ (1n << bit));
  }
  put(whole, 1n);
  put(0n, 1n);
  put(whole);
}

function sweepVectors(cpu: VcpuFd, phase: string, write: Write): void {
  for (const [n, low, log2] of [
    [0, 0, 8],
    [31, 31 << 5, 8],
    [0, 0x400, 5],
    [15, 0x400 + (15 << 5), 5],
    [16, 0x600, 5],
  ] as const) {
    const id = idOf(log2, 0x15_0000 + low);
    const value = new Uint8Array(1 << log2).map((_, at) => (at * 7 + n + 1) & 255);
    write(`${phase} vector ${hex(id)}`, `${set(cpu, id, value)} ${get(cpu, id)}`);
  }
}

function sweepCaches(cpu: VcpuFd, phase: string, write: Write): void {
  for (let csselr = 0; csselr < 14; csselr++) {
    const id = idOf(2, 0x11_0000 + csselr);
    const before = get(cpu, id);
    for (let bit = 0; bit < 32; bit++) {
      write(`${phase} ccsidr ${csselr} ${bit}`, `${setWord(cpu, id, 1n << BigInt(bit))} ${get(cpu, id)}`);
    }
    for (let line = 0n; line < 8n; line++) {
      write(`${phase} ccsidr ${csselr} line ${line}`, `${setWord(cpu, id, 0xff_e018n | line)} ${get(cpu, id)}`);
    }
    if (/^[0-9a-f]+$/.test(before)) write(`${phase} ccsidr ${csselr} back`, setWord(cpu, id, BigInt(`0x${before}`)));
  }
}

function sweepClidr(cpu: VcpuFd, phase: string, write: Write): void {
  const id = SYSREG | 0xc801n;
  for (let lsb = 0n; lsb < 64n; lsb++) {
    for (const value of [1n << lsb, 7n << lsb, (1n << lsb) - 1n]) {
      write(`${phase} clidr ${hex(value & 0xffff_ffff_ffff_ffffn)}`, `${setWord(cpu, id, value)} ${get(cpu, id)}`);
    }
  }
}

// ---- what is no register, but of a vCPU

function events(cpu: VcpuFd): string {
  const out = new Uint8Array(64).fill(0xa5);
  return `${say(() => cpu.getVcpuEvents(out))} ${text(out)}`;
}

function sweepEvents(cpu: VcpuFd, phase: string, write: Write): void {
  write(`${phase} events`, events(cpu));
  const put = (what: string, bytes: readonly (readonly [at: number, value: number])[]) => {
    setWord(cpu, core(CoreWord.pc), 0x4000_0100n);
    setWord(cpu, PSTATE, 0x3c5n);
    const wanted = new Uint8Array(64);
    for (const [at, value] of bytes) wanted[at] = value;
    write(
      `${phase} events ${what}`,
      say(() => cpu.setVcpuEvents(wanted)),
    );
    write(`${phase} events ${what} after`, events(cpu));
    const after = [CoreWord.pc, CoreWord.pstate, CoreWord.ELR_EL1, CoreWord.SPSR_EL1].map(core);
    after.push(SYSREG | 0xc290n, SYSREG | 0xc300n, SYSREG | 0xc609n);
    write(`${phase} events ${what} registers`, after.map((id) => get(cpu, id)).join(" "));
  };
  put("none", []);
  for (let at = 3; at < 64; at++) if (at < 8 || at >= 16) put(`pad ${at}`, [[at, 1]]);
  put("esr without pending", [[8, 1]]);
  put("has esr without pending", [[1, 1]]);
  put("abort", [[2, 1]]);
  put("abort 2", [[2, 2]]);
  for (let at = 8; at < 16; at++) for (const value of [1, 0x80]) put(`esr ${at} ${value}`, [[0, 1], [1, 1], [at, value]]); // biome-ignore format: one
  put("pending 2", [[0, 2]]);
  put("has esr 2", [[0, 1], [1, 2], [8, 5]]); // biome-ignore format: one
  put("pending", [[0, 1]]);
  put("pending with unused esr", [[0, 1], [8, 9]]); // biome-ignore format: one
  put("both", [[0, 1], [2, 1]]); // biome-ignore format: one
}

function sweepOthers(cpu: VcpuFd, phase: string, write: Write): void {
  for (let state = 0; state < 16; state++) {
    write(`${phase} mp_state ${state}`, `${say(() => cpu.setMpState(state))} ${say(() => cpu.getMpState())}`);
  }
  cpu.setMpState(0);
  for (let bit = 0; bit < 32; bit++) {
    const debug = pack(structs.kvm_guest_debug, { control: (1 << bit) >>> 0 });
    write(
      `${phase} debug ${bit}`,
      say(() => cpu.setGuestDebug(debug)),
    );
  }
  for (const control of [0, 0x3_0003, 0x2_0001]) {
    const padded = pack(structs.kvm_guest_debug, { control });
    padded[4] = 1;
    write(
      `${phase} debug padded ${hex(control)}`,
      say(() => cpu.setGuestDebug(padded)),
    );
  }
  write(
    `${phase} debug off`,
    say(() => cpu.setGuestDebug(pack(structs.kvm_guest_debug, {}))),
  );
  for (const length of [0, 1, 4, 7, 8, 9, 16, 128]) {
    write(
      `${phase} signal mask ${length}`,
      say(() => cpu.setSignalMask(new Uint8Array(length))),
    );
  }
  write(
    `${phase} signal mask none`,
    say(() => cpu.setSignalMask(null)),
  );
  for (const feature of [-1, 0, 1, 2, 3, 5, 6, 7, 8, 9, 31, 32]) {
    write(
      `${phase} finalize ${feature}`,
      say(() => cpu.armVcpuFinalize(feature)),
    );
  }
}

// ---- all of it

function runOnce(cpu: VcpuFd): string {
  cpu.runPage[run.immediate_exit] = 1;
  try {
    return errnoName(cpu.runSync());
  } finally {
    cpu.runPage[run.immediate_exit] = 0;
  }
}

const MTE = 1 << 16;
const enable = (vm: VmFd, cap: number) => say(() => vm.enableCap(pack(structs.kvm_enable_cap, { cap })));

/** A VM with a vCPU: `features` are bits of features[0], and `MTE` the capability. */
function makeVm(system: SystemFd, features: number): [VmFd, VcpuFd] {
  const vm = system.createVm(0n);
  if (features & MTE) enable(vm, caps.ARM_MTE);
  return [vm, vm.createVcpu(0)];
}

/** The feature words that INIT accepts here, of all that there are; each is asked on a VM of its own. */
function sweepInit(system: SystemFd, write: Write): number[] {
  const accepted: number[] = [];
  write("cap mte", String(system.checkExtension(caps.ARM_MTE)));
  for (const mte of system.checkExtension(caps.ARM_MTE) ? [0, MTE] : [0]) {
    for (let features = 0; features < 0x400; features++) {
      // Bits 7 to 9 alone, and with PSCI: where they are not refused, all of them.
      if (features >= 0x200 && features !== 0x200) continue;
      const [vm, cpu] = makeVm(system, features | mte);
      const said = init(cpu, features);
      write(`init ${hex(features | mte)}`, said);
      if (said === "OK") accepted.push(features | mte);
      cpu.close();
      vm.close();
    }
  }
  return accepted;
}

/** Pairs of INITs on one vCPU, and on two of a VM. */
function sweepTwoInits(system: SystemFd, accepted: readonly number[], write: Write): void {
  const words = [...new Set([0, 1, 2, 4, 5, 6, 8, 0x10, 0x60, 0x20, 0x7c, ...accepted.slice(-3)])].filter(
    (w) => w < MTE,
  );
  for (const first of words) {
    for (const second of words) {
      const vm = system.createVm(0n);
      const cpu = vm.createVcpu(0);
      const other = vm.createVcpu(1);
      const question = `init ${hex(first)}`;
      init(cpu, first);
      write(`${question} other ${hex(second)}`, init(other, second));
      write(`${question} again ${hex(second)}`, `${init(cpu, second)} ${say(() => cpu.getMpState())}`);
      write(`${question} other afterwards`, `${init(other, first)} ${say(() => other.getMpState())}`);
      for (const it of [cpu, other, vm]) it.close();
    }
  }
  const [vm, cpu] = makeVm(system, 0);
  for (const target of [0, 1, 4, 6, 0xffff_ffff]) write(`init target ${target}`, init(cpu, 0x200, target));
  write("init word 1", init(cpu, 0, 5, 1));
  write("init word 1 and unsupported", init(cpu, 0xffff_ffff, 5, 1));
  cpu.close();
  vm.close();
}

/** One vCPU's life. `depth`: which of the long questions are asked. */
function life(system: SystemFd, features: number, depth: "all" | "known", write: Write): void {
  const [vm, cpu] = makeVm(system, features);
  const at = (phase: string) => `[${hex(features)}] ${phase}`;
  for (const id of [idOf(3, 0x10_0000), idOf(3, 0x13_c080), 0n, idOf(2, 0x11_0000), idOf(8, 0x15_0000)]) {
    write(at(`early get ${hex(id)}`), get(cpu, id));
    write(at(`early set ${hex(id)}`), set(cpu, id, new Uint8Array(bytesOf(id))));
  }
  write(at("early list"), listText(cpu));
  write(
    at("early finalize"),
    say(() => cpu.armVcpuFinalize(4)),
  );
  write(at("early run"), runOnce(cpu));
  write(at("early events"), events(cpu));
  write(
    at("early set events"),
    say(() => cpu.setVcpuEvents(new Uint8Array(64))),
  );
  sweepOthers(cpu, at("early"), write);
  write(at("init"), init(cpu, features & 0xffff));
  const sve = (features & 0x10) !== 0;
  if (sve) {
    sweepKnown(cpu, at("unfinalized"), write);
    if (depth === "all") for (const id of idsBeside()) write(at(`unfinalized get ${hex(id)}`), get(cpu, id));
    write(at("unfinalized run"), runOnce(cpu));
    sweepLengths(cpu, at("unfinalized"), write);
    write(at("unfinalized init again"), init(cpu, features & 0xffff));
  } else sweepLengths(cpu, at("init"), write);
  write(
    at("finalize"),
    say(() => cpu.armVcpuFinalize(4)),
  );
  if (depth === "all") sweepAll(cpu, at("ready"), write);
  sweepKnown(cpu, at("ready"), write);
  sweepOthers(cpu, at("ready"), write);
  if (depth === "all") {
    sweepSetIds(cpu, at("ready"), write);
    write(at("init again"), init(cpu, features & 0xffff));
  }
  sweepFlips(cpu, at("ready"), write);
  sweepSets(cpu, at("ready"), write);
  write(at("init again after sets"), init(cpu, features & 0xffff));
  sweepKnown(cpu, at("again"), write);
  sweepPstate(cpu, at("ready"), write);
  sweepVectors(cpu, at("ready"), write);
  sweepCaches(cpu, at("ready"), write);
  sweepClidr(cpu, at("ready"), write);
  sweepFirmware(cpu, at("ready"), write);
  sweepEvents(cpu, at("ready"), write);
  write(at("init for the run"), init(cpu, features & 0xffff));
  write(at("run"), runOnce(cpu));
  sweepKnown(cpu, at("ran"), write);
  if (sve) sweepLengths(cpu, at("ran"), write);
  for (const id of known.filter((one) => isIdRegister(one) || isMpidr(one))) {
    const said = get(cpu, id);
    if (!/^[0-9a-f]+$/.test(said)) continue;
    const value = BigInt(`0x${said}`);
    for (const wanted of [value, value ^ 1n, value ^ 0x100n, 0n, -1n]) {
      write(at(`ran set ${hex(id)} ${hex(wanted)}`), `${setWord(cpu, id, wanted)} ${get(cpu, id)}`);
    }
  }
  sweepFirmware(cpu, at("ran"), write);
  sweepOthers(cpu, at("ran"), write);
  write(at("ran init again"), init(cpu, features & 0xffff));
  sweepKnown(cpu, at("ran again"), write);
  sweepRetention(cpu, at("ran"), write);
  cpu.close();
  vm.close();
}

/** The kernel's implementation registers, where a VM may replace them. */
function sweepImplementation(system: SystemFd, write: Write): void {
  const vm = system.createVm(0n);
  write("writable implementation", enable(vm, caps.ARM_WRITABLE_IMP_ID_REGS));
  const cpu = vm.createVcpu(0);
  write("writable implementation later", enable(vm, caps.ARM_WRITABLE_IMP_ID_REGS));
  write("mte later", enable(vm, caps.ARM_MTE));
  init(cpu, 0);
  sweepKnown(cpu, "implementation", write);
  sweepFlips(cpu, "implementation", write);
  for (const low of [0xc000n, 0xc006n, 0xc807n]) {
    write(`implementation set ${hex(low)}`, setWord(cpu, SYSREG | low, 0x12_3456n));
  }
  write("implementation init again", init(cpu, 0));
  runOnce(cpu);
  sweepKnown(cpu, "implementation ran", write);
  for (const low of [0xc000n, 0xc006n, 0xc807n]) {
    for (const value of [0x12_3456n, 1n, -1n]) {
      write(`implementation ran set ${hex(low)} ${hex(value)}`, setWord(cpu, SYSREG | low, value));
    }
  }
  cpu.close();
  vm.close();
}

/** The feature words whose lives are asked about: the least and the most, and each feature alone. */
export function chosen(accepted: readonly number[]): number[] {
  const most = Math.max(...accepted.filter((word) => (word & 0x182) === 0 && word < MTE));
  const wanted = [0, 4, 8, 0x10, 0x60, 2, 6, 0x84, 0x184, most | 0x80, most | 0x180, most, MTE, most | MTE, MTE | 0x84];
  return [...new Set(wanted)].filter((word) => accepted.includes(word));
}

/** The whole sweep, or only the lives of vCPUs with these feature words. */
export function sweepRegisters(system: SystemFd, write: Write, only?: readonly number[]): void {
  if (only !== undefined) {
    for (const word of only) life(system, word, "known", write);
    return;
  }
  const accepted = sweepInit(system, write);
  sweepTwoInits(system, accepted, write);
  const words = chosen(accepted);
  const most = words.filter((word) => word < MTE).at(-1);
  for (const word of words) life(system, word, word === most || word === 0 ? "all" : "known", write);
  sweepImplementation(system, write);
  const masks = new BigUint64Array(192);
  const vm = system.createVm(0n);
  for (const range of [0, 1]) {
    write(
      `masks ${range}`,
      say(() => vm.armGetRegWritableMasks(range, masks)),
    );
    write(`masks ${range} values`, [...masks].map(hex).join(" "));
  }
  vm.close();
}
