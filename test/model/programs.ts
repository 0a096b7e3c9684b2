// Guest programs as words. What stands beside each word is what `aarch64-linux-gnu-gcc -march=armv8.5-a -c` makes it from.

// biome-ignore format: one instruction a line
export const programs = {
  /** Stores the byte 0x41 to 0x9000000, then turns the machine off. */
  store: [
    0xd2a12000, // mov x0, #0x9000000
    0x52800821, // mov w1, #0x41
    0x39000001, // strb w1, [x0]
    0x52b08000, // mov w0, #0x84000000
    0x11002000, // add w0, w0, #0x8
    0xd4000002, // hvc #0x0
  ],
  /** Loads from 0x9000000 with every kind of sign extension, x11 to x15; then turns the machine off. */
  signedLoads: [
    0xd2a12000, // mov x0, #0x9000000
    0x3980000b, // ldrsb x11, [x0]
    0x39c0000c, // ldrsb w12, [x0]
    0x7980000d, // ldrsh x13, [x0]
    0xb980000e, // ldrsw x14, [x0]
    0x3940000f, // ldrb w15, [x0]
    0x52b08000, // mov w0, #0x84000000
    0x11002000, // add w0, w0, #0x8
    0xd4000002, // hvc #0x0
  ],
  /** A load from 0x9000000 that no syndrome describes. */
  postIndexed: [
    0xd2a12000, // mov x0, #0x9000000
    0xf8408401, // ldr x1, [x0], #8
    0x52b08000, // mov w0, #0x84000000
    0x11002000, // add w0, w0, #0x8
    0xd4000002, // hvc #0x0
  ],
  /** Waits for ever. */
  waitForInterrupt: [
    0xd503207f, // wfi
    0x17ffffff, // b 0
  ],
  /** Counts in x0 for ever. */
  spin: [
    0x91000400, // add x0, x0, #0x1
    0x17ffffff, // b 0
  ],
  /** Sets the virtual timer to x1 ticks from now, unmasks nothing, waits, then turns the machine off. */
  timer: [
    0xd53be042, // mrs x2, cntvct_el0
    0x8b010042, // add x2, x2, x1
    0xd51be342, // msr cntv_cval_el0, x2
    0xd2800023, // mov x3, #0x1
    0xd51be323, // msr cntv_ctl_el0, x3
    0xd503207f, // wfi
    0x52b08000, // mov w0, #0x84000000
    0x11002000, // add w0, w0, #0x8
    0xd4000002, // hvc #0x0
  ],
  /** One HVC with whatever is in the registers, and another store to 0x9000000 after it. */
  call: [
    0xd4000002, // hvc #0x0
    0xd2a12009, // mov x9, #0x9000000
    0xf9000120, // str x0, [x9]
    0x14000000, // b c
  ],
  /** One SMC, the same. */
  secureCall: [
    0xd4000003, // smc #0x0
    0xd2a12009, // mov x9, #0x9000000
    0xf9000120, // str x0, [x9]
    0x14000000, // b c
  ],
  /** An SMC whose immediate is not 0. */
  secureCallImmediate: [
    0xd4000023, // smc #0x1
    0xd2a12009, // mov x9, #0x9000000
    0xf9000120, // str x0, [x9]
    0x14000000, // b c
  ],
  /** Stores x1 at x0, loads it again into x2, then stores to 0x9000000. */
  writeRam: [
    0xf9000001, // str x1, [x0]
    0xf9400002, // ldr x2, [x0]
    0xd2a12009, // mov x9, #0x9000000
    0xf9000122, // str x2, [x9]
    0x14000000, // b 10
  ],
  /** CPU_ON of the CPU x1 at x2 with context x3, then a store of the result to 0x9000000. */
  powerOn: [
    0x52b08000, // mov w0, #0x84000000
    0x11000c00, // add w0, w0, #0x3
    0xb2620000, // orr x0, x0, #0x40000000
    0xd4000002, // hvc #0x0
    0xd2a12009, // mov x9, #0x9000000
    0xf9000120, // str x0, [x9]
    0x14000000, // b 18
  ],
  /** Reads ID_AA64ISAR0_EL1 and ID_AA64PFR0_EL1, stores them to 0x9000000. */
  idRegister: [
    0xd5380600, // mrs x0, id_aa64isar0_el1
    0xd5380401, // mrs x1, id_aa64pfr0_el1
    0xd2a12009, // mov x9, #0x9000000
    0xf9000120, // str x0, [x9]
    0xf9000521, // str x1, [x9, #8]
    0x14000000, // b 14
  ],
  /** A BRK between two additions. */
  breakpoint: [
    0x91000400, // add x0, x0, #0x1
    0xd42000e0, // brk #0x7
    0x91000800, // add x0, x0, #0x2
    0x14000000, // b c
  ],
  /** Sets VBAR_EL1 to 0x40000800, unmasks everything, then loads from x10 and waits. */
  vectors: [
    0xd2a80009, // mov x9, #0x40000000
    0x91200129, // add x9, x9, #0x800
    0xd518c009, // msr vbar_el1, x9
    0xd5034fff, // msr daifclr, #0xf
    0xf9400141, // ldr x1, [x10]
    0xd503207f, // wfi
    0x17ffffff, // b 14
  ],
  /** An exception handler: stores ESR_EL1, then FAR_EL1 to 0x9000000. */
  handler: [
    0xd5385201, // mrs x1, esr_el1
    0xd5386002, // mrs x2, far_el1
    0xd2a12009, // mov x9, #0x9000000
    0xf9000121, // str x1, [x9]
    0xf9000122, // str x2, [x9]
    0x14000000, // b 14
  ],
  /** An instruction of FEAT_BF16, which the engine lacks. */
  brainDotProduct: [
    0x6e42fc20, // bfdot v0.4s, v1.8h, v2.8h
    0x14000000, // b 4
  ],
  /** WFE until x0 at 0x40001000 is not 0, then a store to 0x9000000. */
  waitForEvent: [
    0xd2a80009, // mov x9, #0x40000000
    0x91400529, // add x9, x9, #0x1, lsl #12
    0xf9400120, // ldr x0, [x9]
    0xb5000060, // cbnz x0, 18
    0xd503205f, // wfe
    0x17fffffd, // b 8
    0xd2a12009, // mov x9, #0x9000000
    0xf9000120, // str x0, [x9]
    0x14000000, // b 20
  ],
  /** Adds x1 to what 0x40001000 holds, x2 times; then stores to 0x9000000. */
  addition: [
    0xd2a80009, // mov x9, #0x40000000
    0x91400529, // add x9, x9, #0x1, lsl #12
    0xf8210123, // ldadd x1, x3, [x9]
    0xd1000442, // sub x2, x2, #0x1
    0xb5ffffc2, // cbnz x2, 8
    0xd2a12009, // mov x9, #0x9000000
    0xf9000122, // str x2, [x9]
  ],
} as const satisfies Record<string, readonly number[]>;
