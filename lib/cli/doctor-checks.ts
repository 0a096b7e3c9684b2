// Can this machine use KVM, and if not, why: the checks, over a description of the machine, so that each can be tested
// anywhere. No check needs root, and none reads the kernel's log.

/** What the checks look at. */
export interface Host {
  readonly platform: string;
  readonly arch: string;
  readonly release: string;
  /** /dev/kvm, or the errno of stat(2) on it. */
  readonly device: { readonly mode: number; readonly gid: number; readonly character: boolean } | string;
  /** "" when opening /dev/kvm for reading and writing works, else the errno. */
  readonly openError: string;
  readonly user: { readonly name: string; readonly groups: readonly number[] };
  /** Names of groups by number, of those that are known. */
  readonly groupNames: ReadonlyMap<number, string>;
  /** Whether the kernel knows of KVM: /sys/devices/virtual/misc/kvm or /proc/misc. */
  readonly kernelHasKvm: boolean;
  /** A hypervisor that this machine runs on, by /sys/hypervisor/type or the device tree. */
  readonly hypervisor: string | undefined;
  readonly insideContainer: boolean;
}

export interface Check {
  readonly what: string;
  readonly ok: boolean;
  readonly finding: string;
  /** What to do about it. */
  readonly help?: string;
}

const octal = (mode: number): string => `0${(mode & 0o777).toString(8)}`;

function platformCheck({ platform, release }: Host): Check {
  const what = "operating system";
  if (platform === "linux") return { what, ok: true, finding: `Linux ${release}` };
  const help =
    platform === "darwin" ? "On a Mac, an arm64 Linux VM with nested virtualization (M3 or later) has KVM." : undefined;
  return { what, ok: false, finding: `${platform}: KVM is part of Linux`, ...(help !== undefined && { help }) };
}

function archCheck({ arch }: Host): Check {
  const what = "architecture";
  if (arch === "arm64") return { what, ok: true, finding: "arm64" };
  return {
    what,
    ok: false,
    finding: `${arch}: this package speaks arm64 KVM, whatever /dev/kvm there is here`,
    help: "An arm64 server or board has it; so has an emulated one (npm run kvm in the sources boots it under QEMU).",
  };
}

function deviceCheck(host: Host): Check {
  const what = "/dev/kvm";
  const { device } = host;
  if (typeof device !== "string") {
    if (!device.character)
      return { what, ok: false, finding: "is not a character device", help: "Remove it; udev makes it anew." };
    return { what, ok: true, finding: `mode ${octal(device.mode)}, group ${groupName(host, device.gid)}` };
  }
  if (device !== "ENOENT") return { what, ok: false, finding: `stat gives ${device}` };
  if (host.kernelHasKvm) {
    return {
      what,
      ok: false,
      finding: "the kernel has KVM, but the file is missing",
      help: host.insideContainer
        ? "Pass the device into the container: docker run --device /dev/kvm …"
        : "Make it: mknod /dev/kvm c 10 232, or start udev.",
    };
  }
  // On arm64 KVM is built in and silent: it is there when the kernel was started at EL2, and not otherwise.
  const under = host.hypervisor === undefined ? "" : ` This machine is a guest of ${host.hypervisor}.`;
  return {
    what,
    ok: false,
    finding: "there is none: the kernel was started at EL1, or built without CONFIG_KVM",
    help: `KVM needs EL2.${under} A virtual machine has it only with nested virtualization; with QEMU: -M virt,virtualization=on. On a board, firmware must start Linux at EL2.`,
  };
}

function groupName(host: Host, gid: number): string {
  return host.groupNames.get(gid) ?? String(gid);
}

function permissionCheck(host: Host): Check | undefined {
  const { device, openError, user } = host;
  if (typeof device === "string" || !device.character) return undefined;
  const what = "permission";
  if (openError === "") return { what, ok: true, finding: `${user.name} can open it` };
  if (openError !== "EACCES" && openError !== "EPERM")
    return { what, ok: false, finding: `opening it gives ${openError}` };
  const group = groupName(host, device.gid);
  const groupMay = (device.mode & 0o060) === 0o060 && device.gid !== 0;
  if (groupMay && user.groups.includes(device.gid)) {
    return {
      what,
      ok: false,
      finding: `${user.name} is in the group ${group}, and still may not open it`,
      help: "A sandbox, an ACL or a security module is in the way (getfacl /dev/kvm; the cgroup's device list).",
    };
  }
  return {
    what,
    ok: false,
    finding: `${user.name} may not open it: mode ${octal(device.mode)}, group ${group}`,
    help: groupMay
      ? `Join the group and log in again: sudo usermod -aG ${group} ${user.name}`
      : `Let a group have it, by a udev rule: echo 'KERNEL=="kvm", GROUP="kvm", MODE="0660"' | sudo tee /etc/udev/rules.d/65-kvm.rules`,
  };
}

function addonCheck(error: string | undefined): Check {
  const what = "addon";
  if (error === undefined) return { what, ok: true, finding: "it loads, and KVM answers" };
  return {
    what,
    ok: false,
    finding: error,
    help: "If the addon is missing, build it: npm rebuild kvm-arm64 (needs a C++ compiler, make and Python).",
  };
}

/**
 * All that can be said, in order; the first that is not ok is why KVM can not be used. `openError`: what opening KVM
 * through the addon said; undefined when it worked.
 */
export function checkHost(host: Host, openError: string | undefined): Check[] {
  const checks = [platformCheck(host), archCheck(host)];
  if (checks.some((check) => !check.ok)) return checks;
  checks.push(deviceCheck(host));
  const permission = permissionCheck(host);
  if (permission !== undefined) checks.push(permission);
  // Where the file itself is out of reach, the addon could not say more.
  if (checks.every((check) => check.ok)) checks.push(addonCheck(openError));
  return checks;
}
