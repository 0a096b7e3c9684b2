// Where a guest begins: EL1, MMU off, x0 whatever the loader passes. Sets up vectors, a stack of 64 KiB for each CPU
// (CPU 0's is the topmost), an empty .bss, and calls main(); what main returns is the status that the guest ends with.
    .section .start, "ax"
    .global _start, cpu_entry, vectors

_start:
    bl      install_vectors
    adrp    x1, __stack_top
    add     x1, x1, :lo12:__stack_top
    mov     sp, x1
    adrp    x1, __bss_start
    add     x1, x1, :lo12:__bss_start
    adrp    x2, __bss_end
    add     x2, x2, :lo12:__bss_end
1:  cmp     x1, x2
    b.hs    2f
    stp     xzr, xzr, [x1], #16
    b       1b
2:  bl      main
    b       power_off

// Entry of a CPU that PSCI CPU_ON started: x0 is a struct cpu_start { function, argument }.
cpu_entry:
    bl      install_vectors
    mrs     x1, mpidr_el1
    ubfiz   x1, x1, #16, #8
    adrp    x2, __stack_top
    add     x2, x2, :lo12:__stack_top
    sub     sp, x2, x1
    ldp     x1, x0, [x0]
    blr     x1
    b       cpu_off

install_vectors:
    adrp    x1, vectors
    add     x1, x1, :lo12:vectors
    msr     vbar_el1, x1
    isb
    ret

// Each vector saves the registers that C may change and calls exception(&frame, n), n the number of the vector.
    .macro vector n
    .balign 128
    sub     sp, sp, #192
    stp     x0, x1, [sp, #0]
    mov     x1, #\n
    b       save_and_call
    .endm

    .balign 2048
vectors:
    .irp    n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    vector  \n
    .endr

    .balign 128
save_and_call:
    stp     x2, x3, [sp, #16]
    stp     x4, x5, [sp, #32]
    stp     x6, x7, [sp, #48]
    stp     x8, x9, [sp, #64]
    stp     x10, x11, [sp, #80]
    stp     x12, x13, [sp, #96]
    stp     x14, x15, [sp, #112]
    stp     x16, x17, [sp, #128]
    stp     x18, x30, [sp, #144]
    mrs     x2, elr_el1
    mrs     x3, spsr_el1
    stp     x2, x3, [sp, #160]
    mov     x0, sp
    bl      exception
    ldp     x2, x3, [sp, #160]
    msr     elr_el1, x2
    msr     spsr_el1, x3
    ldp     x18, x30, [sp, #144]
    ldp     x16, x17, [sp, #128]
    ldp     x14, x15, [sp, #112]
    ldp     x12, x13, [sp, #96]
    ldp     x10, x11, [sp, #80]
    ldp     x8, x9, [sp, #64]
    ldp     x6, x7, [sp, #48]
    ldp     x4, x5, [sp, #32]
    ldp     x2, x3, [sp, #16]
    ldp     x0, x1, [sp, #0]
    add     sp, sp, #192
    eret
