// npm run kvm -- [options] [command …]: runs a command on a Linux arm64 host with a genuine /dev/kvm, emulated by QEMU;
// without a command, a shell there. An argument that names a file of this machine is copied in.

import { existsSync, statSync } from "node:fs";
import { isAbsolute, join, relative, resolve } from "node:path";
import { parseArgs } from "node:util";
import { boot } from "./boot.js";
import { buildAddon } from "./build-addon.js";
import { Missing } from "./cache.js";
import { guestProject, projectFolder } from "./initramfs.js";
import {
  kernelsFromOptions,
  type MachineValues,
  machineFromOptions,
  machineOptions,
  machineUsage,
  sanitizerEnvironment,
} from "./options.js";

const usage = `npm run kvm -- [options] [command …]
${machineUsage}
  --add PATH[:PATH]    copy a file or folder of this machine in, to the second path if given (repeatable)
  --env NAME=VALUE     set in the command's environment (repeatable)
  --out FILE.tar       take home what the command leaves in /out
Options stand before the command. Its arguments that name files here are copied in. ctrl-A x ends a shell.`;

const options = {
  ...machineOptions,
  add: { type: "string", multiple: true },
  env: { type: "string", multiple: true },
  out: { type: "string" },
} as const;

/** npm runs scripts in the package's folder and tells where it was called. */
const here = process.env["INIT_CWD"] ?? process.cwd();

/** This package's files are in its folder there, all others under the name that they have here. */
function placeInGuest(path: string): string {
  const inProject = relative(projectFolder, path);
  return inProject.startsWith("..") || isAbsolute(inProject) ? path : join(guestProject, inProject);
}

function additionOf(spec: string): { from: string; to: string } {
  const [name = "", to] = spec.split(":");
  const from = resolve(here, name);
  if (!existsSync(from)) throw new Missing(`--add ${spec}: there is no ${from}`);
  return { from, to: to ? resolve(placeInGuest(here), to) : placeInGuest(from) };
}

function environmentOf(settings: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    settings.map((setting) => {
      const [, name, value] = /^([A-Za-z_][A-Za-z0-9_]*)=(.*)$/s.exec(setting) ?? [];
      if (!name || value === undefined) throw new Missing(`--env ${setting}: NAME=VALUE is wanted`);
      return [name, value];
    }),
  );
}

/** A program may do without the addon, so nobody needs a compiler for that. */
async function addonFor(values: MachineValues): Promise<string | null> {
  if (values.addon) return resolve(here, values.addon);
  if (values.asan) return buildAddon("asan");
  try {
    return await buildAddon("plain");
  } catch (error) {
    if (!(error instanceof Missing)) throw error;
    console.error(`kvm-arm64: ${error.message}\nkvm-arm64: going on without the addon`);
    return null;
  }
}

async function main(argv: string[]): Promise<number> {
  // Options behind the command are the command's.
  const { tokens } = parseArgs({ args: argv, options, strict: false, allowPositionals: true, tokens: true });
  const commandAt = tokens.find(({ kind }) => kind === "positional")?.index ?? argv.length;
  const { values } = parseArgs({ args: argv.slice(0, commandAt), options });
  if (values.help) {
    console.log(usage);
    return 0;
  }
  const command = argv.slice(commandAt);
  const files = command
    .map((word) => resolve(here, word))
    .filter((path) => statSync(path, { throwIfNoEntry: false })?.isFile());
  const named = files.map((from) => ({ from, to: placeInGuest(from) }));
  const [kernel = "6.12"] = kernelsFromOptions(values, ["6.12"]);
  const machine = machineFromOptions(values, kernel);
  const content = {
    command: command.length ? command : null,
    environment: {
      ...(process.stdout.isTTY ? {} : { NO_COLOR: "1" }),
      ...sanitizerEnvironment(values),
      ...environmentOf(values.env ?? []),
    },
    workingFolder: placeInGuest(here),
    additions: [...named, ...(values.add ?? []).map(additionOf)],
    addon: await addonFor(values),
  };
  const outcome = await boot(machine, content, {
    console: (line) => console.log(line),
    ...(values.out ? { outArchive: resolve(here, values.out) } : {}),
  });
  if (outcome.status !== null) return outcome.status;
  console.error(
    `kvm-arm64: the host with kernel ${outcome.kernelVersion}: ${outcome.why} (${outcome.seconds.toFixed(1)} s)`,
  );
  return 1;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof Missing)) throw error;
  console.error(`kvm-arm64: ${error.message}`);
  process.exitCode = 1;
}
