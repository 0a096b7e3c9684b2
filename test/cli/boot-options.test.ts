import assert from "node:assert/strict";
import { parseBootOptions } from "../../lib/cli/boot-options.js";

const usage = (args: string, message: RegExp): void =>
  assert.throws(() => parseBootOptions(args.split(" ").filter(Boolean)), { name: "UsageError", message });

describe("arguments of boot", () => {
  it("have defaults for everything but the kernel", () => {
    assert.deepEqual(parseBootOptions(["--kernel", "Image"]), {
      kernel: "Image",
      initrd: undefined,
      append: "",
      cpus: 1,
      memoryBytes: 512 << 20,
      disks: [],
      backend: undefined,
      played: undefined,
      trace: undefined,
      timeoutSeconds: undefined,
    });
  });

  it("are all understood", () => {
    const args = [
      "--kernel=Image",
      "--initrd",
      "i",
      "--append",
      "quiet root=/dev/vda",
      "--cpus",
      "4",
      "--memory",
      "1G",
    ];
    const more = ["--disk", "a.img", "--disk", "b,c.img,ro", "--backend", "model-6.1", "--trace=t", "--timeout", "9"];

    assert.deepEqual(parseBootOptions([...args, ...more]), {
      kernel: "Image",
      initrd: "i",
      append: "quiet root=/dev/vda",
      cpus: 4,
      memoryBytes: 2 ** 30,
      disks: [
        { file: "a.img", access: "read-write" },
        { file: "b,c.img", access: "read-only" },
      ],
      backend: "model",
      played: "6.1",
      trace: { file: "t" },
      timeoutSeconds: 9,
    });
    assert.equal(parseBootOptions(["--kernel", "k", "--backend", "kvm"]).backend, "kvm");
  });

  it("are refused with what is wanted instead", () => {
    usage("", /--kernel FILE is missing/);
    usage("Image", /Unexpected argument 'Image'/);
    usage("--kernel k --cpus 0", /--cpus 0: a number from 1 to 512 is wanted/);
    usage("--kernel k --cpus 1.5", /--cpus 1.5: a whole number is wanted/);
    usage("--kernel k --memory 1", /a multiple of 64K/);
    usage("--kernel k --disk ,ro", /the name of a file is missing/);
    usage("--kernel k --backend qemu", /one of kvm, model, model-6.1, model-6.12, model-7.2 is wanted/);
  });
});
