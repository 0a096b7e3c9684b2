// Linux errno numbers (asm-generic), as arm64 has them, whatever the host that the model runs on calls them.

/** name: [number, what it means in short] */
export const errnos = {
  EPERM: [1, "operation not permitted"],
  ENOENT: [2, "no such entity"],
  ESRCH: [3, "no such process"],
  EINTR: [4, "interrupted"],
  EIO: [5, "input/output error"],
  ENXIO: [6, "no such device or address"],
  E2BIG: [7, "too big"],
  ENOEXEC: [8, "not initialised"],
  EBADF: [9, "bad file descriptor"],
  EAGAIN: [11, "try again"],
  ENOMEM: [12, "out of memory"],
  EACCES: [13, "permission denied"],
  EFAULT: [14, "bad address"],
  EBUSY: [16, "busy"],
  EEXIST: [17, "already exists"],
  EXDEV: [18, "cross-device link"],
  ENODEV: [19, "no such device"],
  ENOTDIR: [20, "not a directory"],
  EISDIR: [21, "is a directory"],
  EINVAL: [22, "invalid argument"],
  ENFILE: [23, "too many open files in system"],
  EMFILE: [24, "too many open files"],
  ENOTTY: [25, "no such ioctl for this descriptor"],
  EFBIG: [27, "file too large"],
  ENOSPC: [28, "no space left"],
  ESPIPE: [29, "illegal seek"],
  EROFS: [30, "read-only file system"],
  EPIPE: [32, "broken pipe"],
  ERANGE: [34, "out of range"],
  ENOSYS: [38, "not implemented"],
  EOVERFLOW: [75, "value too large"],
  EOPNOTSUPP: [95, "operation not supported"],
  ETIMEDOUT: [110, "timed out"],
  EHWPOISON: [133, "memory page has hardware error"],
} as const satisfies Record<string, readonly [number, string]>;

export type ErrnoName = keyof typeof errnos;

/** Positive errno number of a name. */
export const errno = (name: ErrnoName): number => errnos[name][0];

/** Name of a positive errno; "errno N" where the table has none. */
export function errnoName(number: number): ErrnoName | `errno ${number}` {
  for (const name of Object.keys(errnos) as ErrnoName[]) if (errnos[name][0] === number) return name;
  return `errno ${number}`;
}
