import assert from "node:assert/strict";
import { parseSize } from "../../lib/cli/machine-options.js";
import { parseRunOptions } from "../../lib/cli/run-options.js";

const usage = (args: string[], message: RegExp): void =>
  assert.throws(() => parseRunOptions(args), { name: "UsageError", message });

describe("arguments of run", () => {
  it("have defaults for everything but the file", () => {
    assert.deepEqual(parseRunOptions(["hello.elf"]), {
      file: "hello.elf",
      backend: undefined,
      kernel: undefined,
      memoryBytes: 64 << 20,
      cpus: 1,
      trace: undefined,
      timeoutSeconds: undefined,
      report: false,
    });
  });

  it("are all understood", () => {
    const args = "--backend model --kernel 6.12 --memory 1G --cpus=4 --trace --timeout 2.5 --report a.elf".split(" ");

    assert.deepEqual(parseRunOptions(args), {
      file: "a.elf",
      backend: "model",
      kernel: "6.12",
      memoryBytes: 2 ** 30,
      cpus: 4,
      trace: "stderr",
      timeoutSeconds: 2.5,
      report: true,
    });
  });

  it("may send the trace to a file", () => {
    assert.deepEqual(parseRunOptions(["--trace=out.txt", "a"]).trace, { file: "out.txt" });
    assert.equal(parseRunOptions(["--", "--trace=x"]).file, "--trace=x");
  });

  it("choose the model when they name its kernel", () => {
    assert.equal(parseRunOptions(["--kernel", "6.1", "a"]).backend, "model");
  });

  it("are refused by name when they make no sense", () => {
    usage([], /which guest/);
    usage(["a", "b"], /one file at a time/);
    usage(["--backend", "xen", "a"], /--backend xen: one of kvm, model is wanted/);
    usage(["--kernel", "5.4", "a"], /one of 6.1, 6.12, 7.2/);
    usage(["--backend", "kvm", "--kernel", "6.1", "a"], /--kernel chooses the kernel that the model plays/);
    usage(["--cpus", "0", "a"], /--cpus 0: a number from 1/);
    usage(["--cpus", "1.5", "a"], /whole number/);
    usage(["--cpus", "many", "a"], /--cpus many/);
    usage(["--timeout", "-1", "a"], /timeout/);
    usage(["--timeout", "soon", "a"], /--timeout soon/);
    usage(["--trace=", "a"], /name of a file/);
    usage(["--memory", "64X", "a"], /--memory 64X/);
    usage(["--colour", "a"], /colour/);
  });
});

describe("sizes", () => {
  it("are bytes, or K, M and G of them", () => {
    const sizes = ["65536", "64K", "64k", "1M", "2MiB", "1G", "0x200000"].map(parseSize);

    assert.deepEqual(sizes, [65536, 65536, 65536, 2 ** 20, 2 ** 21, 2 ** 30, 0x20_0000]);
  });

  it("must be multiples of 64 KiB, above 0", () => {
    for (const text of ["0", "4096", "1.5M", "-1M", "M", "", "1T", "9999999999G", "1e6"]) {
      assert.throws(() => parseSize(text), { name: "UsageError" }, text);
    }
  });
});
