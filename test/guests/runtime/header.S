// The header of a Linux Image (Documentation/arch/arm64/booting.rst), before the same program.
    .section .header, "ax"
    b       _start
    .long   0
    .quad   0x80000                     // text_offset: where the program is linked, from the start of RAM
    .quad   __memory_end - _image       // image_size, with .bss and the stacks
    .quad   0b0010                      // flags: little-endian, 4 KiB pages
    .quad   0, 0, 0
    .ascii  "ARM\x64"
    .long   0
    .set    _image, 0x40080000
