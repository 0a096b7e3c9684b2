// A writer for the kernel's initramfs format: cpio "newc" (Documentation/driver-api/early-userspace/buffer-format.rst).

import { lstatSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { dirname, join } from "node:path";

const fileTypes = { folder: 0o040000, file: 0o100000, link: 0o120000, device: 0o020000 } as const;

/** Collects entries, parent folders first; `bytes()` gives the archive. Archives may follow one another in one file. */
export class Cpio {
  readonly #chunks: Buffer[] = [];
  readonly #folders = new Set(["/", "."]);
  #inode = 0;

  folder(path: string): this {
    if (this.#folders.has(path)) return this;
    this.folder(dirname(path));
    this.#folders.add(path);
    return this.#entry(path, fileTypes.folder | 0o755, Buffer.alloc(0), [0, 0]);
  }

  file(path: string, content: Uint8Array | string, permissions = 0o644): this {
    this.folder(dirname(path));
    return this.#entry(path, fileTypes.file | permissions, Buffer.from(content as Uint8Array), [0, 0]);
  }

  link(path: string, target: string): this {
    this.folder(dirname(path));
    return this.#entry(path, fileTypes.link | 0o777, Buffer.from(target), [0, 0]);
  }

  characterDevice(path: string, major: number, minor: number): this {
    this.folder(dirname(path));
    return this.#entry(path, fileTypes.device | 0o600, Buffer.alloc(0), [major, minor]);
  }

  /** A file or a whole folder of this machine. `wanted` sees paths as they will be in the archive. */
  copy(path: string, from: string, wanted: (path: string) => boolean = () => true): this {
    const stat = lstatSync(from);
    if (!wanted(path)) return this;
    if (stat.isSymbolicLink()) return this.link(path, readlinkSync(from));
    if (stat.isFile()) return this.file(path, readFileSync(from), stat.mode & 0o777);
    if (!stat.isDirectory()) return this;
    this.folder(path);
    for (const name of readdirSync(from).sort()) this.copy(join(path, name), join(from, name), wanted);
    return this;
  }

  bytes(): Buffer {
    const trailer = new Cpio();
    trailer.#entry("TRAILER!!!", 0, Buffer.alloc(0), [0, 0]);
    return Buffer.concat([...this.#chunks, ...trailer.#chunks]);
  }

  #entry(path: string, mode: number, content: Buffer, [major, minor]: readonly [number, number]): this {
    const name = Buffer.from(`${path.replace(/^\/+/, "")}\0`);
    // inode mode uid gid nlink mtime filesize devmajor devminor rdevmajor rdevminor namesize check
    const fields = [++this.#inode, mode, 0, 0, 1, 0, content.length, 0, 0, major, minor, name.length, 0];
    const header = `070701${fields.map((field) => field.toString(16).padStart(8, "0")).join("")}`;
    this.#chunks.push(...padded(Buffer.concat([Buffer.from(header), name])), ...padded(content));
    return this;
  }
}

function padded(bytes: Buffer): Buffer[] {
  return bytes.length % 4 ? [bytes, Buffer.alloc(4 - (bytes.length % 4))] : [bytes];
}
