// ID registers as the guest reads them: what KVM_GET_ONE_REG says, lowered or not. Documentation/virt/kvm/api.rst 4.139.

import assert from "node:assert/strict";
import { FEATURE_ID_SPACE_SIZE, featureIdEncoding } from "../../lib/arm64/feature-id-space.js";
import type { RegId } from "../../lib/arm64/reg-id.js";
import { pc, sysReg, sysRegEncoding, x } from "../../lib/arm64/registers.js";
import type { Encoding } from "../../lib/arm64/sysreg-row.js";
import { packEncoding, sysRegByEncoding } from "../../lib/arm64/sysregs.js";
import type { Vcpu } from "../../lib/vcpu.js";
import { mov64, mrs, store } from "../support/assemble.js";
import { type Host, needs, onEveryBackend } from "../support/backends.js";
import { finish, type Guest, makeGuest, RAM, runToFinish } from "../support/guest.js";
import { hasAArch32, idOf, idRows, lowest } from "../support/id-fields.js";
import { setVectors } from "../support/vectors.js";

const IL = 1n << 25n;

/** Where the guest leaves what it read: a word for each register, in the order of the list. */
const READ_AT = 0x8000;

/** Those of the feature-ID space but for ID registers: MIDR, MPIDR, REVIDR; CLIDR, AIDR; CTR. */
const others = ["3,0,0,0,0", "3,0,0,0,5", "3,0,0,0,6", "3,1,0,0,1", "3,1,0,0,7", "3,3,0,0,1"];

/** The registers that say what the CPU is; those from CRm 1 on are ID registers, or reserved and read as 0. */
const encodings: readonly Encoding[] = Array.from({ length: FEATURE_ID_SPACE_SIZE }, (_, i) =>
  featureIdEncoding(i),
).filter((encoding) => (encoding[1] === 0 && encoding[3] >= 1) || others.includes(String(encoding)));

const idOfEncoding = ([op0, op1, crn, crm, op2]: Encoding): RegId<64> => sysRegEncoding(op0, op1, crn, crm, op2);
const nameOf = (encoding: Encoding): string => sysRegByEncoding(packEncoding(encoding))?.name ?? encoding.join(",");
const text = (values: readonly bigint[]): string[] =>
  values.map((value, i) => `${nameOf(encodings[i] as Encoding)} 0x${value.toString(16)}`);

/** mrs x0, register; str x0, [x1, #offset]: for each register. */
const program = [
  ...mov64(1, RAM + BigInt(READ_AT)),
  ...encodings.flatMap((encoding, i) => [mrs(0, encoding), store(8, 0, 1, 8 * i)]),
  ...finish,
];

const valuesOf = (cpu: Vcpu): bigint[] => encodings.map((encoding) => cpu.getReg(idOfEncoding(encoding)));

/** What the guest reads. */
async function guestReads({ cpu, ram }: Guest): Promise<bigint[]> {
  cpu.setReg(pc, RAM);
  await runToFinish(cpu);
  const view = new DataView(ram.bytes.buffer, ram.bytes.byteOffset + READ_AT);
  return encodings.map((_, i) => view.getBigUint64(8 * i, true));
}

const guest = (host: Host): Guest => makeGuest(host, program);

/** Sets every ID register to the lowest that it takes. Gives the values. */
function lowerAll(host: Host, cpu: Vcpu): Map<string, bigint> {
  const lowered = idRows
    .filter((row) => row.kernels.includes(host.kernel))
    .map((row) => [row, lowest(host.kernel, row, cpu.getReg(idOf(row)))] as const);
  for (const [row, value] of lowered) cpu.setReg(idOf(row), value);
  return new Map(lowered.map(([row, value]) => [row.name, value]));
}

