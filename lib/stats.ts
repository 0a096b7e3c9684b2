// Binary statistics of a VM or a vCPU. Documentation/virt/kvm/api.rst 4.133 KVM_GET_STATS_FD.
import { structs, unpack } from "./uapi/structs.js";

const types = ["cumulative", "instant", "peak", "linear histogram", "logarithmic histogram"] as const;
const units = ["none", "bytes", "seconds", "cycles", "boolean"] as const;

export interface Statistic {
  readonly name: string;
  readonly type: (typeof types)[number] | `type ${number}`;
  readonly unit: (typeof units)[number] | `unit ${number}`;
  /** The unit's scale: value × base ^ exponent. */
  readonly base: 2 | 10;
  readonly exponent: number;
  /** Width of a bucket, of a linear histogram. */
  readonly bucketBytes: number;
  /** One value; a histogram has one for each bucket. */
  readonly values: readonly bigint[];
}

export interface Statistics {
  /** "kvm-1234/vcpu-0" */
  readonly id: string;
  readonly statistics: readonly Statistic[];
}

const text = (bytes: Uint8Array): string => {
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
};

/** Reads the whole statistics file through `read(offset, into)`, which gives the number of bytes read. */
export function readStatistics(read: (offset: number, into: Uint8Array) => number): Statistics {
  const exactly = (offset: number, size: number): Uint8Array => {
    const into = new Uint8Array(size);
    const got = read(offset, into);
    if (got !== size) throw new RangeError(`the statistics end at ${offset + got}, expected ${offset + size}`);
    return into;
  };
  const header = unpack(structs.kvm_stats_header, exactly(0, structs.kvm_stats_header.bytes));
  const descriptorBytes = structs.kvm_stats_desc.bytes + header.name_size;
  const id = text(exactly(header.id_offset, header.name_size));
  const descriptors = exactly(header.desc_offset, descriptorBytes * header.num_desc);
  const statistics = Array.from({ length: header.num_desc }, (_, i): Statistic => {
    const bytes = descriptors.subarray(i * descriptorBytes, (i + 1) * descriptorBytes);
    const d = unpack(structs.kvm_stats_desc, bytes);
    const type = d.flags & 0xf;
    const unit = (d.flags >> 4) & 0xf;
    const data = exactly(header.data_offset + d.offset, 8 * d.size);
    return {
      name: text(bytes.subarray(structs.kvm_stats_desc.bytes)),
      type: types[type] ?? `type ${type}`,
      unit: units[unit] ?? `unit ${unit}`,
      base: ((d.flags >> 8) & 0xf) === 0 ? 10 : 2,
      exponent: (d.exponent << 16) >> 16,
      bucketBytes: d.bucket_size,
      values: [...new BigUint64Array(data.buffer)],
    };
  });
  return { id, statistics };
}
