// node dist/scripts/boot/debian-check.js DISK: boots the system that debian-disk.ts made, works in it over its console as
// somebody would, and says of each thing whether it went well. What the guest does stays on DISK.
//   --backend kvm|model  --engine evaluator|interpreter|auto  --cpus N  --memory MiB
//   --kernel FILE --initrd FILE   where they cannot be fetched
//   --dmesg FILE                  takes the kernel's messages, to be compared with those of another run
// On a genuine KVM: npm run kvm -- --memory 6144 node dist/scripts/boot/debian-check.js debian.img --kernel … --initrd …

import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import type { OpenOptions } from "../../lib/index.js";
import { createMachine } from "../../lib/vmm/index.js";
import { Conversation } from "../../test/vmm/conversation.js";
import { Missing } from "../kvm/cache.js";
import { bootFiles } from "./initramfs.js";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    backend: { type: "string" },
    engine: { type: "string", default: "auto" },
    cpus: { type: "string", default: "1" },
    memory: { type: "string", default: "512" },
    kernel: { type: "string" },
    initrd: { type: "string" },
    dmesg: { type: "string" },
  },
});
const [disk] = positionals;
const cpus = Number(values.cpus);

interface Check {
  readonly command: string;
  /** In what it prints; its status must be 0. */
  readonly prints: RegExp;
}

const answers = (command: string, prints: RegExp): Check => ({ command, prints });

const checks: readonly Check[] = [
  answers("nproc", new RegExp(`^${cpus}$`, "m")),
  answers("grep -c ^processor /proc/cpuinfo", new RegExp(`^${cpus}$`, "m")),
  answers("apt-get --version", /^apt \d.*\(arm64\)/m),
  answers("python3 -c 'print(sum(n * n for n in range(1000)), 2 ** 0.5)'", /^332833500 1\.4142135623730951$/m),
  answers("cd; gcc hello.c && ./a.out", /^hello from gcc$/m),
  answers("gcc -O2 -o fast hello.c && ./fast && cmp -s a.out fast; test $? = 1", /^hello from gcc$/m),
  answers("openssl speed -seconds 1 sha256", /^sha256( +[\d.]+k?){6} *$/m),
  answers("printf abc | openssl sha256", /ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad$/m),
  answers("stress-ng --cpu 2 --verify -t 10", /successful run completed/),
  answers("node --version", /^v\d+\.\d+\.\d+$/m),
  answers("node -p '[3, 1, 2].sort().map((n) => n / 4).join()'", /^0\.25,0\.5,0\.75$/m),
  answers("dd if=/dev/urandom of=noise bs=1M count=8 conv=fsync 2>/dev/null && md5sum noise >sum && sync", /^/),
  answers("echo 3 >/proc/sys/vm/drop_caches; md5sum -c sum", /^noise: OK$/m),
];

/** What a healthy kernel does not say. */
const complaint =
  /BUG:|WARNING:|Oops|Call trace|Internal error|stall|lockup|I\/O error|EXT4-fs error|unhandled|undefined instruction/i;

const loginMinutes = 40;
const checkMinutes = 15;

/** What of `promise` comes in time. */
async function within<T>(minutes: number, what: string, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: not in ${minutes} minutes`)), minutes * 60_000);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

async function main(): Promise<number> {
  if (disk === undefined) throw new Missing("debian-check.js DISK: which disk?");
  const { kernel, initrd } =
    values.kernel && values.initrd ? { kernel: values.kernel, initrd: values.initrd } : await bootFiles("6.12");
  // What is no such name, Kvm.open says.
  const chosen = values.backend === undefined ? {} : { backend: values.backend };
  const open = { ...chosen, model: { engine: values.engine } } as OpenOptions;
  using machine = createMachine({
    kernel,
    initrd,
    append: "quiet root=/dev/vda",
    cpus,
    memoryBytes: Number(values.memory) << 20,
    disks: [{ file: disk }],
    open,
  });
  const guest = new Conversation(machine);
  const ended = machine.run();
  const tooEarly = ended.then(() => Promise.reject(new Error("the guest ended too early")));
  const began = performance.now();
  let failed = 0;
  const say = (well: boolean, what: string, since: number) => {
    if (!well) failed++;
    console.log(
      `${well ? "passed" : "FAILED"} ${((performance.now() - since) / 1000).toFixed(1).padStart(7)} s  ${what}`,
    );
  };
  try {
    const talk = async () => {
      await within(loginMinutes, "login", guest.hear(/login: $/));
      say(true, "boots to a login prompt", began);
      const login = performance.now();
      guest.say("root\n");
      await within(checkMinutes, "login", guest.hear(/# /));
      // A shell that prints nothing but a prompt that is known.
      guest.say("PS1='/ # ' exec dash\n");
      await within(checkMinutes, "login", guest.hear(/[\r\n]\/ # /));
      say(true, "root logs in", login);
      for (const { command, prints } of checks) {
        const since = performance.now();
        const { output, status } = await within(checkMinutes, command, guest.command(command));
        const well = status === 0 && prints.test(output);
        say(well, command, since);
        if (!well) console.log(`status ${status}\n${output}`);
      }
      const since = performance.now();
      const { output } = await within(checkMinutes, "dmesg", guest.command("dmesg"));
      if (values.dmesg !== undefined) writeFileSync(values.dmesg, output);
      const complaints = output.split("\n").filter((line) => complaint.test(line));
      say(complaints.length === 0, "the kernel complains of nothing", since);
      for (const line of complaints) console.log(line);
    };
    await Promise.race([talk(), tooEarly]);
    const since = performance.now();
    guest.say("poweroff\n");
    const outcome = await within(checkMinutes, "poweroff", ended);
    say(outcome.event === "off", "powers off", since);
  } catch (error) {
    failed++;
    console.log(`FAILED ${(error as Error).message}\n${guest.transcript.slice(-2000)}`);
  } finally {
    machine.stop();
    await ended.catch(() => {});
  }
  console.log(
    `${failed === 0 ? "passed" : "FAILED"}: ${cpus} CPUs, ${((performance.now() - began) / 1000).toFixed(0)} s`,
  );
  return failed === 0 ? 0 : 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  if (!(error instanceof Missing)) throw error;
  console.error(`kvm-arm64: ${error.message}`);
  process.exitCode = 1;
}
