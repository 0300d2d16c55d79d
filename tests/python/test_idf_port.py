"""The port for ESP-IDF against declarations of what it calls (tests/idf_stubs).

ESP-IDF itself is not here: nothing is linked, nothing is run.
"""

from __future__ import annotations

import csv
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
STUBS = ROOT / "tests" / "idf_stubs"
PORT = sorted((ROOT / "firmware" / "boards" / "esp32").glob("*.c"))
CHIPS = ("ESP32", "ESP32S3", "ESP32C3")
COMPILERS = {
    "gcc": (),
    "xtensa-lx106-elf-gcc": ("-mlongcalls", "-ffreestanding"),
    "riscv64-unknown-elf-gcc": ("-march=rv32imc", "-mabi=ilp32", "-ffreestanding"),
}
# ESP-IDF 5.5 compiles components as gnu17 with these warnings; ours come on top.
FLAGS = ("-std=gnu17", "-Os", "-Wall", "-Wextra", "-Wconversion", "-Wmissing-prototypes", "-Werror")


def compile_port(compiler: str, chip: str, *more: str) -> subprocess.CompletedProcess[str]:
    command = [compiler, *COMPILERS[compiler], *FLAGS, f"-DCONFIG_IDF_TARGET_{chip}=1"]
    includes = [f"-I{STUBS}", f"-I{ROOT / 'firmware'}"]
    includes.append(f"-I{ROOT / 'firmware' / 'boards' / 'bare' / 'include'}")  # string.h
    return subprocess.run(
        [*command, *includes, "-fsyntax-only", *more, *map(str, PORT)],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("chip", CHIPS)
def test_it_compiles(compiler: str, chip: str) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    done = compile_port(compiler, chip)
    assert done.returncode == 0, done.stderr


def test_another_chip_is_refused() -> None:
    assert "boards/esp32 knows" in compile_port("gcc", "ESP32P4").stderr


def test_it_implements_the_whole_port() -> None:
    header = (ROOT / "firmware" / "board.h").read_text()
    calls = set(re.findall(r"\b(board_\w+)\(", re.sub(r"/\*.*?\*/", "", header, flags=re.S)))
    text = "\n".join(path.read_text() for path in PORT)
    defined = set(re.findall(r"^\S.*?\b(board_\w+)\([^;]*\) \{$", text, re.M))
    assert len(calls) == 18
    assert defined == calls


def test_every_header_of_idf_has_a_stub() -> None:
    includes = [i for path in PORT for i in re.findall(r'#include "([^"]+)"', path.read_text())]
    missing = [i for i in includes if i != "board.h" and not (STUBS / i).is_file()]
    assert missing == []


def test_partitions_fit_into_4_mb_and_do_not_overlap() -> None:
    lines = (ROOT / "partitions.csv").read_text().splitlines()
    rows = csv.reader(line for line in lines if not line.startswith("#"))
    places = sorted((int(row[3], 0), int(row[4], 0), row[0].strip()) for row in rows)
    assert {name for _, _, name in places} == {"nvs", "phy_init", "factory", "model", "head"}
    end = 0x9000  # boot loader and table are before it
    for offset, size, name in places:
        assert offset >= end, name
        end = offset + size
        if name == "factory":
            assert offset % 0x10000 == 0
    assert end == 4 << 20


def test_cmake_names_what_there_is() -> None:
    text = (ROOT / "firmware" / "CMakeLists.txt").read_text()
    for source in re.findall(r"\bboards/\S+\.c\b", text):
        assert (ROOT / "firmware" / source).is_file()
    assert "REQUIRES nano" in text
    assert 'lib/nano"' in (ROOT / "CMakeLists.txt").read_text()
    nano = (ROOT / "lib" / "nano" / "CMakeLists.txt").read_text()
    # In ESP-IDF a component is registered and nothing else happens.
    assert nano.index("idf_component_register") < nano.index("return()") < nano.index("project(")


@pytest.mark.skipif(shutil.which("cmake") is None, reason="cmake is not installed")
@pytest.mark.parametrize("early", [True, False])
@pytest.mark.parametrize("folder", ["firmware", "lib/nano"])
def test_components_register_their_sources(folder: str, early: bool, tmp_path: Path) -> None:
    """The two components as ESP-IDF reads them, its functions replaced by ones that print."""
    script = tmp_path / "read.cmake"
    script.write_text(
        f"""
        function(idf_component_register)
            cmake_parse_arguments(IDF "" "" "SRCS;INCLUDE_DIRS;REQUIRES;PRIV_REQUIRES" ${{ARGN}})
            foreach(part SRCS INCLUDE_DIRS REQUIRES)
                message(STATUS "${{part}}=${{IDF_${{part}}}}")
            endforeach()
            message(STATUS "UNKNOWN=${{IDF_UNPARSED_ARGUMENTS}}")
        endfunction()
        function(idf_build_get_property variable property)
            set(${{variable}} "{sys.executable}" PARENT_SCOPE)
        endfunction()
        set(ESP_PLATFORM 1)
        {"set(CMAKE_BUILD_EARLY_EXPANSION 1)" if early else ""}
        include("{ROOT / folder}/CMakeLists.txt")
        """
    )
    done = subprocess.run(
        ["cmake", "-P", str(script)], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    told = dict(re.findall(r"^-- (\w+)=(.*)$", done.stdout, re.M))
    sources = told["SRCS"].split(";")
    assert len(sources) == len(set(sources)) > 5
    for source in sources:
        assert (ROOT / folder / source).is_file(), source
    assert told["UNKNOWN"] == ""
    if folder == "firmware":
        assert told["REQUIRES"] == "nano"
        model = [source for source in sources if "models/default" in source]
        assert len(model) == (0 if early else 2)
