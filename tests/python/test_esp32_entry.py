"""The bare ESP32's entry code: what the ROM jumps into, and the call back into the ROM.

Run on stock QEMU's dc232b core, which has register windows as an LX6 does, but none of its memory.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from nanotool.sources import firmware_dir

pytestmark = pytest.mark.skipif(
    shutil.which("xtensa-lx106-elf-gcc") is None or shutil.which("qemu-system-xtensa") is None,
    reason="xtensa-lx106-elf-gcc or qemu-system-xtensa is not installed",
)

RIGHT, WRONG, FAULT = 42, 13, 66

# Debian's assembler knows no windows: entry, retw, callx8 and simcall are given as bytes.
PROGRAM = f"""
    .section .reset, "ax"
    j       1f
    .align  4
    .literal_position
    .align  4
1:  movi    a0, entry
    jx      a0

    .macro  expect register, value
    movi    a2, \\value
    bne     a2, \\register, wrong
    .endm

    .section .text, "ax"
    .literal_position
    .align  4
    .global startup
startup:                            // entry.S comes here, with a stack
    expect  a1, __stack_top
    movi    a12, 0x112
    movi    a13, 0x113
    movi    a14, 0x114
    movi    a15, 0x115
    movi    a2, 0x66
    movi    a3, 4
    movi    a4, 11
    movi    a5, 0xC3
    movi    a0, rom_i2c_write
    callx0  a0
    movi    a6, seen
    l32i    a7, a6, 0
    expect  a7, 0x66
    l32i    a7, a6, 4
    expect  a7, 4
    l32i    a7, a6, 8
    expect  a7, 11
    l32i    a7, a6, 12
    expect  a7, 0xC3
    expect  a12, 0x112              // what a call0 function leaves alone
    expect  a13, 0x113
    expect  a14, 0x114
    expect  a15, 0x115
    expect  a1, __stack_top
    rsr.ps  a7
    expect  a7, 0x2F                // windows are off again
    movi    a3, {RIGHT}
    j       leave
wrong:
    movi    a3, {WRONG}
leave:
    movi    a2, 1                   // exit(a3)
    .byte   0x00, 0x51, 0x00        // simcall
    j       leave

    .align  4
    .global the_rom
the_rom:                            // a windowed function that calls another
    .byte   0x36, 0x41, 0x00        // entry a1, 32
    movi    a8, seen
    s32i    a2, a8, 0
    s32i    a3, a8, 4
    s32i    a4, a8, 8
    s32i    a5, a8, 12
    movi    a10, 99
    movi    a14, 98
    movi    a8, deeper
    .byte   0xE0, 0x08, 0x00        // callx8 a8
    .byte   0x90, 0x00, 0x00        // retw
    .align  4
deeper:
    .byte   0x36, 0x41, 0x00        // entry a1, 32
    movi    a4, 77
    movi    a12, 5
    .byte   0x90, 0x00, 0x00        // retw

    .section .vectors, "ax"
    .balign 1024
    .global vectors
vectors:                            // any exception, window overflows included, is a fault
    .rept   64
    j       fault
    j       fault
    .balign 8
    .endr
fault:
    movi    a3, {FAULT}
    movi    a2, 1
    .byte   0x00, 0x51, 0x00

    .data
    .align  4
seen:
    .word   0, 0, 0, 0
"""

SCRIPT = """
ENTRY(entry)
SECTIONS
{
    .reset 0xFE000000 : { *(.reset) }
    .vectors 0xD0001000 : { *(.vectors) }
    .text : { *(.text.entry) *(.literal .literal.* .text .text.*) }
    .data : { *(.data .data.*) . = ALIGN(16); . += 4096; __stack_top = .; }
}
"""


def run(folder: Path, *defines: str) -> int:
    """The exit status of the program, with entry.S as it is."""
    (folder / "program.S").write_text(PROGRAM)
    (folder / "script.ld").write_text(SCRIPT)
    boards = firmware_dir() / "boards"
    program = folder / "program.elf"
    subprocess.run(
        [
            *("xtensa-lx106-elf-gcc", "-mlongcalls", "-mtext-section-literals", "-nostdlib"),
            *(f"-I{boards / 'xtensa'}", "-T", str(folder / "script.ld"), *defines),
            *("-Wl,--no-warn-rwx-segments", "-o", str(program)),
            *(str(boards / "esp32_bare" / "entry.S"), str(folder / "program.S")),
        ],
        check=True,
    )
    command = ["qemu-system-xtensa", "-M", "sim", "-cpu", "dc232b", "-semihosting", "-nographic"]
    done = subprocess.run(
        [*command, "-monitor", "none", "-serial", "none", "-kernel", str(program)],
        check=False,
        timeout=30,
    )
    return done.returncode


def test_entry_and_the_call_into_the_rom(tmp_path: Path) -> None:
    assert run(tmp_path, "-DROM_I2C_WRITE=the_rom") == RIGHT


def test_it_would_be_noticed(tmp_path: Path) -> None:
    """A call of something else, where there is nothing but vectors that fault."""
    assert run(tmp_path, "-DROM_I2C_WRITE=vectors+8") == FAULT
