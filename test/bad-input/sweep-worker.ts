// A thread that calls every member of a VM and a vCPU of its parent.

import { parentPort, workerData } from "node:worker_threads";
import { Kvm } from "../../lib/index.js";
import { sweep } from "./invoke.js";
import { type Subject, vcpuMembers, vmMembers } from "./members.js";

const vm = Kvm.attachVm(workerData.vm);
const cpu = Kvm.attachVcpu(workerData.vcpu);
const kvm = Kvm.open(workerData.open);
const event = kvm.createEventFd();
const memory = vm.addMemory({ at: 0xa000_0000n, bytes: 4096, slot: 99 });
const subject: Subject = { kvm, vm, cpu, memory, event, device: undefined };
parentPort?.postMessage({
  Vm: await sweep(vm, vmMembers, subject),
  Vcpu: await sweep(cpu, vcpuMembers, subject),
});
for (const resource of [event, cpu, vm, kvm]) resource.close();
