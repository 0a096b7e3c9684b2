// Where things lie in the guest's physical address space, as guests of other VMMs know it from QEMU's board "virt".
// docs/vmm.md has the table.

export const GIC_DISTRIBUTOR_AT = 0x0800_0000n;
export const GICV2_CPU_INTERFACE_AT = 0x0801_0000n;
export const GICV3_REDISTRIBUTORS_AT = 0x080a_0000n;
export const PL011_AT = 0x0900_0000n;
export const PL031_AT = 0x0901_0000n;
export const VIRTIO_AT = 0x0a00_0000n;
/** A page for each, so that a guest can give one away. */
export const VIRTIO_BYTES = 0x1000;
export const RAM_AT = 0x4000_0000n;
