// The guest programs on every backend at hand: same output, same status. The machine is the one of lib/vmm.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import {
  type Device,
  hostFeatures,
  Machine,
  type Outcome,
  Pl011,
  Pl031,
  parseProgram,
  RAM_AT,
  VIRTIO_AT,
  VirtioMmio,
  virtioBlock,
} from "../../lib/vmm/index.js";
import { skip } from "../skip.js";
import { type Host, needsDevice, onEveryBackend } from "../support/backends.js";
import { initialiseGic } from "../support/gic.js";
import { openMemoryDisk } from "../vmm/memory-disk.js";
import { DISK_BYTES, expected, fileName, type Guest, guestFile, guests } from "./guests.js";

const RAM_BYTES = 4 << 20;
const NEEDS_WHAT_THE_CPU_LACKS = 77;

async function runGuest(host: Host, guest: Guest): Promise<{ outcome: Outcome; stdout: string }> {
  const sent: number[] = [];
  const devices: Device[] = [new Pl011({ send: (byte) => sent.push(byte) }), new Pl031()];
  if (guest.disk === true) devices.push(new VirtioMmio(virtioBlock(openMemoryDisk(DISK_BYTES)), VIRTIO_AT));
  const cpuFeatures = hostFeatures(host.kvm).filter((name) => guest.pointerAuth === true && name.startsWith("ptrauth"));
  const options = { memoryBytes: RAM_BYTES, cpus: guest.cpus, cpuFeatures, devices };
  const machine = host.keep(new Machine(host.kvm, options));
  if (guest.gicv3 === true) initialiseGic(host.keep(machine.vm.createDevice("vgic-v3")));
  machine.load(parseProgram(readFileSync(guestFile(guest)), { at: RAM_AT, bytes: RAM_BYTES }));
  const outcome = await machine.run();
  return { outcome, stdout: Buffer.from(sent).toString("latin1") };
}

onEveryBackend("guest programs", (host) => {
  for (const guest of guests) {
    it(`${fileName(guest)} prints what it should and ends with its status`, async function () {
      this.timeout(180_000);
      if (guest.gicv3 === true) needsDevice(this, host, "vgic-v3");
      const { outcome, stdout } = await runGuest(host, guest);
      if (outcome.event === "off" && outcome.status === NEEDS_WHAT_THE_CPU_LACKS) skip(this, stdout.trim());

      const { status, stdout: wanted } = expected(guest, host.kernel);
      assert.equal(stdout, wanted);
      assert.deepEqual(outcome, { event: "off", status });
    });
  }
});
