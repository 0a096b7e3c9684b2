// The machine that doctor-checks.ts judges, looked at.
import { closeSync, existsSync, openSync, readFileSync, statSync } from "node:fs";
import { release, userInfo } from "node:os";
import process from "node:process";
import type { Host } from "./doctor-checks.js";

const DEVICE = "/dev/kvm";

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8").replaceAll("\0", " ").trim();
  } catch {
    return undefined; // not there on this machine
  }
}

function errnoOf(what: () => void): string {
  try {
    what();
    return "";
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
}

function deviceOf(): Host["device"] {
  try {
    const stat = statSync(DEVICE);
    return { mode: stat.mode, gid: stat.gid, character: stat.isCharacterDevice() };
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
}

/** Containers often run under a number that has no name. */
function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return `user ${process.getuid?.() ?? "?"}`;
  }
}

function groupNames(): Map<number, string> {
  const lines = readText("/etc/group")?.split("\n") ?? [];
  return new Map(lines.map((line) => line.split(":")).map(([name = "", , gid]) => [Number(gid), name]));
}

function hypervisorOf(): string | undefined {
  // The device tree names one as the compatible of /hypervisor; DMI names the maker of the machine.
  const tree = readText("/proc/device-tree/hypervisor/compatible");
  const maker = readText("/sys/class/dmi/id/sys_vendor");
  const virtual = ["QEMU", "Amazon EC2", "Google", "Microsoft Corporation", "Apple Inc.", "VMware, Inc.", "Xen"];
  return (
    readText("/sys/hypervisor/type") ?? tree ?? (maker !== undefined && virtual.includes(maker) ? maker : undefined)
  );
}

export function lookAtHost(): Host {
  return {
    platform: process.platform,
    arch: process.arch,
    release: release(),
    device: deviceOf(),
    openError: errnoOf(() => closeSync(openSync(DEVICE, "r+"))),
    user: { name: userName(), groups: [process.getegid?.() ?? -1, ...(process.getgroups?.() ?? [])] },
    groupNames: groupNames(),
    kernelHasKvm: existsSync("/sys/devices/virtual/misc/kvm") || / kvm$/m.test(readText("/proc/misc") ?? ""),
    hypervisor: hypervisorOf(),
    insideContainer: existsSync("/.dockerenv") || existsSync("/run/.containerenv"),
  };
}
