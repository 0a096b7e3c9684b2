// A VMM in a process of its own, to be killed: the guest disk-writer on the disk that the arguments name.
import type { OpenOptions } from "../../lib/index.js";
import { createMachine, type DiskOptions } from "../../lib/vmm/index.js";
import { guestFile, guests } from "../guests/guests.js";

const [disk, open] = process.argv.slice(2).map((text) => JSON.parse(text)) as [DiskOptions, OpenOptions];
const guest = guests.find(({ name }) => name === "disk-writer")!;
using machine = createMachine({ kernel: guestFile(guest), disks: [disk], memoryBytes: 4 << 20, open });
machine.on("console", (bytes) => process.stdout.write(bytes));
await machine.run();
