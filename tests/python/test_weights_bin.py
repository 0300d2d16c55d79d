"""`nanotool export --weights bin`: the same arrays by .incbin or #embed, and clear errors."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from handmade import GraphBuilder
from test_scaffold import check_sketch, digits, run

from nanotool.api import QuantizedModel
from nanotool.backends import c
from nanotool.elf import symbols
from nanotool.errors import NanoError
from nanotool.kinds import find_kind
from nanotool.pipeline import prepare
from nanotool.scaffold import export_package
from nanotool.sources import lib_dir

WARNINGS = ("-std=c99", "-pedantic", "-Wall", "-Wextra", "-Wconversion", "-Werror")
COMPILERS = {
    "gcc": ("portable", "gcc"),
    "clang": ("portable", "clang"),
    "m0": ("scalar", "arm-none-eabi-gcc", "-mcpu=cortex-m0", "-mthumb"),
    "m4": ("armv7em", "arm-none-eabi-gcc", "-mcpu=cortex-m4", "-mthumb"),
    "m55": ("armv81m", "arm-none-eabi-gcc", "-mcpu=cortex-m55", "-mthumb", "-mfloat-abi=hard"),
    "m4 by clang": ("armv7em", "clang", "--target=arm-none-eabi", "-mcpu=cortex-m4"),
    "rv32": ("scalar", "riscv64-unknown-elf-gcc", "-march=rv32imc", "-mabi=ilp32"),
    "pie": ("pie", "gcc", "-DNANO_PIE=1"),  # arrays at multiples of 16
}
FREESTANDING = ("-ffreestanding", "-nostdlib")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The digits for all targets, by form of their weights."""
    folder = tmp_path_factory.mktemp("weights")
    model = QuantizedModel(digits())
    for form in ("c", "bin"):
        model.export(folder / form, weights=form)
    return {form: folder / form for form in ("c", "bin")}


def compiled(
    folder: Path, place: Path, *command: str, include: bool = True
) -> subprocess.CompletedProcess[str]:
    flags = [*WARNINGS, f"-I{lib_dir() / 'include'}", *([f"-I{folder}"] if include else ())]
    source = folder / "digits_weights.c"
    whole = [*command, *flags, "-c", str(source), "-o", str(place)]
    return subprocess.run(whole, capture_output=True, text=True, check=False)


def arrays(path: Path) -> dict[str, tuple[int, bytes]]:
    """(bytes behind an address that 16 divides, content) of each array in an object file."""
    content = path.read_bytes()
    return {
        one.name: (one.address % 16, content[one.offset : one.offset + one.size])
        for one in symbols(path)
        if one.kind == "object" and one.offset is not None
    }


@pytest.mark.parametrize("compiler", COMPILERS)
def test_the_same_arrays(folders: dict[str, Path], tmp_path: Path, compiler: str) -> None:
    target, *command = COMPILERS[compiler]
    if shutil.which(command[0]) is None:
        pytest.skip(f"there is no {command[0]}")
    for form, folder in folders.items():
        done = compiled(folder, tmp_path / form, *command, *FREESTANDING, "-fdata-sections")
        assert done.returncode == 0, done.stderr
    text, binary = arrays(tmp_path / "c"), arrays(tmp_path / "bin")
    assert text == binary
    lowered, _ = prepare(digits(), target)
    assert set(text) == {f"digits_{array.name}" for array in lowered.arrays()}


def test_a_package_runs(tmp_path: Path) -> None:
    kind = find_kind("c", package=True)
    export_package((digits(),), tmp_path / "p", kind, targets=("portable",), weights="bin")
    flags = "CFLAGS=-O0 -Wall -Wextra -Werror"
    compiler = "clang" if shutil.which("clang") else "cc"  # gcc's is what Arduino's runs
    run("make", "-s", f"CC={compiler}", flags, cwd=tmp_path / "p")
    assert run(tmp_path / "p" / "app", cwd=tmp_path).splitlines()[-1] == "digits OK"
    assert "--weights bin" in (tmp_path / "p" / "README.md").read_text()


def test_arduinos_folder_stands_in_its_librarys(tmp_path: Path) -> None:
    folder = tmp_path / "digits_model"
    kind = find_kind("arduino", package=True)
    export_package((digits(),), folder, kind, targets=("portable",), weights="bin")
    sketch = folder / "examples" / "digits" / "digits.ino"
    assert check_sketch(tmp_path, sketch, folder / "src") == "digits OK"


