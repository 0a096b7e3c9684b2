// Finds and loads the addon, on first use and only on arm64 Linux: an x86 machine's /dev/kvm is another KVM and is never
// opened. What the addon leaves to TypeScript is added here: it takes no objects apart and opens no files.
import { closeSync, constants, existsSync, fstatSync, openSync, readSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { isMainThread, markAsUntransferable } from "node:worker_threads";
import type { Handle, Mapping, MappingRequest, SystemFd, VcpuFd, VmFd } from "./backend.js";
import { isRefusal, KvmError, Refused } from "./errors.js";
import { type ErrnoName, errno, errnos } from "./uapi/errno.js";

/** The methods that the addon has in place of those of the seam. */
interface NativeSystem {
  attachVmToken(token: bigint): VmFd;
  attachVcpuToken(token: bigint): VcpuFd;
}
interface NativeObject {
  /** Names a VM or vCPU in this process. */
  readonly token: bigint;
}
interface NativeVm extends NativeObject {
  mapMemory(fd: number, offset: number, bytes: number, pageBytes: number, protection: number, flags: number): Mapping;
}
interface Addon {
  open(): SystemFd;
  /** Ends every KVM_RUN of the process, now and from now on, with EINTR. */
  endRuns(): void;
  readonly SystemFd: { readonly prototype: SystemFd };
  readonly VmFd: { readonly prototype: VmFd };
  readonly VcpuFd: { readonly prototype: VcpuFd };
}

const call = "open /dev/kvm";

/** /dev/kvm. KvmError: it can not be had, and `help` says why. */
export function openNative(): SystemFd {
  try {
    return load().open();
  } catch (error) {
    if (!isRefusal(error)) throw error;
    const help = openHelp[error.errno];
    throw new KvmError(error.errno, error.call, help === undefined ? {} : { help }, { cause: error });
  }
}

const openHelp: Readonly<Record<number, string>> = {
  [errno("ENOENT")]:
    "there is no /dev/kvm: the kernel has no KVM, or it did not start at EL2 (is this itself a guest?)",
  [errno("EACCES")]: "no permission for /dev/kvm: its group is usually kvm; add the user to it and log in again",
  [errno("EPERM")]: "no permission for /dev/kvm: a container needs the device passed in",
  [errno("ENODEV")]: "/dev/kvm exists but KVM is not available: the kernel did not start at EL2",
  [errno("ENXIO")]: "/dev/kvm exists but no driver answers: the kvm module is not loaded",
};

let loaded: Addon | undefined;

function load(): Addon {
  if (loaded !== undefined) return loaded;
  if (process.platform !== "linux") throw absent("ENODEV", `KVM is in Linux, and this is ${process.platform}`);
  if (process.arch !== "arm64") {
    throw absent(
      "ENODEV",
      `this package speaks KVM of arm64, and this is ${process.arch}, whose KVM runs other guests`,
    );
  }
  const file = candidates().find((path) => existsSync(path));
  if (file === undefined) {
    throw absent(
      "ENOENT",
      "the native addon is neither shipped for this system nor built: install node-addon-api and run npx node-gyp rebuild",
    );
  }
  let addon: Addon;
  try {
    addon = createRequire(import.meta.url)(file);
  } catch (error) {
    throw absent("ENOEXEC", `the native addon ${file} can not be loaded: ${(error as Error).message}`, error);
  }
  complete(addon);
  // A Worker inside runSync() does not hear that the process ends, and the process waits for it. A Worker's own "exit"
  // is the end of that Worker alone.
  if (isMainThread) process.once("exit", () => addon.endRuns());
  loaded = addon;
  return addon;
}

function absent(name: ErrnoName, help: string, cause?: unknown): KvmError {
  return new KvmError(errno(name), call, { help }, { cause });
}

/** Where the addon may lie: built here, or shipped. */
function candidates(): string[] {
  const root = packageFolder();
  return [
    join(root, "build/Release/kvm.node"),
    join(root, "build/linux-arm64/kvm.node"),
    join(root, `prebuilds/linux-arm64/kvm-arm64.${libc()}.node`),
  ];
}

/** The nearest folder above this file that has a package.json: it lies in lib/ or in dist/lib/. */
function packageFolder(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, "package.json")) && dirname(folder) !== folder) folder = dirname(folder);
  return folder;
}

/** Which C library Node itself is linked to: its ELF interpreter says so. */
function libc(): "glibc" | "musl" {
  const head = Buffer.alloc(4096);
  try {
    const fd = openSync(process.execPath, "r");
    readSync(fd, head, 0, head.length, 0);
    closeSync(fd);
  } catch {
    return "glibc";
  }
  return head.includes("/ld-musl-") ? "musl" : "glibc";
}

