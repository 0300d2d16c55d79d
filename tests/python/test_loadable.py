"""Weights that are brought at run time: the file's bytes, the checks before its use, and a whole
project for ESP-IDF that reads them from its partition, ESP-IDF's calls being tests/idf_stubs'."""

from __future__ import annotations

import struct
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from handmade import GraphBuilder

from nanotool.backends import c
from nanotool.backends.c import loadable
from nanotool.ir import QGraph
from nanotool.kinds import find_kind
from nanotool.models import load_model
from nanotool.pipeline import prepare
from nanotool.scaffold import new_project
from nanotool.sources import default_model_dir

ROOT = Path(__file__).resolve().parents[2]
STUBS = ROOT / "tests" / "idf_stubs"
WARNINGS = ("-std=gnu17", "-Wall", "-Wextra", "-Wconversion", "-Werror")
PLACES = ("FLASH", "PARTITION", "PSRAM")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("loadable") / "project"
    new_project(load_model(default_model_dir()), folder, find_kind("esp-idf"))
    return folder


@pytest.fixture(scope="module")
def library(project: Path) -> list[Path]:
    """Objects of what the digits need."""
    src = project / "components" / "nano-int8" / "src"
    parts = ("*.c", "ops/conv2d/*.c", "ops/dense/*.c", "ops/pool/*.c")
    sources = [path for part in parts for path in src.glob(part) if path.name != "sequential.c"]
    folder = project.parent / "objects"
    folder.mkdir()
    subprocess.run(
        ["cc", "-c", f"-I{src.parent / 'include'}", *map(str, sources)],
        cwd=folder,
        check=True,
    )
    return sorted(folder.glob("*.o"))


@pytest.fixture(scope="module")
def programs(project: Path, library: list[Path]) -> dict[str, Path]:
    """The project's own sources, by where Kconfig has the weights."""
    components = project / "components"
    model = components / "model" / "src"
    includes = [
        STUBS,
        components / "nano-int8" / "include",
        components / "nano-int8" / "idf",
        model,
    ]
    built = {}
    for place in PLACES:
        built[place] = project.parent / place
        loads = [] if place == "FLASH" else ["-DNANO_LOADED_WEIGHTS=1"]
        sources = [project / "main/main.c", STUBS / "fake.c", *model.glob("*.c")]
        sources += (components / "nano-int8" / "idf").glob("*.c")
        command = [
            "cc",
            *WARNINGS,
            f"-DCONFIG_NANO_WEIGHTS_{place}=1",
            "-DCONFIG_NANO_TASK_CORE_1=1",
        ]
        command += [
            *loads,
            *(f"-I{folder}" for folder in includes),
            *map(str, (*sources, *library)),
        ]
        subprocess.run([*command, "-o", str(built[place])], check=True)
    return built


def run(program: Path, image: Path | str = "") -> tuple[list[str], list[str]]:
    """(lines of what it prints, what it asked of ESP-IDF)."""
    done = subprocess.run([program, image], capture_output=True, text=True, check=True)
    return done.stdout.splitlines(), done.stderr.splitlines()


def image(project: Path, target: str = "portable") -> Path:
    return project / "components" / "model" / "src" / f"digits.{target}.weights"


@pytest.mark.parametrize("place", PLACES)
def test_from_each_place_the_same_bytes(
    project: Path, programs: dict[str, Path], place: str
) -> None:
    told, asked = run(programs[place], "" if place == "FLASH" else image(project))
    assert told[-1] == "digits OK" and len(told) == 5
    size = image(project).stat().st_size
    brought = {"FLASH": [], "PARTITION": [f"mapped {size}"], "PSRAM": [f"allocated {size} of 400"]}
    assert asked == [*brought[place], "task nano: 4096 bytes, priority 5, core 1"]


def test_a_partition_may_be_larger(
    project: Path, programs: dict[str, Path], tmp_path: Path
) -> None:
    padded = tmp_path / "partition"
    padded.write_bytes(image(project).read_bytes().ljust(65536, b"\xff"))
    assert run(programs["PARTITION"], padded)[0][-1] == "digits OK"


