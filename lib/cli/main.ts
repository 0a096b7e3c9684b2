#!/usr/bin/env node
// kvm-arm64: the command. Each subcommand is a module of its own, loaded when it is asked for.
import process from "node:process";
import { exitStatus, UsageError } from "./exit-status.js";
import { version } from "./version.js";

interface Command {
  readonly usage: string;
  /** Gives the status that the process ends with. */
  main(args: string[]): number | Promise<number>;
}

const commands: Record<string, () => Promise<Command>> = {
  run: () => import("./run.js"),
  boot: () => import("./boot.js"),
  doctor: () => import("./doctor.js"),
  reg: () => import("./reg.js"),
  features: () => import("./features.js"),
  capture: () => import("./capture.js"),
};

const usage = `usage: kvm-arm64 COMMAND …

  run FILE      run a guest program (ELF, Linux Image, flat binary) on KVM or on the model
  boot          boot a Linux kernel, with initrd and disks
  doctor        can this machine use KVM, and if not, exactly why
  reg WHAT…     explain register ids, names and values
  features      what a guest here can have, and what can be taken away
  capture       record this host, for the model to play

  --help        this text; kvm-arm64 COMMAND --help tells about a command
  --version     the version of kvm-arm64
`;

async function main([name, ...args]: string[]): Promise<number> {
  if (name === undefined || name === "--help" || name === "-h" || name === "help") {
    (name === undefined ? process.stderr : process.stdout).write(usage);
    return name === undefined ? exitStatus.failed : exitStatus.ok;
  }
  if (name === "--version" || name === "-V") {
    process.stdout.write(`${version()}\n`);
    return exitStatus.ok;
  }
  const load = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (load === undefined) {
    process.stderr.write(`kvm-arm64: no command ${JSON.stringify(name)}\n\n${usage}`);
    return exitStatus.failed;
  }
  const command = await load();
  if (args.includes("--help") || args.includes("-h")) {
    process.stdout.write(command.usage);
    return exitStatus.ok;
  }
  return command.main(args);
}

/** What went wrong, for a person: the stack only of what should not have happened. */
function message(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const expected = ["UsageError", "LoadError", "MachineError", "KvmError"].includes(error.name) || "code" in error;
  return expected ? error.message : (error.stack ?? error.message);
}

// Whoever reads our output went away (head, less): nothing is left to say.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit(exitStatus.ok);
});

main(process.argv.slice(2)).then(
  (status) => {
    process.exitCode = status;
  },
  (error: unknown) => {
    process.stderr.write(`kvm-arm64: ${message(error)}\n`);
    if (error instanceof UsageError) process.stderr.write("kvm-arm64: see --help\n");
    process.exitCode = exitStatus.failed;
  },
);
