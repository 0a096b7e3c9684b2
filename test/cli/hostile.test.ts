// Guests that do nothing good: the command can be interrupted whatever they are at, and is not brought down.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onEveryBackend } from "../support/backends.js";
import { start } from "./child.js";

const VECTORS = 0x800 / 4;
const B_SELF = 0x1400_0000;
/** Prints X, so that it is known when the rest begins. */
const SAYS_X = [0xd2a1_2001, 0x5280_0b02, 0xb900_0022]; // mov x1, #0x9000000; mov w2, #'X'; str w2, [x1]
const VBAR_HERE = [0x1000_3fa0, 0xd518_c000, 0xd503_3fdf]; // adr x0, 0x800 from the start; msr vbar_el1, x0; isb

/** Words of a program, and what stands at the vectors. */
const program = (code: readonly number[], vector: readonly number[] = []): number[] => {
  const words = new Array<number>(VECTORS + 0x800 / 4).fill(B_SELF);
  words.splice(0, code.length, ...code);
  for (let n = 0; n < 16; n++) words.splice(VECTORS + n * 32, vector.length, ...vector);
  return words;
};

/** adr x0, .; add x5, x0, #4096; ldp and stp of 48 bytes; dsb ish; ic iallu; isb; br x5 */
const COPIES_ITSELF = [
  ...[0x1000_0000, 0x9140_0405],
  ...[0, 2, 4].flatMap((at) => [0xa940_1003 | (at << 15), 0xa900_10a3 | (at << 15)]),
  ...[0xd503_3b9f, 0xd508_751f, 0xd503_3fdf, 0xd61f_00a0],
];

// biome-ignore format: table
const guests: Readonly<Record<string, readonly number[]>> = {
  "spins":                                        program([...SAYS_X, B_SELF]),
  "sleeps with all interrupts masked":            program([...SAYS_X, 0xd503_207f, 0x17ff_ffff]),                          // wfi; b .-4
  "is undefined at its vectors, too":             program([...SAYS_X, 0], [0]),
  "has its vectors where nothing is":             program([...SAYS_X, 0xd2b0_0000, 0xd518_c000, 0xd503_3fdf, 0]),          // mov x0, #0x80000000
  "jumps to where nothing is, again and again":   program([...SAYS_X, ...VBAR_HERE, 0xd2b0_0000, 0xd61f_0000], [0xd2b0_0000, 0xd61f_0000]), // mov x0, …; br x0
  "loads from where nothing is, again and again": program([...SAYS_X, ...VBAR_HERE, 0xd2b0_0003, 0xf940_0062], [0xd69f_03e0]), // mov x3, …; ldr x2, [x3]; eret
  "calls what no hypervisor has":                 program([...SAYS_X, 0x92800000, 0xd400_0002, 0x17ff_fffe]),              // mov x0, #-1; hvc #0
  // adr x0, 1f; ldr w1, [x0]; 1: str w1, [x0]; ic ivau, x0; isb; b 1b
  "writes over its own code":                     program([...SAYS_X, 0x1000_0040, 0xb940_0001, 0xb900_0001, 0xd50b_7520, 0xd503_3fdf, 0x17ff_fffd]),
  // The same from page to page, up to the end of memory and beyond.
  "copies itself on, and runs there":             program([...SAYS_X, 0xd503_201f, ...COPIES_ITSELF]),
  "is all ones":                                  [...SAYS_X, ...new Array<number>(64).fill(0xffff_ffff)],
};

onEveryBackend("kvm-arm64 boot of a guest that", (host) => {
  const backend = ["--backend", host.backend === "kvm" ? "kvm" : `model-${host.kernel}`];
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "kvm-arm64-hostile-"));
  });
  after(() => rmSync(folder, { recursive: true }));

  for (const [title, words] of Object.entries(guests)) {
    it(`${title} ends with 130 at SIGINT`, async function () {
      this.timeout(60_000);
      const kernel = join(folder, "kernel");
      writeFileSync(kernel, Uint32Array.from(words));
      const child = start("boot", ...backend, "--memory", "64M", "--kernel", kernel);
      await child.printed("X");
      await new Promise((resolve) => setTimeout(resolve, 200));

      child.signal("SIGINT");

      assert.equal((await child.ended).status, 130);
    });
  }
});
