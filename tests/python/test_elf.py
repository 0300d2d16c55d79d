"""What an ELF file holds, on small programs for this computer and for Cortex-M4."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from nanotool import elf
from nanotool.errors import NanoError
from nanotool.ir import Array, Lowered, LoweredOp, QGraph, QTensor, Struct

SOURCE = """
#include <stdint.h>
const int8_t net_fc_weights[6] = {1, 2, 3, 4, 5, 6};
const int32_t net_fc_bias[2] = {7, 8};
static const int8_t net_act_table[256] = {9};
static uint8_t arena[64];
static uint32_t counter = 5;
struct op { const void *weights, *bias, *table; };
const struct op net_ops[1] = {{net_fc_weights, net_fc_bias, net_act_table}};
int deep(int n) {
    volatile char room[400];
    room[n] = (char)n;
    return room[0];
}
int loose(int n) {
    volatile char room[n];
    room[0] = 1;
    return room[0];
}
int main(void) {
    arena[counter % 64] = (uint8_t)(counter + 1);
    counter++;
    const struct op *volatile op = net_ops;
    return arena[3] + deep((int)counter) + loose((int)counter) + (op->weights != 0);
}
void _start(void) { main(); for (;;) { } }
"""

TOOLCHAINS = {
    "host": ["gcc"],
    "cortex-m4": ["arm-none-eabi-gcc", "-mcpu=cortex-m4", "-mthumb", "-nostdlib", "-ffreestanding"],
}


def compile_c(folder: Path, toolchain: str, source: str = SOURCE) -> Path:
    command = TOOLCHAINS[toolchain]
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    if toolchain == "host":
        source = source.replace("void _start(void) { main(); for (;;) { } }", "")
    (folder / "net.c").write_text(source)
    program = folder / "net.elf"
    subprocess.run(
        [*command, "-O1", "-fstack-usage", "-c", "net.c", "-o", "net.o"], cwd=folder, check=True
    )
    subprocess.run([*command, "net.o", "-o", str(program)], cwd=folder, check=True)
    return program


@pytest.fixture(params=sorted(TOOLCHAINS))
def program(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return compile_c(tmp_path, request.param)


def lowered(table_size: int = 256) -> Lowered:
    weights = Array("fc_weights", np.zeros(6, np.int8))
    bias = Array("fc_bias", np.zeros(2, np.int32))
    table = Array("act_table", np.zeros(table_size, np.int8))
    tensor = QTensor("x", (3,), 1.0, 0)
    graph = QGraph("net", {"x": tensor}, (), ("x",), ("x",))
    ops = (
        LoweredOp(
            name="fc",
            source=("fc",),
            kernel="nano_dense",
            params=Struct("nano_dense_params", (("weights", weights), ("bias", bias))),
            inputs=("x",),
            output="x",
            overlaps=(None,),
        ),
        LoweredOp(
            name="act",
            source=("act",),
            kernel="nano_table",
            params=Struct("nano_table_params", (("table", table), ("size", 2))),
            inputs=("x",),
            output="x",
            overlaps=(None,),
        ),
    )
    return Lowered(graph, "portable", ops, {"x": 3}, ("x",), ("x",))


def test_bytes_are_counted_by_kind(program: Path) -> None:
    sizes = elf.sizes(program, lowered())
    assert sizes.weight_bytes == 6 + 8 + 256 == lowered().weight_bytes
    assert sizes.data_bytes >= 4
    assert sizes.bss_bytes >= 64
    assert sizes.ram_bytes == sizes.data_bytes + sizes.bss_bytes
    assert sizes.code_bytes > 60
    assert sizes.flash_bytes == sizes.code_bytes + sizes.weight_bytes


def test_flash_is_what_objcopy_writes(tmp_path: Path) -> None:
    program = compile_c(tmp_path, "cortex-m4")
    image = tmp_path / "net.bin"
    subprocess.run(
        ["arm-none-eabi-objcopy", "-O", "binary", "-R", ".data", str(program), str(image)],
        check=True,
    )
    sizes = elf.sizes(program, lowered())
    # objcopy fills the gaps that alignment leaves between sections.
    assert 0 <= image.stat().st_size + sizes.data_bytes - sizes.flash_bytes < 16


def test_another_model_is_noticed(program: Path) -> None:
    with pytest.raises(NanoError, match="net_act_table should have 255 bytes, there is 256"):
        elf.sizes(program, lowered(table_size=255))


def test_symbols_know_where_they_lie(program: Path) -> None:
    found = {symbol.name: symbol for symbol in elf.symbols(program)}
    assert (found["net_fc_weights"].size, found["net_fc_weights"].writable) == (6, False)
    assert found["deep"].kind == "function"
    assert found["arena"].offset is None
    offset = found["net_fc_weights"].offset
    assert offset is not None
    assert program.read_bytes()[offset : offset + 6] == bytes([1, 2, 3, 4, 5, 6])
    writable = {symbol.name for symbol in elf.writable_objects(program)}
    assert {"arena", "counter"} <= writable
    assert "net_ops" not in writable  # though the host's loader writes its addresses


def test_one_byte_is_flipped_and_no_other(program: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.elf"
    elf.flip(program, copy, "net_fc_weights", 4, 0x80)
    before, after = program.read_bytes(), copy.read_bytes()
    changed = [i for i, (a, b) in enumerate(zip(before, after, strict=True)) if a != b]
    assert len(changed) == 1
    assert (before[changed[0]], after[changed[0]]) == (5, 5 ^ 0x80)
    assert os.access(copy, os.X_OK)


@pytest.mark.parametrize(("symbol", "offset"), [("arena", 0), ("nothing", 0), ("net_fc_bias", 8)])
def test_a_byte_that_is_not_stored_is_not_flipped(
    program: Path, tmp_path: Path, symbol: str, offset: int
) -> None:
    with pytest.raises(NanoError, match=f"no byte {offset} of {symbol}"):
        elf.flip(program, tmp_path / "copy", symbol, offset)
    assert not (tmp_path / "copy").exists()


def test_stack_frames_are_read(program: Path) -> None:
    frames = {f.function: f for f in elf.stack_frames(program.parent.glob("*.su"))}
    assert 250 <= frames["deep"].bytes <= 500
    assert frames["deep"].bounded
    assert not frames["loose"].bounded
    assert frames["deep"].source.startswith("net.c:")


def test_the_compiler_is_named(program: Path) -> None:
    assert "GCC" in elf.compiler(program)


def test_flags_are_read(tmp_path: Path) -> None:
    command = ["gcc", "-g", "-O3", "-fno-common", "-c", "net.c", "-o", "net.o", "-DPATH=/tmp/x"]
    compile_c(tmp_path, "host")
    assert elf.producers(tmp_path / "net.elf") == ""
    subprocess.run(command, cwd=tmp_path, check=True)
    flags = elf.producers(tmp_path / "net.o")
    assert "-O3" in flags
    assert "-fno-common" in flags
    assert "/tmp/x" not in flags


def test_a_heap_is_found(tmp_path: Path) -> None:
    source = "#include <stdlib.h>\nint main(int n, char **v) { return malloc((size_t)n) == v; }"
    assert elf.heap_symbols(compile_c(tmp_path, "host", source)) == ("malloc",)
    assert elf.heap_symbols(compile_c(tmp_path, "host")) == ()
    source = "static char b[9]; void *_sbrk(int n); void *_sbrk(int n) { return b + n; }\n"
    source += "int main(int n, char **v) { return _sbrk(n) == v; }"
    assert elf.heap_symbols(compile_c(tmp_path, "host", source)) == ("_sbrk",)


@pytest.mark.parametrize("content", [b"", b"MZ", b"\x7fELF", b"\x7fELF" + bytes(60), None])
def test_what_is_no_elf_is_one_paragraph(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "firmware.elf"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(NanoError, match=r"firmware\.elf"):
        elf.symbols(path)
    with pytest.raises(NanoError, match=r"firmware\.elf"):
        elf.compiler(path)