onEveryBackend("ID registers in the guest", (host) => {
  it("read there as KVM_GET_ONE_REG says, those that are reserved as 0 too; CTR_EL0.IDC in 6.1 as the hardware has it", async () => {
    const made = guest(host);
    const IDC = 1n << 28n;
    const compared = (values: readonly bigint[]) =>
      values.map((value, i) => {
        const isCtr = nameOf(encodings[i] as Encoding) === "CTR_EL0";
        return isCtr && host.kernel === "6.1" ? value & ~IDC : value;
      });
    const read = await guestReads(made);
    assert.deepEqual(text(compared(read)), text(compared(valuesOf(made.cpu))));
  });

  it("that are not there trap as system registers, where the CPU has FEAT_IDST", async () => {
    const absent: readonly Encoding[] = [
      [3, 0, 0, 0, 1],
      [3, 1, 0, 0, 3],
      [3, 1, 0, 4, 5],
      [3, 3, 0, 0, 2],
    ];
    for (const encoding of absent) {
      const made = makeGuest(host, [mrs(9, encoding)]);
      setVectors(made);
      await runToFinish(made.cpu);
      const [op0, op1, crn, crm, op2] = encoding.map(BigInt) as [bigint, bigint, bigint, bigint, bigint];
      const iss = (op0 << 20n) | (op2 << 17n) | (op1 << 14n) | (crn << 10n) | (9n << 5n) | (crm << 1n) | 1n;
      const idst = ((made.cpu.getReg(sysReg("ID_AA64MMFR2_EL1")) >> 36n) & 15n) !== 0n;
      assert.equal(made.cpu.getReg(sysReg("ESR_EL1")), idst ? (0x18n << 26n) | IL | iss : IL, String(encoding));
    }
  });

  it("lowered as far as they can be, all at once, read there as they were set", async function () {
    needs(this, host, "ARM_SUPPORTED_REG_MASK_RANGES");
    const made = guest(host);
    const lowered = lowerAll(host, made.cpu);
    const before = valuesOf(made.cpu);
    assert.ok([...lowered.values()].some((value, i) => value !== before[i]));
    const read = await guestReads(made);
    assert.deepEqual(text(read), text(valuesOf(made.cpu)));
    const GIC = 0xfn << 24n; // settled by the first run
    for (const [i, encoding] of encodings.entries()) {
      const mask = nameOf(encoding) === "ID_AA64PFR0_EL1" ? GIC : 0n;
      assert.equal((read[i] ?? 0n) & ~mask, (before[i] ?? 0n) & ~mask, nameOf(encoding));
    }
  });

  it("lowered, stay over a second INIT, each of them", function () {
    needs(this, host, "ARM_SUPPORTED_REG_MASK_RANGES");
    const { cpu } = makeGuest(host);
    const lowered = lowerAll(host, cpu);
    cpu.init();
    const aarch32 = hasAArch32(cpu);
    for (const row of idRows) {
      const value = lowered.get(row.name);
      if (value !== undefined && (aarch32 || row.name.startsWith("ID_AA64"))) {
        assert.equal(cpu.getReg(idOf(row)), value, row.name);
      }
    }
  });

  it("MPIDR_EL1, CLIDR_EL1 and CTR_EL0 read there as they were set", async function () {
    needs(this, host, "ARM_SUPPORTED_REG_MASK_RANGES");
    const { cpu } = makeGuest(host, [
      mrs(0, [3, 0, 0, 0, 5]), // mrs x0, mpidr_el1
      mrs(1, [3, 1, 0, 0, 1]), // mrs x1, clidr_el1
      mrs(2, [3, 3, 0, 0, 1]), // mrs x2, ctr_el0
      ...finish,
    ]);
    const [mpidr, clidr, ctr] = [sysReg("MPIDR_EL1"), sysReg("CLIDR_EL1"), sysReg("CTR_EL0")];
    const wanted = [
      cpu.getReg(mpidr) + 1n,
      cpu.getReg(clidr) | (3n << 18n), // a seventh level
      (cpu.getReg(ctr) & ~(1n << 29n)) - 1n, // DIC 0, IminLine one less
    ] as const;
    cpu.setReg(mpidr, wanted[0]);
    cpu.setReg(clidr, wanted[1]);
    cpu.setReg(ctr, wanted[2]);
    await runToFinish(cpu);
    assert.deepEqual([cpu.getReg(x(0)), cpu.getReg(x(1)), cpu.getReg(x(2))], wanted);
  });

  it("MIDR_EL1, REVIDR_EL1 and AIDR_EL1 read there as ARM_WRITABLE_IMP_ID_REGS let them be set", async function () {
    needs(this, host, "ARM_WRITABLE_IMP_ID_REGS");
    const { cpu } = makeGuest(
      host,
      [
        mrs(0, [3, 0, 0, 0, 0]), // mrs x0, midr_el1
        mrs(1, [3, 0, 0, 0, 6]), // mrs x1, revidr_el1
        mrs(2, [3, 1, 0, 0, 7]), // mrs x2, aidr_el1
        ...finish,
      ],
      { prepare: (vm) => vm.enableCap("ARM_WRITABLE_IMP_ID_REGS") },
    );
    const wanted = (["MIDR_EL1", "REVIDR_EL1", "AIDR_EL1"] as const).map((name) => {
      const value = cpu.getReg(sysReg(name)) + 1n;
      cpu.setReg(sysReg(name), value);
      return value;
    });
    await runToFinish(cpu);
    assert.deepEqual([cpu.getReg(x(0)), cpu.getReg(x(1)), cpu.getReg(x(2))], wanted);
  });
});
