"""Models for the ESP32-S3 as programs that the interpreter of its instructions executes."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
from xtensa import Xtensa

from nanotool.backends import c
from nanotool.ir import DTYPES, Int8Array, Lowered
from nanotool.plan import plan
from nanotool.sources import lib_dir

COMPILER = "xtensa-lx106-elf-gcc"
HAVE_COMPILER = shutil.which(COMPILER) is not None
HELPERS = Path(__file__).resolve().parents[2] / "firmware/boards/xtensa/integer.c"  # divisions
FLAGS = (
    *("-std=c99", "-O2", "-Wall", "-Wextra", "-Werror", "-mlongcalls", "-mtext-section-literals"),
    *("-ffreestanding", "-ffunction-sections", "-fdata-sections", "-nostdlib"),
    *("-DNANO_MAC16=1", "-DNANO_PIE=1"),
)
MAIN = """
#include <stddef.h>
#include "app_model.h"
#include "nano/nano.h"

NANO_ALIGNED static uint8_t room[APP_ARENA_SIZE];
NANO_ALIGNED int8_t in[APP_INPUT_SIZE];
NANO_ALIGNED int8_t out[APP_OUTPUT_SIZE];

void *memcpy(void *to, const void *from, size_t n);
void *memset(void *to, int value, size_t n);

__attribute__((optimize("no-tree-loop-distribute-patterns")))
void *memcpy(void *to, const void *from, size_t n) {
    for (size_t i = 0; i < n; i++)
        ((char *)to)[i] = ((const char *)from)[i];
    return to;
}

__attribute__((optimize("no-tree-loop-distribute-patterns")))
void *memset(void *to, int value, size_t n) {
    for (size_t i = 0; i < n; i++)
        ((char *)to)[i] = (char)value;
    return to;
}

int run(void);
int run(void) {
    nano_arena arena;
    nano_net net;
    if (nano_arena_init(&arena, room, sizeof room) != NANO_OK ||
        nano_init(&net, &APP_MODEL, &arena) != NANO_OK)
        return 1;
    memcpy(nano_input(&net), in, sizeof in);
    if (nano_run(&net) != NANO_OK)
        return 2;
    memcpy(out, nano_output(&net), sizeof out);
    return 0;
}
"""
SCRIPT = """
ENTRY(run)
SECTIONS {
    . = 0x1000;
    .text : { *(.literal .literal.* .text .text.*) }
    .data : { *(.rodata .rodata.* .data .data.* .bss .bss.* COMMON) }
}
"""


def library(folder: Path, *kernels: str) -> list[Path]:
    """Objects of the C library: of its core, and of ``kernels``, paths below src/ops."""
    names = [
        "arena.c",
        "broadcast.c",
        "model.c",
        "states.c",
        "values.c",
        *(f"ops/{name}" for name in kernels),
    ]
    made = []
    for name in names:
        made.append(folder / name.replace("/", "_").replace(".c", ".o"))
        compile_c("-c", lib_dir() / "src" / name, "-o", made[-1])
    made.append(folder / "helpers.o")
    compile_c("-c", HELPERS, "-o", made[-1])
    return made


def compile_c(*arguments: str | Path) -> None:
    command = [COMPILER, *FLAGS, f"-I{lib_dir() / 'include'}", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def link(objects: list[Path], folder: Path, lowered: Lowered) -> Xtensa:
    """A core with the program that runs ``lowered``."""
    c.export([(lowered, plan(lowered))], folder / "model")
    (folder / "main.c").write_text(MAIN)
    (folder / "program.ld").write_text(SCRIPT)
    sources = [folder / "main.c", *sorted((folder / "model").glob("*.c"))]
    options = ("-Wl,--gc-sections", "-T", folder / "program.ld", f"-I{folder / 'model'}")
    compile_c(*options, *sources, *objects, "-lgcc", "-o", folder / "program")
    core = Xtensa(folder / "program")
    core.watch(*{op.kernel for op in lowered.ops})
    return core


def run(core: Xtensa, lowered: Lowered, x: Int8Array) -> Int8Array:
    """The output for one input; `core.counts` tell what the kernels took."""
    output = lowered.graph.output_tensor
    core.write("in", x.tobytes())
    core.counts.clear()
    assert core.call("run") == 0
    data = np.frombuffer(core.read("out", output.nbytes), DTYPES[output.dtype])
    return data.reshape(output.shape)