function complete(addon: Addon): void {
  const method = (value: unknown) => ({ value, writable: true, configurable: true });
  const handleOf = (kind: "vm" | "vcpu") =>
    function (this: NativeObject & { readonly closed: boolean }): Handle {
      if (this.closed) throw new Refused("EBADF", "handle");
      return { backend: "kvm", kind, token: this.token };
    };
  Object.defineProperties(addon.SystemFd.prototype, {
    attachVm: method(function (this: NativeSystem, handle: Handle) {
      return this.attachVmToken(token(handle, "vm", "attachVm"));
    }),
    attachVcpu: method(function (this: NativeSystem, handle: Handle) {
      return this.attachVcpuToken(token(handle, "vcpu", "attachVcpu"));
    }),
  });
  Object.defineProperties(addon.VmFd.prototype, { handle: method(handleOf("vm")), map: method(map) });
  Object.defineProperties(addon.VcpuFd.prototype, { handle: method(handleOf("vcpu")) });
}

function token(handle: Handle, kind: "vm" | "vcpu", verb: string): bigint {
  const { backend, kind: actual, token } = handle as { backend: unknown; kind?: unknown; token?: unknown };
  if (backend !== "kvm" || actual !== kind || typeof token !== "bigint" || token < 0n || token >> 64n !== 0n) {
    throw new Refused("ENOENT", verb);
  }
  return token;
}

// Of mmap(2), as every Linux has them.
const PROT = { READ: 1, WRITE: 2 } as const;
const MAP = { SHARED: 1, PRIVATE: 2, ANONYMOUS: 0x20, NORESERVE: 0x4000 } as const;
const anonymous = MAP.PRIVATE | MAP.ANONYMOUS;
// As pageBytes: ordinary pages, of whatever size the host has.
const hostPage = 0;

function map(this: NativeVm & VmFd, request: MappingRequest): Mapping {
  if (this.closed) throw new Refused("EBADF", "mmap");
  const mapping = mapRequest(this, request);
  // Memory that a guest runs in can not be given away to another thread.
  markAsUntransferable(mapping.buffer as ArrayBuffer);
  return mapping;
}

function mapRequest(vm: NativeVm, request: MappingRequest): Mapping {
  switch (request.kind) {
    case "anonymous":
      return vm.mapMemory(-1, 0, request.bytes, hostPage, PROT.READ | PROT.WRITE, anonymous | MAP.NORESERVE);
    case "hugetlb":
      // Reserved: a page that cannot be had is ENOMEM here, not SIGBUS when it is touched.
      return vm.mapMemory(-1, 0, request.bytes, request.pageBytes, PROT.READ | PROT.WRITE, anonymous);
    case "guest-memfd":
      return mapFile(vm, request.fd, request, { shared: true, writable: true });
    case "file": {
      const access = request.shared && request.writable ? constants.O_RDWR : constants.O_RDONLY;
      // Without waiting for the other end, if it should be a FIFO.
      const fd = refusing(() => openSync(request.path, access | constants.O_NONBLOCK));
      try {
        return mapFile(vm, fd, request, request);
      } finally {
        closeSync(fd);
      }
    }
    default:
      throw new TypeError(
        `kind must be anonymous, hugetlb, file or guest-memfd, got ${(request as { kind: unknown }).kind}`,
      );
  }
}

/** Beyond the end of a file a mapping is SIGBUS, for the guest and for JavaScript: whoever truncates it later gets that. */
function mapFile(
  vm: NativeVm,
  fd: number,
  at: { offset: number; bytes: number },
  how: { shared: boolean; writable: boolean },
): Mapping {
  const { size } = refusing(() => fstatSync(fd));
  if (at.offset + at.bytes > size) throw new Refused("EINVAL", "mmap");
  const flags = (how.shared ? MAP.SHARED : MAP.PRIVATE) | MAP.NORESERVE;
  return vm.mapMemory(fd, at.offset, at.bytes, hostPage, how.writable ? PROT.READ | PROT.WRITE : PROT.READ, flags);
}

/** Node's system errors as refusals. */
function refusing<T>(verb: () => T): T {
  try {
    return verb();
  } catch (error) {
    const { code, syscall } = error as NodeJS.ErrnoException;
    if (code === undefined || !(code in errnos)) throw error;
    throw new Refused(code as ErrnoName, syscall ?? "open");
  }
}