def test_embed(folders: dict[str, Path], tmp_path: Path) -> None:
    """What C23's #embed gives, done here: the compiler at hand may be older."""
    folder = tmp_path / "model"
    shutil.copytree(folders["bin"], folder)
    source = folder / "digits_weights.c"
    made = re.sub(
        r'#embed "(.*)"',
        lambda found: ", ".join(map(str, (folder / found[1]).read_bytes())),
        source.read_text(),
    )
    source.write_text(made)
    shutil.copyfile(folders["c"] / "digits_golden.h", folder / "digits_golden.h")
    main = tmp_path / "main.c"
    main.write_text(MAIN)
    parts = ("*.c", "ops/conv2d/*.c", "ops/dense/*.c", "ops/pool/*.c")
    found = [path for part in parts for path in (lib_dir() / "src").glob(part)]
    library = [path for path in found if path.name != "sequential.c"]
    flags = ("-O0", f"-I{lib_dir() / 'include'}", f"-I{folder}", "-DNANO_HAS_INCBIN=0")
    command = ["cc", *WARNINGS, *flags, "-D__has_embed(x)=1", str(main), *map(str, library)]
    program = tmp_path / "app"
    run(*command, *map(str, folder.glob("*.c")), "-lm", "-o", str(program), cwd=tmp_path)
    assert run(program, cwd=tmp_path) == "same\n"


MAIN = """
#include <stdio.h>
#include <string.h>
#include "digits.h"
#include "digits_golden.h"
#include "nano/nano.h"
NANO_ALIGNED static uint8_t bytes[DIGITS_ARENA_SIZE];
int main(void) {
    nano_arena arena;
    nano_net net;
    nano_arena_init(&arena, bytes, sizeof bytes);
    if (nano_init(&net, &digits_model, &arena) != NANO_OK)
        return 1;
    for (unsigned i = 0; i < DIGITS_GOLDEN_COUNT; i++) {
        memcpy(nano_input(&net), digits_golden_input[i], DIGITS_INPUT_SIZE);
        nano_run(&net);
        if (memcmp(nano_output(&net), digits_golden_output[i], DIGITS_OUTPUT_SIZE) != 0)
            return 2;
    }
    puts("same");
    (void)digits_golden_input_crc;
    (void)digits_golden_output_crc;
    return 0;
}
"""


def test_what_cannot_be_says_so(folders: dict[str, Path], tmp_path: Path) -> None:
    def told(*flags: str, include: bool = True) -> str:
        done = compiled(folder, tmp_path / "o", "cc", *flags, include=include)
        assert done.returncode != 0
        return done.stderr

    folder = tmp_path / "model"
    shutil.copytree(folders["bin"], folder)
    assert "is not on the include path, where the assembler looks" in told(include=False)
    assert "this compiler takes no binary file" in told("-DNANO_HAS_INCBIN=0", "-U__has_embed")
    big = ("-U__BYTE_ORDER__", "-D__BYTE_ORDER__=__ORDER_BIG_ENDIAN__")
    assert "export again with --weights c" in told(*big)
    os.truncate(folder / "digits.portable.bin", 9000)
    for compiler in filter(shutil.which, ("gcc", "clang")):
        done = compiled(folder, tmp_path / "o", compiler)
        assert done.returncode != 0 and re.search(r"for file size|invalid .org", done.stderr)


def test_a_folder_is_replaced_with_its_files(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    pairs = [prepare(digits(), "portable", "balanced")]
    c.export(pairs, folder, weights="bin", loadable=True)
    assert {path.suffix for path in folder.iterdir()} >= {".bin", ".weights"}
    c.export(pairs, folder)
    assert not list(folder.glob("*.bin"))
    for name in ("other.portable.bin", "digits.bin"):
        (folder / name).write_bytes(b"mine")
        with pytest.raises(NanoError, match="holds other files"):
            c.export(pairs, folder, weights="bin")
        (folder / name).unlink()


def test_models_without_arrays_and_several(tmp_path: Path) -> None:
    builder = GraphBuilder("bare", (4, 4, 2))
    builder.max_pool("pool")
    models = [[prepare(graph, "portable")] for graph in (builder.graph(), digits())]
    c.export_several(models, tmp_path / "model", weights="bin")
    assert [path.name for path in (tmp_path / "model").glob("*.bin")] == ["digits.portable.bin"]
    include = f"-I{lib_dir() / 'include'}"
    for source in sorted((tmp_path / "model").glob("*.c")):
        run("cc", *WARNINGS, include, "-I.", "-fsyntax-only", source, cwd=source.parent)


def test_wrong_forms(tmp_path: Path) -> None:
    with pytest.raises(NanoError, match="no form of weights 'binary'"):
        QuantizedModel(digits()).export(tmp_path / "m", weights="binary")
    assert not (tmp_path / "m").exists()
