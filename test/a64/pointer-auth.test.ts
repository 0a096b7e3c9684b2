import assert from "node:assert/strict";
import type { PacKey } from "../../lib/model/a64/machine.js";
import { PointerAuth } from "../../lib/model/cpu/pointer-auth.js";
import { qarma5 } from "../../lib/model/cpu/qarma.js";
import { CpuState } from "../../lib/model/cpu/state.js";
import { I64, Module } from "../../lib/model/engine/wasm/binary.js";
import { qarmaHelper } from "../../lib/model/engine/wasm/qarma.js";
import { Random } from "./qemu/random.js";

const ALL_ENABLED = (1n << 31n) | (1n << 30n) | (1n << 27n) | (1n << 13n);
const KEYS = ["IA", "IB", "DA", "DB"] as const;

/** A CPU whose ID_AA64ISAR1_EL1.APA is `level`, with 48-bit addresses and all keys enabled. */
function cpu(level: bigint): { state: CpuState; pointers: PointerAuth } {
  const state = new CpuState(new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true }), 0);
  state.set("ID_AA64ISAR1_EL1", level << 4n);
  state.set("SCTLR_EL1", ALL_ENABLED);
  state.set("TCR_EL1", (16n << 16n) | 16n);
  for (const [n, key] of KEYS.entries()) {
    state.set(`AP${key}KEYLO_EL1`, 0x1234_5678_9abc_def0n + BigInt(n));
    state.set(`AP${key}KEYHI_EL1`, 0x0fed_cba9_8765_4321n - BigInt(n));
  }
  return { state, pointers: new PointerAuth(state) };
}

const POINTER = 0xffff_8000_1234_5678n;
const MODIFIER = 0x55n;

describe("QARMA5", () => {
  it("enciphers the example of its paper", () => {
    const code = qarma5(0xfb62_3599_da6e_8127n, 0x477d_469d_ec0b_8762n, 0x84be_85ce_9804_e94bn, 0xec28_02d4_e0a4_88e9n);

    assert.equal(code, 0xc003_b939_99b3_3765n);
  });

  it("is the same in generated code", () => {
    const module = new Module(1);
    module.function([I64, I64, I64, I64], [I64], "qarma", qarmaHelper());
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(module.bytes()), { env: { memory } });
    const { qarma } = exports as unknown as { qarma(...of: bigint[]): bigint };
    const random = new Random(1);
    for (let n = 0; n < 1000; n++) {
      const operands = [random.quad(), random.quad(), random.quad(), random.quad()] as const;
      assert.equal(BigInt.asUintN(64, qarma(...operands)), qarma5(...operands), operands.join());
    }
  });
});

describe("pointer authentication", () => {
  for (const level of [1n, 2n, 3n, 4n, 5n]) {
    for (const key of KEYS) {
      it(`gives back what it signed with ${key} at level ${level}`, () => {
        const { pointers } = cpu(level);

        const signed = pointers.add(key, POINTER, MODIFIER);

        assert.notEqual(signed, POINTER);
        assert.equal(signed & 0x0080_ffff_ffff_ffffn, POINTER & 0x0080_ffff_ffff_ffffn);
        assert.equal(pointers.authenticate(key, signed, MODIFIER, "alone"), POINTER);
        assert.equal(pointers.strip(key.startsWith("I") ? "instruction" : "data", signed), POINTER);
      });
    }
  }

  it("leaves pointers alone where SCTLR_EL1 does not enable the key, or the CPU has none", () => {
    const disabled = cpu(5n);
    disabled.state.set("SCTLR_EL1", 0n);
    for (const { pointers } of [disabled, cpu(0n)]) {
      assert.equal(pointers.add("IA", POINTER, MODIFIER), POINTER);
      assert.equal(pointers.authenticate("IA", 0x1234_8000_1234_5678n, MODIFIER, "alone"), 0x1234_8000_1234_5678n);
    }
  });

  const errors: [key: PacKey, error: bigint, iss: number][] = [
    ["IA", 1n, 0],
    ["IB", 2n, 1],
    ["DA", 1n, 2],
    ["DB", 2n, 3],
  ];
  for (const [key, error, iss] of errors) {
    it(`tells a wrong code of ${key} by an error code in bits 62:61, or by an exception`, () => {
      const wrong = (level: bigint, use: "alone" | "combined") => {
        const { pointers } = cpu(level);
        return pointers.authenticate(key, pointers.add(key, POINTER, MODIFIER), MODIFIER + 1n, use);
      };

      assert.equal(wrong(1n, "alone"), (POINTER & ~(3n << 61n)) | (error << 61n));
      assert.equal(typeof wrong(3n, "alone"), "bigint");
      assert.deepEqual(wrong(4n, "alone"), { iss });
      assert.equal(typeof wrong(4n, "combined"), "bigint");
      assert.deepEqual(wrong(5n, "combined"), { iss });
    });
  }

  it("signs a pointer that is none with a code that can not be right, or with none", () => {
    const strange = POINTER ^ (1n << 50n);
    for (const level of [1n, 2n]) {
      const { pointers } = cpu(level);
      const result = pointers.authenticate("DA", pointers.add("DA", strange, MODIFIER), MODIFIER, "alone");
      assert.notEqual(result, POINTER);
    }
    assert.equal(cpu(2n).pointers.add("DA", strange, MODIFIER), (POINTER & 0xffff_ffff_ffffn) | (1n << 55n));
    // With FEAT_PAuth2 the pointer comes back as it was, since its bits are exclusive-ored with the code.
    const { pointers } = cpu(3n);
    assert.equal(pointers.authenticate("DA", pointers.add("DA", strange, MODIFIER), MODIFIER, "alone"), strange);
  });
});
