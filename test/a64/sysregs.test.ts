import assert from "node:assert/strict";
import { type SysRegName, sysRegByName } from "../../lib/arm64/sysregs.js";
import { maintenanceOperations } from "../../lib/model/cpu/maintenance.js";
import { Guest, type GuestOptions, RAM } from "./guest.js";

const VECTORS = RAM + 0x800n;

function move(kind: "mrs" | "msr", name: SysRegName, rt: number): number {
  const [op0, op1, crn, crm, op2] = sysRegByName(name).encoding;
  const opcode = kind === "mrs" ? 0xd5300000 : 0xd5100000;
  return (opcode | ((op0 & 1) << 19) | (op1 << 16) | (crn << 12) | (crm << 8) | (op2 << 5) | rt) >>> 0;
}

/** Runs the program at EL1h. */
function run(program: number[], prepare: (guest: Guest) => void = () => {}, options: GuestOptions = {}): Guest {
  const guest = new Guest(options).program(...program);
  guest.state.set("VBAR_EL1", VECTORS);
  prepare(guest);
  guest.evaluator.run(program.length);
  return guest;
}

function isUndefined(guest: Guest): boolean {
  return guest.state.pc === VECTORS + 0x200n && guest.state.get("ESR_EL1") === 0x0200_0000n;
}

describe("system registers of the guest", () => {
  it("keep the bits that MSR may not change", () => {
    const guest = run([move("msr", "CNTV_CTL_EL0", 0)], ({ state }) => state.setX(0, 0xffn));

    assert.equal(guest.state.get("CNTV_CTL_EL0"), 3n);
  });

  it("are UNDEFINED without the feature that their row needs", () => {
    const guest = run([move("mrs", "ZCR_EL1", 0)]);

    assert.ok(isUndefined(guest));
  });

  it("are UNDEFINED to write where the row only lets read", () => {
    const guest = run([move("msr", "CurrentEL", 0)]);

    assert.ok(isUndefined(guest));
  });

  it("read as zero in the reserved part of the ID space", () => {
    const guest = run([0xd53807e0], ({ state }) => state.setX(0, 5n)); // mrs x0, S3_0_C0_C7_7

    assert.equal(guest.state.x(0), 0n);
  });

  it("give the counters of the environment", () => {
    const counter = (timer: string) => (timer === "virtual" ? 70n : 50n);
    const program = [move("mrs", "CNTVCT_EL0", 0), move("mrs", "CNTPCT_EL0", 1)];
    const guest = run(program, undefined, { environment: { counter } });

    assert.deepEqual([guest.state.x(0), guest.state.x(1)], [70n, 50n]);
  });

  it("set a timer's compare value through TVAL, relative to the counter and signed", () => {
    const options = { environment: { counter: () => 100n } };
    const guest = run([move("msr", "CNTV_TVAL_EL0", 0)], ({ state }) => state.setX(0, 0xffff_fff6n), options);

    assert.equal(guest.state.get("CNTV_CVAL_EL0"), 90n);
  });

  it("show ISTATUS of an enabled timer that has fired, and not of a disabled one", () => {
    const program = [move("mrs", "CNTV_CTL_EL0", 0), move("mrs", "CNTP_CTL_EL0", 1)];
    const guest = run(program, ({ state }) => state.set("CNTV_CTL_EL0", 1n), { environment: { counter: () => 100n } });

    assert.deepEqual([guest.state.x(0), guest.state.x(1)], [5n, 0n]);
  });

  it("tell the environment which register was written", () => {
    const written: string[] = [];
    const registerWritten = (name: string) => written.push(name);
    run([move("msr", "CNTV_CVAL_EL0", 0), move("msr", "CNTV_TVAL_EL0", 0)], undefined, {
      environment: { registerWritten },
    });

    assert.deepEqual(written, ["CNTV_CVAL_EL0", "CNTV_CVAL_EL0"]);
  });

  it("can live in the environment", () => {
    const options: GuestOptions = {
      environment: {
        has: () => true,
        readRegister: (name) => (name === "ICC_PMR_EL1" ? 0xf0n : undefined),
      },
    };
    const guest = run([move("mrs", "ICC_PMR_EL1", 0)], undefined, options);

    assert.equal(guest.state.x(0), 0xf0n);
  });

  it("lock the OS lock through OSLAR_EL1", () => {
    const guest = run([move("msr", "OSLAR_EL1", 0)], ({ state }) => {
      state.setX(0, 1n);
      state.set("OSLSR_EL1", 8n);
    });

    assert.equal(guest.state.get("OSLSR_EL1"), 10n);
  });

  it("do not give SP_EL0 while it is the current stack pointer", () => {
    const guest = run([move("mrs", "SP_EL0", 0)], ({ state }) => {
      state.pstate = 0x3c4n;
    });

    assert.equal(guest.state.pc, VECTORS);
  });

  it("take EL0's access to a gated counter to EL1 with the syndrome of the instruction", () => {
    const guest = run([move("mrs", "CNTVCT_EL0", 7)], ({ state }) => {
      state.pstate = 0n;
    });

    assert.equal(guest.state.get("ESR_EL1"), 0x6234_f8e1n);
  });
});

describe("the table of SYS operations", () => {
  it("has each operation once", () => {
    const names = [...maintenanceOperations.values()].map(({ name }) => name);

    assert.equal(new Set(names).size, names.length);
    assert.ok(names.length > 80);
  });

  it("makes AT with stage 1 off give the address itself", () => {
    const guest = run([0xd5087800], ({ state }) => state.setX(0, 0x4123_4567n)); // at s1e1r, x0

    assert.equal(guest.state.get("PAR_EL1"), 0x4123_4900n);
  });
});