def flipped(at: int) -> Callable[[bytes], bytes]:
    return lambda content: content[:at] + bytes([content[at] ^ 0x10]) + content[at + 1 :]


NONE, OTHER, DAMAGED = "holds none", "made for another version", "bytes are damaged"
SPOILED: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "nothing there": (lambda content: b"", NONE),
    "erased": (lambda content: b"\xff" * len(content), NONE),
    "cut in the header": (lambda content: content[:40], NONE),
    "cut off": (lambda content: content[:-1], NONE),
    "no end": (lambda content: content[:12] + b"\xff" * 4 + content[16:], NONE),
    "magic": (flipped(4), NONE),
    "ABI": (flipped(8), OTHER),
    "layout": (flipped(20), OTHER),
    "model": (flipped(39), OTHER),
    "CRC": (flipped(16), DAMAGED),
    "first weight": (flipped(64), DAMAGED),
    "last byte": (lambda content: content[:-1] + b"\x7f", DAMAGED),
}


@pytest.mark.parametrize("what", SPOILED)
@pytest.mark.parametrize("place", PLACES[1:])
def test_what_is_no_image_is_refused(
    project: Path, programs: dict[str, Path], tmp_path: Path, place: str, what: str
) -> None:
    spoil, why = SPOILED[what]
    partition = tmp_path / "partition"
    content = image(project).read_bytes()
    partition.write_bytes(spoil(content))
    (told,), asked = run(programs[place], partition)
    assert told.startswith("no weights: ") and why in told
    assert not any("task" in line for line in asked)
    if why != NONE:  # what was brought is given back
        assert asked[-1] == ("unmapped 7" if place == "PARTITION" else "freed")


def test_another_targets_are_refused(project: Path, programs: dict[str, Path]) -> None:
    (told,), _ = run(programs["PARTITION"], image(project, "mac16"))
    assert OTHER in told


def test_the_file(tmp_path: Path) -> None:
    """Written down here once more: header, CRC, arrays in their order at multiples of 16."""
    pair = prepare(load_model(default_model_dir()), "mac16", "balanced")
    content = loadable.image(pair[0], "0123456789abcdef")
    magic, abi, size, crc, layout, digest = struct.unpack_from("<8s4I16s", content)
    assert (magic, abi, digest) == (b"nanoW\x01\r\n", 2, b"0123456789abcdef")
    assert size == len(content) - 64 and crc == zlib.crc32(content[64:]) and layout
    assert content[40:64] == bytes(24)
    at = 64
    for array in pair[0].arrays():
        stored = np.frombuffer(content, array.data.dtype, array.data.size, at)
        assert (stored == array.data.reshape(-1)).all()
        at += -(-array.nbytes // 16) * 16
    assert at == len(content)


def test_without_weights_there_is_nothing_to_bring(tmp_path: Path) -> None:
    builder = GraphBuilder("bare", (4, 4, 2))
    builder.max_pool("pool")
    compiled(builder.graph(), tmp_path)
    assert (tmp_path / "bare" / "bare.portable.weights").stat().st_size == 64


def compiled(graph: QGraph, folder: Path) -> None:
    """``graph``'s sources compile, with weights linked and without."""
    pairs = [prepare(graph, target, "balanced") for target in ("portable", "scalar")]
    c.export(pairs, folder / graph.name, loadable=True)
    source = folder / graph.name / f"{graph.name}.c"
    for loads in (0, 1):
        flags = (*WARNINGS, "-pedantic", f"-DNANO_LOADED_WEIGHTS={loads}", "-fsyntax-only")
        include = f"-I{ROOT / 'lib' / 'nano' / 'include'}"
        subprocess.run(["cc", *flags, include, str(source)], check=True)


def test_a_folder_is_replaced_with_its_files(project: Path) -> None:
    folder = project.parent / "again"
    pairs = [prepare(load_model(default_model_dir()), "portable", "balanced")]
    c.export(pairs, folder, loadable=True)
    c.export(pairs, folder)
    assert not list(folder.glob("*.weights"))
