// Allocation tags of the model's guest memory, granule by granule.

import assert from "node:assert/strict";
import { caps } from "../../lib/uapi/caps.js";
import { pack, structs } from "../../lib/uapi/structs.js";
import { kernels, Machine, RAM } from "./machine.js";

const TO_GUEST = 0n;
const FROM_GUEST = 1n;

describe("memory tags of the model", () => {
  for (const kernel of kernels) {
    const machine = () => {
      const made = new Machine({ host: `qemu-max-mte-${kernel}`, impersonate: true });
      made.vm.enableCap(pack(structs.kvm_enable_cap, { cap: caps.ARM_MTE }));
      return made;
    };
    const tagsOf = ({ vm }: Machine, at: bigint) => {
      const tags = new Uint8Array(256);
      assert.equal(vm.armMteCopyTags(at, 4096n, tags, FROM_GUEST), 4096);
      return tags;
    };
    const different = new Uint8Array(256).map((_, n) => n * 3 + 1);

    it(`each 16 bytes have a tag of their own, of 4 bits [${kernel}]`, () => {
      const made = machine();
      made.vm.armMteCopyTags(RAM + 0x2000n, 4096n, different, TO_GUEST);
      assert.deepEqual(
        tagsOf(made, RAM + 0x2000n),
        different.map((tag) => tag & 15),
      );
      made.close();
    });

    it(`tags belong to the memory, whichever slot shows it [${kernel}]`, () => {
      const made = machine();
      made.vm.armMteCopyTags(RAM + 0x2000n, 4096n, different, TO_GUEST);
      made.vm.setUserMemoryRegion(1, 0, 0x8000_0000n, 0x2000n, made.ram, 0x1000n);
      made.vm.setUserMemoryRegion(0, 0, RAM, 0n, null, 0n);
      assert.deepEqual(
        tagsOf(made, 0x8000_1000n),
        different.map((tag) => tag & 15),
      );
      made.close();
    });

    it(`memory that is mapped anew has none [${kernel}]`, () => {
      const made = machine();
      made.vm.armMteCopyTags(RAM, 4096n, different, TO_GUEST);
      made.vm.setUserMemoryRegion(0, 0, RAM, 0n, null, 0n);
      made.ram.close();
      const again = made.vm.map({ kind: "anonymous", bytes: 1 << 20 });
      made.vm.setUserMemoryRegion(0, 0, RAM, 1n << 20n, again, 0n);
      assert.deepEqual(tagsOf(made, RAM), new Uint8Array(256));
      made.close();
    });
  }
});
