"""Exported models, compiled with C for instructions and run under the sanitizers."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from objects import library_objects

from nanotool import simulate
from nanotool.backends import c
from nanotool.ir import DTYPES, Int8Array, Lowered
from nanotool.plan import plan
from nanotool.sources import lib_dir

FLAGS = (
    *("-std=c99", "-pedantic", "-Wall", "-Wextra", "-Wconversion", "-Wmissing-prototypes"),
    *("-Werror", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"),
    # The guards of the exported sources, and C instead of the instructions.
    *("-D__ARM_FEATURE_DSP=1", "-D__ARM_FEATURE_MVE=1", "-DNANO_SIMD_FALLBACK=1"),
)
# What is read before it is written differs from what it should be. gcc has this since 12.
UNSET = "-ftrivial-auto-var-init=pattern"
PROBE = ["cc", "-Werror", UNSET, "-x", "c", "-c", os.devnull, "-o", os.devnull]
KNOWN = (UNSET,) if subprocess.run(PROBE, capture_output=True, check=False).returncode == 0 else ()
COMPILE = ("cc", *FLAGS, *KNOWN, f"-I{lib_dir() / 'include'}")
MAIN = """
#include <stdio.h>
#include <stdlib.h>
#include "app_model.h"
#include "nano/nano.h"

/* Inputs come from stdin, outputs go to stdout; the arena ends where the sanitizer looks. */
int main(void) {
    nano_arena arena;
    nano_net net;
    void *const room = aligned_alloc(16, (APP_ARENA_SIZE + 15) / 16 * 16);
    if (nano_arena_init(&arena, room, APP_ARENA_SIZE) != NANO_OK ||
        nano_init(&net, &APP_MODEL, &arena) != NANO_OK)
        return 1;
    while (fread(nano_input(&net), 1, APP_INPUT_SIZE, stdin) == APP_INPUT_SIZE) {
        if (nano_run(&net) != NANO_OK)
            return 2;
        fwrite(nano_output(&net), 1, APP_OUTPUT_SIZE, stdout);
    }
    free(room);
    return 0;
}
"""


def compile_c(*arguments: str | Path) -> None:
    command = [*COMPILE, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The C library for `run_exported`, an archive: what a test links before it goes first."""
    archive = tmp_path_factory.mktemp("library") / "libnano.a"
    objects = library_objects(COMPILE, tmp_path_factory)
    subprocess.run(["ar", "rcs", archive, *objects], check=True)
    return archive


def run_exported(
    archive: Path, folder: Path, lowered: Lowered, x: Int8Array, *more: str | Path
) -> None:
    """Fails unless ``lowered``, exported to ``folder`` and compiled, gives the simulator's bytes.
    ``archive``: `library`; ``more``: other arguments of the compiler."""
    graph = lowered.graph
    c.export([(lowered, plan(lowered))], folder / "model")
    main, program = folder / "main.c", folder / "program"
    main.write_text("#define _ISOC11_SOURCE\n" + MAIN)
    sources = sorted((folder / "model").glob("*.c"))
    compile_c(f"-I{folder / 'model'}", main, *sources, *more, archive, "-o", program)
    done = subprocess.run([program], input=x.tobytes(), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    y = np.frombuffer(done.stdout, DTYPES[graph.output_tensor.dtype]).reshape(
        len(x), *graph.output_tensor.shape
    )
    assert np.array_equal(y, simulate.simulate(graph, x))
