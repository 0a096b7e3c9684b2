import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { Kvm, type Vm } from "../../lib/index.js";
import { boardTree } from "../../lib/vmm/board.js";
import { cells64, flattenTree, type TreeNode } from "../../lib/vmm/device-tree.js";
import { createGic, type Gic } from "../../lib/vmm/gic.js";
import { Pl011 } from "../../lib/vmm/pl011.js";
import { Pl031 } from "../../lib/vmm/pl031.js";
import { virtioBlock } from "../../lib/vmm/virtio/block.js";
import { VirtioMmio } from "../../lib/vmm/virtio/mmio.js";
import { skipWithout } from "../skip.js";
import { openMemoryDisk } from "./memory-disk.js";

const tree: TreeNode = {
  name: "",
  properties: { "#address-cells": 2, "#size-cells": 0, model: "m" },
  children: [
    {
      name: "a@1",
      properties: { reg: cells64(0x1_2345_6789n), compatible: ["x", "yz"], marked: true, model: "n" },
    },
    { name: "b", properties: { bytes: Uint8Array.of(1, 2, 3) }, children: [{ name: "c" }] },
  ],
};

/** What dtc makes of a flattened tree, as source. It reports on stderr what breaks the rules. */
function decompiled(context: Mocha.Context, bytes: Uint8Array): string {
  const { error, status, stdout, stderr } = spawnSync("dtc", ["-I", "dtb", "-O", "dts", "-"], { input: bytes });
  if (error) skipWithout(context, "dtc", "dtc is not here: apt-get install device-tree-compiler");
  assert.deepEqual({ status, stderr: stderr.toString() }, { status: 0, stderr: "" });
  return stdout.toString();
}

describe("flattenTree", () => {
  it("writes the header, the structure and the strings of the Devicetree Specification, chapter 5", () => {
    const bytes = flattenTree({ name: "", properties: { a: 1 }, children: [{ name: "n", properties: { a: "s" } }] });

    const words = Array.from({ length: bytes.length >> 2 }, (_, i) => new DataView(bytes.buffer).getUint32(4 * i));
    // biome-ignore format: table
    assert.deepEqual(words, [
      0xd00dfeed, 118, 56, 116, 40, 17, 16, 0, 2, 60, // sizes and places
      0, 0, 0, 0,                                    // no reservations
      1, 0, 3, 4, 0, 1,                              // root, a = <1>
      1, 0x6e00_0000, 3, 2, 0, 0x7300_0000, 2,       // n, a = "s"
      2, 9,
    ]);
    assert.deepEqual([...bytes.subarray(116)], [0x61, 0]);
  });

  it("is what the device tree compiler reads", function () {
    const source = decompiled(this, flattenTree(tree));

    assert.equal(
      source.replace(/\s+/g, " ").trim(),
      '/dts-v1/; / { #address-cells = <0x02>; #size-cells = <0x00>; model = "m"; a@1 { reg = <0x01 0x23456789>; compatible = "x\\0yz"; ' +
        'marked; model = "n"; }; b { bytes = [01 02 03]; c { }; }; };',
    );
  });
});

describe("the device tree of a machine", () => {
  let kvm: Kvm;
  let vm: Vm;
  let gic: Gic;
  before(() => {
    kvm = Kvm.open({ backend: "model", model: { memoryBytes: 16 << 20 } });
    vm = kvm.createVm();
    gic = createGic(vm, 3);
  });
  after(() => {
    vm.close();
    kvm.close();
  });
  const board = () =>
    flattenTree(
      boardTree({
        ram: { at: 0x4000_0000n, bytes: 256 << 20 },
        gic,
        cpus: [0x8000_0000n, 0x8000_0001n, 0x8000_0100n],
        hasPmu: true,
        devices: [
          new Pl011({ send: () => {} }),
          new Pl031(),
          new VirtioMmio(virtioBlock(openMemoryDisk(1024)), 0xa00_0000n),
        ],
        append: "quiet",
        initrd: { at: 0x4400_0000n, bytes: 0x1234 },
        seed: Uint8Array.of(1, 2),
      }),
    );

  it("names memory, CPUs, console, initrd and command line", function () {
    const source = decompiled(this, board());

    assert.match(source, /memory@40000000 \{[^}]*reg = <0x00 0x40000000 0x00 0x10000000>;/);
    assert.match(source, /cpu@100 \{[^}]*reg = <0x00 0x100>;\s+enable-method = "psci";/);
    assert.match(
      source,
      /interrupt-controller@8000000 \{[^}]*"arm,gic-v3"[^}]*reg = <0x00 0x8000000 0x00 0x10000 0x00 0x80a0000 0x00 0x60000>/,
    );
    assert.match(source, /bootargs = "quiet";/);
    assert.match(source, /stdout-path = "\/pl011@9000000";/);
    assert.match(source, /linux,initrd-start = <0x00 0x44000000>;\s+linux,initrd-end = <0x00 0x44001234>;/);
  });

  it("gives each device its registers and its own interrupt", function () {
    const source = decompiled(this, board());

    assert.match(source, /pl011@9000000 \{[^}]*reg = <0x00 0x9000000 0x00 0x1000>;\s+interrupts = <0x00 0x00 0x04>;/);
    assert.match(source, /pl031@9010000 \{[^}]*interrupts = <0x00 0x01 0x04>;/);
    assert.match(source, /virtio_mmio@a000000 \{[^}]*interrupts = <0x00 0x02 0x04>;/);
  });
});
