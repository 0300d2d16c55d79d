"""The port for ESP-IDF, and what lib/nano has for it, against declarations of what they call
(tests/idf_stubs); test_real_idf.py is against ESP-IDF itself, where there is a checkout.

Nothing is linked, nothing is run.
"""

from __future__ import annotations

import csv
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from idf import kconfig

ROOT = Path(__file__).resolve().parents[2]
STUBS = ROOT / "tests" / "idf_stubs"
BOARDS = ROOT / "firmware" / "boards"
PORT = [*sorted((BOARDS / "esp32").glob("*.c")), BOARDS / "common" / "sensor_none.c"]
NANO = ROOT / "lib" / "nano"
LIBRARY = sorted((NANO / "idf").glob("*.c"))
COMPILERS = {
    "gcc": (),
    "xtensa-lx106-elf-gcc": ("-mlongcalls", "-ffreestanding"),
    "riscv64-unknown-elf-gcc": ("-march=rv32imc", "-mabi=ilp32", "-ffreestanding"),
}
# ESP-IDF 5.5 compiles components as gnu17 with these warnings; ours come on top.
FLAGS = ("-std=gnu17", "-Os", "-Wall", "-Wextra", "-Wconversion", "-Wmissing-prototypes", "-Werror")


def compile_port(compiler: str, *more: str) -> subprocess.CompletedProcess[str]:
    command = [compiler, *COMPILERS[compiler], *FLAGS]
    includes = [f"-I{STUBS}", f"-I{ROOT / 'firmware'}"]
    includes += [f"-I{ROOT / 'lib' / 'nano' / part}" for part in ("include", "idf")]
    includes.append(f"-I{ROOT / 'firmware' / 'boards' / 'bare' / 'include'}")  # string.h
    return subprocess.run(
        [*command, *includes, "-fsyntax-only", *more, *map(str, (*PORT, *LIBRARY))],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("place", ["FLASH", "DRAM", "PARTITION", "PSRAM"])
def test_it_compiles(compiler: str, place: str) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    done = compile_port(compiler, f"-DCONFIG_NANO_WEIGHTS_{place}=1")
    assert done.returncode == 0, done.stderr


def test_no_chip_is_named_in_it() -> None:
    """All that the port knows of a chip ESP-IDF tells it, so that the next one builds, too."""
    assert not re.search(r"CONFIG_IDF_TARGET_ESP", "".join(path.read_text() for path in PORT))


def test_it_implements_the_whole_port() -> None:
    header = (ROOT / "firmware" / "board.h").read_text()
    calls = set(re.findall(r"\b(board_\w+)\(", re.sub(r"/\*.*?\*/", "", header, flags=re.S)))
    text = "\n".join(path.read_text() for path in PORT)
    defined = set(re.findall(r"^\S.*?\b(board_\w+)\([^;{]*\) \{$", text, re.M))
    assert len(calls) == 23
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
    assert 'lib/nano"' in (ROOT / "CMakeLists.txt").read_text()
    nano = (ROOT / "lib" / "nano" / "CMakeLists.txt").read_text()
    # In ESP-IDF a component is registered and nothing else happens.
    assert nano.index("idf_component_register") < nano.index("return()") < nano.index("project(")


PRINTED = ("target_compile_options", "target_compile_definitions", "esptool_py_flash_to_partition")


def printing(name: str) -> str:
    """A function of CMake that prints its arguments behind the first."""
    return f'function({name} first)\nmessage(STATUS "{name}=${{ARGN}}")\nendfunction()\n'


class Read:
    """A component as ESP-IDF reads it, its functions replaced by ones that print."""

    def __init__(self, component: Path, work: Path, *settings: str, early: bool = False) -> None:
        script = work / "read.cmake"
        script.write_text(
            f"""
            function(idf_component_register)
                set(parts SRCS INCLUDE_DIRS LDFRAGMENTS REQUIRES PRIV_REQUIRES)
                cmake_parse_arguments(IDF "" "" "${{parts}}" ${{ARGN}})
                foreach(part ${{parts}})
                    message(STATUS "${{part}}=${{IDF_${{part}}}}")
                endforeach()
                message(STATUS "UNKNOWN=${{IDF_UNPARSED_ARGUMENTS}}")
                set(COMPONENT_LIB lib PARENT_SCOPE)
            endfunction()
            function(idf_build_get_property variable property)
                set(${{variable}} "{sys.executable}" PARENT_SCOPE)
            endfunction()
            {"".join(map(printing, PRINTED))}
            set(ESP_PLATFORM 1)
            set(COMPONENT_NAME {component.name})
            {"set(CMAKE_BUILD_EARLY_EXPANSION 1)" if early else ""}
            {chr(10).join(settings)}
            include("{component}/CMakeLists.txt")
            """
        )
        done = subprocess.run(
            ["cmake", "-P", str(script)],
            capture_output=True,
            text=True,
            check=False,
            cwd=work,
            env={**os.environ, "NANO_WEIGHTS": ""},
        )
        self.error = done.stderr
        self.told = dict(re.findall(r"^-- (\w+)=(.*)$", done.stdout, re.M))

    def part(self, name: str) -> list[str]:
        return self.told[name].split(";") if self.told.get(name) else []


cmake_is_here = pytest.mark.skipif(shutil.which("cmake") is None, reason="cmake is not installed")
IDF_5_1 = ("set(IDF_VERSION_MAJOR 5)", "set(IDF_VERSION_MINOR 1)")
IDF_6_0 = ("set(IDF_VERSION_MAJOR 6)", "set(IDF_VERSION_MINOR 0)")


@cmake_is_here
@pytest.mark.parametrize("early", [True, False])
@pytest.mark.parametrize("folder", ["firmware", "lib/nano"])
def test_components_register_their_sources(folder: str, early: bool, tmp_path: Path) -> None:
    read = Read(ROOT / folder, tmp_path, *IDF_6_0, early=early)
    sources = read.part("SRCS")
    assert len(sources) == len(set(sources)) > 5
    for source in sources:
        assert (ROOT / folder / source).is_file(), source
    assert read.told["UNKNOWN"] == "" and read.part("LDFRAGMENTS") == []
    if folder == "firmware":
        assert read.part("REQUIRES") == ["nano"]
        model = [source for source in sources if "models/default" in source]
        assert len(model) == (0 if early else 2)


@cmake_is_here
def test_drivers_are_where_the_version_has_them(tmp_path: Path) -> None:
    """esp_driver_uart is a component from 5.3 on."""
    old = Read(ROOT / "firmware", tmp_path, *IDF_5_1, early=True).part("PRIV_REQUIRES")
    new = Read(ROOT / "firmware", tmp_path, *IDF_6_0, early=True).part("PRIV_REQUIRES")
    assert set(old) ^ set(new) == {"driver", "esp_driver_uart"} and "driver" in old


@cmake_is_here
def test_weights_go_to_dram_by_kconfig_or_environment(tmp_path: Path) -> None:
    kconfig = "set(CONFIG_NANO_WEIGHTS_DRAM y)"
    wanted = (
        "[mapping:firmware_noflash_data]\narchive: libfirmware.a\nentries:\n"
        "    digits_weights (noflash_data)\n"
    )
    for setting in (kconfig, "set(ENV{NANO_WEIGHTS} dram)"):
        (fragment,) = Read(ROOT / "firmware", tmp_path, *IDF_6_0, setting).part("LDFRAGMENTS")
        assert Path(fragment).read_text() == wanted
    flash = "set(ENV{NANO_WEIGHTS} flash)"
    assert Read(ROOT / "firmware", tmp_path, *IDF_6_0, kconfig, flash).part("LDFRAGMENTS") == []
    attic = Read(ROOT / "firmware", tmp_path, *IDF_6_0, "set(ENV{NANO_WEIGHTS} attic)")
    assert "must be dram or flash" in attic.error


@cmake_is_here
def test_kconfig_is_heard(tmp_path: Path) -> None:
    goals = {"SPEED": "PRIVATE;-O2", "SIZE": "PRIVATE;-Os", "PROJECT": None}
    for goal, option in goals.items():
        read = Read(ROOT / "lib/nano", tmp_path, f"set(CONFIG_NANO_GOAL_{goal} y)")
        assert read.told.get("target_compile_options") == option
    read = Read(ROOT / "lib/nano", tmp_path, "set(CONFIG_NANO_KERNELS_IN_IRAM y)")
    (fragment,) = read.part("LDFRAGMENTS")
    kernels = {path.stem for path in (ROOT / "lib/nano/src/ops").glob("dense/*.c")}
    lines = Path(fragment).read_text().splitlines()
    assert lines[1] == "archive: libnano.a"
    assert {f"    {kernel} (noflash_text)" for kernel in kernels} <= set(lines)
    assert "    softmax (noflash_text)" not in lines
    read = Read(ROOT / "lib/nano", tmp_path, "set(CONFIG_NANO_WEIGHTS_PSRAM y)")
    assert read.told["target_compile_definitions"] == "PUBLIC;NANO_LOADED_WEIGHTS=1"


def test_kconfig(tmp_path: Path) -> None:
    """lib/nano's Kconfig by ESP-IDF's own reader, and what hangs on what."""
    stub = STUBS / "Kconfig"

    def values(*settings: str) -> dict[str, object]:
        defaults = tmp_path / "defaults"
        defaults.write_text("".join(f"CONFIG_{setting}=y\n" for setting in settings))
        return kconfig(stub, [defaults], tmp_path, {"NANO_KCONFIG": str(NANO / "Kconfig")})

    usual = values()
    assert usual["NANO_GOAL_SPEED"] and usual["NANO_WEIGHTS_FLASH"] and usual["NANO_TASK_ANY_CORE"]
    assert not usual["NANO_KERNELS_IN_IRAM"] and "NANO_PARTITION" not in usual
    assert values("NANO_WEIGHTS_PARTITION")["NANO_PARTITION"] == "model"
    assert values("SPIRAM", "NANO_WEIGHTS_PSRAM")["NANO_WEIGHTS_PSRAM"]
    assert values("NANO_TASK_CORE_1")["NANO_TASK_CORE_1"]
