// Who made a CPU, and which it is: MIDR_EL1. DDI 0487 D24.2.120; asm/cputype.h has the same part numbers.

interface Implementer {
  readonly name: string;
  readonly parts: Readonly<Record<number, string>>;
}

// biome-ignore format: table
const implementers: Readonly<Record<number, Implementer>> = {
  0: { name: "software", parts: { 81: "QEMU max" } },
  65: { name: "Arm", parts: {
    3331: "Cortex-A53", 3332: "Cortex-A35", 3333: "Cortex-A55", 3335: "Cortex-A57", 3336: "Cortex-A72",
    3337: "Cortex-A73", 3338: "Cortex-A75", 3339: "Cortex-A76", 3340: "Neoverse N1", 3341: "Cortex-A77",
    3342: "Cortex-A76AE", 3343: "Foundation model", 3392: "Neoverse V1", 3393: "Cortex-A78", 3394: "Cortex-A78AE",
    3396: "Cortex-X1", 3398: "Cortex-A510", 3399: "Cortex-A710", 3400: "Cortex-X2", 3401: "Neoverse N2",
    3403: "Cortex-A78C", 3405: "Cortex-A715", 3406: "Cortex-X3", 3407: "Neoverse V2", 3456: "Cortex-A520",
    3457: "Cortex-A720", 3458: "Cortex-X4", 3459: "Neoverse V3AE", 3460: "Neoverse V3", 3461: "Cortex-X925",
    3463: "Cortex-A725", 3470: "Neoverse N3",
  } },
  66: { name: "Broadcom", parts: { 1302: "Vulcan" } },
  67: { name: "Cavium", parts: { 161: "ThunderX", 162: "ThunderX 81XX", 163: "ThunderX 83XX", 175: "ThunderX2" } },
  70: { name: "Fujitsu", parts: { 1: "A64FX" } },
  72: { name: "HiSilicon", parts: { 3329: "TSV110", 3330: "HIP09" } },
  78: { name: "NVIDIA", parts: { 3: "Denver 2", 4: "Carmel" } },
  80: { name: "APM", parts: { 0: "X-Gene" } },
  81: { name: "Qualcomm", parts: { 2048: "Kryo 2xx Gold", 2049: "Kryo 2xx Silver", 3072: "Falkor" } },
  97: { name: "Apple", parts: {
    34: "M1 Icestorm", 35: "M1 Firestorm", 36: "M1 Pro Icestorm", 37: "M1 Pro Firestorm",
    40: "M1 Max Icestorm", 41: "M1 Max Firestorm", 50: "M2 Blizzard", 51: "M2 Avalanche",
  } },
  109: { name: "Microsoft", parts: { 3401: "Azure Cobalt 100" } },
  192: { name: "Ampere", parts: { 2755: "AmpereOne", 2756: "AmpereOne A" } },
};

/** A MIDR_EL1 in words: "Arm Neoverse N1 r3p1". */
export function formatMidr(midr: bigint | number): string {
  const bits = Number(BigInt.asUintN(32, BigInt(midr)));
  const code = bits >>> 24;
  const part = (bits >> 4) & 0xfff;
  const implementer = implementers[code];
  const name = implementer?.name ?? `implementer 0x${code.toString(16)}`;
  const partName = implementer?.parts[part] ?? `part 0x${part.toString(16)}`;
  return `${name} ${partName} r${(bits >> 20) & 15}p${bits & 15}`;
}
