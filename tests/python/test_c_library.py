"""lib/nano by itself: every compiler it promises to build with, what the objects may hold, the
headers alone, and the C test suites under the sanitizers."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from elftools.elf.constants import SH_FLAGS
from fuzz.__main__ import CC, NO_LINK, archive
from objects import (
    HELPERS,
    foreign_calls,
    global_names,
    sections,
    stack_uses,
    symbols,
    unbounded,
    writable,
)

import nanotool
from nanotool.lower import ABI
from nanotool.plan import TENSOR_ALIGN

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = ROOT / "lib" / "nano"
INCLUDE = LIBRARY / "include"
SOURCES = sorted((LIBRARY / "src").rglob("*.c"))
# A body that two kernels share: what it is about, they say before they include it.
BODIES = {"depthwise_conv2d_image.h"}
HEADERS = sorted(INCLUDE.rglob("*.h")) + sorted(
    path for path in (LIBRARY / "src").rglob("*.h") if path.name not in BODIES
)
SUITES = sorted(path.name for path in (ROOT / "tests" / "c").glob("test_*") if path.is_dir())
OUR_SUITES = {
    *("test_arena", "test_model", "test_requant", "test_sequential"),
    *("test_kernels", "test_elementwise", "test_move", "test_reduce", "test_border"),
    *(
        "test_softmax",
        "test_log_softmax",
        "test_train",
        "test_signal",
        "test_stream",
        "test_camera",
        "test_values",
    ),
}

STRICT = ["-pedantic", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Wvla", "-Werror"]
C99 = ["-std=c99", *STRICT, "-Wmissing-prototypes"]


@dataclass(frozen=True)
class Compiler:
    """One way to compile the library: a command and the Debian package that brings it."""

    name: str
    command: tuple[str, ...]
    package: str


def arm(core: str) -> tuple[str, ...]:
    return ("arm-none-eabi-gcc", f"-mcpu={core}", "-mthumb")


def clang(target: str, *more: str) -> tuple[str, ...]:
    return ("clang", f"--target={target}", "-ffreestanding", *more)


RISCV = ("-march=rv32imc", "-mabi=ilp32")
COMPILERS = [
    Compiler("gcc-host", ("gcc", "-fno-pie", "-O2"), "gcc"),
    Compiler("gcc-host-O0", ("gcc", "-fno-pie", "-O0"), "gcc"),
    Compiler("gcc-host-O3", ("gcc", "-fno-pie", "-O3"), "gcc"),
    Compiler("gcc-cortex-m0", (*arm("cortex-m0"), "-O2"), "gcc-arm-none-eabi"),
    Compiler("gcc-cortex-m3", (*arm("cortex-m3"), "-O2"), "gcc-arm-none-eabi"),
    Compiler("gcc-cortex-m4", (*arm("cortex-m4"), "-O2"), "gcc-arm-none-eabi"),
    Compiler("gcc-cortex-m4-Os", (*arm("cortex-m4"), "-Os"), "gcc-arm-none-eabi"),
    Compiler(
        "gcc-rv32imc",
        ("riscv64-unknown-elf-gcc", *RISCV, "-ffreestanding", "-O2"),
        "gcc-riscv64-unknown-elf",
    ),
    Compiler("gcc-lx106", ("xtensa-lx106-elf-gcc", "-ffreestanding", "-O2"), "gcc-xtensa-lx106"),
    Compiler("clang-host", ("clang", "-fno-pie", "-O2"), "clang"),
    Compiler("clang-cortex-m0", clang("thumbv6m-none-eabi", "-mcpu=cortex-m0", "-O2"), "clang"),
    Compiler("clang-cortex-m3", clang("thumbv7m-none-eabi", "-mcpu=cortex-m3", "-O2"), "clang"),
    Compiler("clang-cortex-m4", clang("thumbv7em-none-eabi", "-mcpu=cortex-m4", "-O2"), "clang"),
    Compiler("clang-rv32imc", clang("riscv32-unknown-elf", *RISCV, "-O2"), "clang"),
]
# `nox -s ctest` runs the suites with gcc and its sanitizers, too.
HOST_COMPILERS = [pytest.param(("gcc", "gcc"), marks=pytest.mark.slow), ("clang", "clang")]


def need(tool: str, package: str) -> None:
    """Fail if ``tool`` is missing, or skip where the environment says that this is known."""
    if shutil.which(tool):
        return
    message = f"{tool} is missing: apt install {package}"
    if os.environ.get("NANO_ALLOW_MISSING_TOOLCHAINS") == "1":
        pytest.skip(f"{message} (NANO_ALLOW_MISSING_TOOLCHAINS=1)")
    pytest.fail(f"{message}, or set NANO_ALLOW_MISSING_TOOLCHAINS=1 to skip this", pytrace=False)


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, timeout=120
    )


def compile_or_fail(command: list[str], folder: Path) -> None:
    done = run(command, folder)
    if done.returncode != 0 or done.stderr:
        pytest.fail(f"{' '.join(command)}\n{done.stderr}", pytrace=False)


# CI has both compilers once. Gcc for other cores compiles the boards' firmware, and test_build asks
# the same of those objects; clang for others differs in options.
ALWAYS = {"gcc-cortex-m0", "clang-cortex-m4"}


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(one, id=one.name, marks=() if one.name in ALWAYS else pytest.mark.slow)
        for one in COMPILERS
    ],
)
def objects(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Compiler, Path]:
    """The compiler and a folder with the library's objects and their .su files."""
    compiler: Compiler = request.param
    need(compiler.command[0], compiler.package)
    folder = tmp_path_factory.mktemp(compiler.name)
    flags = [*C99, "-fstack-usage", f"-I{INCLUDE}", "-c"]
    compile_or_fail([*compiler.command, *flags, *map(str, SOURCES)], folder)
    return compiler, folder


def object_files(folder: Path) -> list[Path]:
    files = sorted(folder.glob("*.o"))
    assert len(files) == len(SOURCES)
    return files


def test_every_global_symbol_starts_with_nano(objects: tuple[Compiler, Path]) -> None:
    exported = global_names(object_files(objects[1]))
    assert "nano_run" in exported
    assert [name for name in exported if not name.startswith("nano_")] == []


def test_only_the_compilers_helpers_are_called(objects: tuple[Compiler, Path]) -> None:
    """So: no heap, no stdio, no soft-float, no 64-bit helper that LX106's libgcc lacks."""
    assert foreign_calls(object_files(objects[1])) == set()


def test_no_writable_data(objects: tuple[Compiler, Path]) -> None:
    assert writable(object_files(objects[1])) == []


def test_stack_is_bounded(objects: tuple[Compiler, Path]) -> None:
    known = stack_uses(objects[1].glob("*.su"))
    assert len(known) > len(SOURCES)
    assert unbounded(known) == []


@pytest.mark.parametrize(
    ("tool", "language", "package"),
    [
        ("gcc", "c99", "gcc"),
        ("clang", "c99", "clang"),
        ("g++", "c++11", "g++"),
        ("clang++", "c++11", "clang"),
        ("g++", "c++20", "g++"),
        ("riscv64-unknown-elf-gcc", "c99", "gcc-riscv64-unknown-elf"),
    ],
)
def test_headers_stand_alone(tool: str, language: str, package: str, tmp_path: Path) -> None:
    need(tool, package)
    public = language.startswith("c++")
    # The library's own sources are C.
    headers = [header for header in HEADERS if not public or INCLUDE in header.parents]
    sources = []
    for number, header in enumerate(headers):
        source = tmp_path / f"{number}.{'cpp' if public else 'c'}"
        source.write_text(f'#include "{header}"\n#include "{header}"\ntypedef int nothing;\n')
        sources.append(str(source))
    flags = [f"-std={language}", "-ffreestanding", *STRICT, f"-I{INCLUDE}", "-fsyntax-only"]
    compile_or_fail([tool, *flags, *sources], tmp_path)


def test_only_freestanding_headers() -> None:
    """And, in one place each, the compiler's own header for the vectors of Armv8.1-M, and what a
    vendor's compiler tells of an Xtensa core."""
    cores = {"xtensa/config/core-isa.h", "xtensa/config/tie.h"}
    more = {"mve.h": {"arm_mve.h"}, "config.h": cores}
    for path in [*SOURCES, *HEADERS]:
        system = set(re.findall(r"^#include <([^>]+)>", path.read_text(), re.MULTILINE))
        assert system <= {"stddef.h", "stdint.h"} | more.get(path.name, set()), path


def test_the_front_door_brings_no_kernels() -> None:
    text = (INCLUDE / "nano" / "nano.h").read_text()
    brought = re.findall(r'^#include "nano/(\w+)\.h"', text, re.M)
    assert brought == ["arena", "config", "model", "status"]


def test_versions_agree() -> None:
    config = (INCLUDE / "nano" / "config.h").read_text()
    version = ".".join(re.findall(r"#define NANO_VERSION_(?:MAJOR|MINOR|PATCH) (\d+)", config))
    assert f'#define NANO_VERSION_STRING "{version}"' in config
    assert json.loads((LIBRARY / "library.json").read_text())["version"] == version
    assert f"VERSION {version} " in (LIBRARY / "CMakeLists.txt").read_text()
    assert nanotool.__version__ == version


def test_what_python_repeats_of_config_h() -> None:
    """Planning and lowering do not load the library."""
    config = (INCLUDE / "nano" / "config.h").read_text()
    repeated = {"NANO_ABI": ABI, "NANO_TENSOR_ALIGN": TENSOR_ALIGN}
    assert all(f"#define {name} {value}\n" in config for name, value in repeated.items())


# --- The C suites ---------------------------------------------------------------------------------

SANITIZE = ["-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
TRAP = ["-g", "-O1", "-fsanitize=undefined", "-fsanitize-trap=undefined"]  # needs no run-time


def sanitizers(tool: str, folder: Path) -> list[str]:
    """The flags of the sanitizers that ``tool`` can link: clang's run-time library is a Debian
    package of its own, libclang-rt-dev, and without it undefined behaviour just traps."""
    source = folder / "probe.c"
    source.write_text("int main(void) { return 0; }\n")
    linked = run([tool, *SANITIZE, str(source), "-o", str(folder / "probe")], folder)
    return SANITIZE if linked.returncode == 0 or tool == "gcc" else TRAP


@pytest.fixture(scope="module", params=HOST_COMPILERS, ids=("gcc", "clang"))
def sanitized(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[list[str], list[str]]:
    """A host compiler with its sanitizer flags, and the library's objects, instrumented."""
    tool, package = request.param
    need(tool, package)
    folder = tmp_path_factory.mktemp(f"sanitized-{tool}")
    flags = sanitizers(tool, folder)
    command = [tool, *C99, *flags, f"-I{INCLUDE}"]
    if tool == CC and flags == SANITIZE:  # the harnesses that are fuzzed want just these objects
        return [*command, NO_LINK], [str(archive())]
    compile_or_fail([*command, "-c", *map(str, SOURCES)], folder)
    return command, [str(path) for path in object_files(folder)]


def suite_sources(suite: str) -> list[str]:
    return [str(path) for path in sorted((ROOT / "tests" / "c" / suite).glob("*.c"))]


def test_the_suites_are_there() -> None:
    assert set(SUITES) >= OUR_SUITES


@pytest.mark.parametrize("suite", sorted(OUR_SUITES))
def test_suite(suite: str, sanitized: tuple[list[str], list[str]], tmp_path: Path) -> None:
    command, library = sanitized
    program = tmp_path / suite
    compile_or_fail([*command, *suite_sources(suite), *library, "-o", str(program)], tmp_path)
    done = run([str(program)], tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    passed = re.findall(r"^\S+\.c:\d+:\w+:PASS$", done.stdout, re.MULTILINE)
    assert re.search(rf"^{len(passed)} Tests 0 Failures 0 Ignored\nOK$", done.stdout, re.MULTILINE)
    registered = re.findall(r"RUN\((\w+)\)", "".join(map(read, suite_sources(suite))))
    written = re.findall(r"void (test_\w+)\(void\)", "".join(map(read, suite_sources(suite))))
    assert sorted(registered) == sorted(written)  # none forgotten
    assert len(passed) == len(registered)


WRAPPED = """
#include "nano/nano.hpp"
#include "digits.h"
#include "digits_golden.h"

static nano::Arena<DIGITS_ARENA_SIZE> arena;
static nano::Arena<DIGITS_ARENA_SIZE / 2> small;

int main() {
    nano::Net too_large(small, digits_model);
    nano::Net net(arena, digits_model);
    if (too_large || too_large.status() != NANO_ERR_MEMORY || !net)
        return 1;
    for (uint32_t one = 0; one < DIGITS_GOLDEN_COUNT; one++) {
        float pixels[DIGITS_INPUT_SIZE];
        for (uint32_t i = 0; i < DIGITS_INPUT_SIZE; i++)
            pixels[i] = DIGITS_INPUT_SCALE *
                        static_cast<float>(digits_golden_input[one][i] - DIGITS_INPUT_ZERO_POINT);
        if (net.quantize(pixels) != NANO_OK || net.run() != NANO_OK)
            return 2;
        const int8_t *wanted = digits_golden_output[one];
        for (const int8_t &q : net.output())
            if (q != *wanted++ || q > net.output()[net.best()])
                return 3;
        if (net.real(net.best()) < net.real(0))
            return 4;
    }
    float few[3] = {};
    bool refused = net.quantize(few) == NANO_ERR_ARGUMENT &&
                   net.quantize(few, 3, 1) == NANO_ERR_ARGUMENT;
    bool empty = net.input<float>().empty() && net.output(1).empty() && net.input(1).empty();
    return refused && empty && net.input().size() == DIGITS_INPUT_SIZE ? 0 : 5;
}
"""


@pytest.mark.parametrize("standard", ["c++11", "c++20"])
def test_the_wrapper_for_cpp(
    standard: str, sanitized: tuple[list[str], list[str]], tmp_path: Path
) -> None:
    """nano.hpp on the default model's golden vectors, without exceptions and run-time types."""
    (tool, *flags), library = sanitized
    cpp = {"gcc": "g++", "clang": "clang++"}[tool]
    model = ROOT / "firmware" / "models" / "default"
    sources = [str(path) for path in sorted(model.glob("*.c"))]
    compile_or_fail([tool, *flags, f"-I{model}", "-c", *sources], tmp_path)
    (tmp_path / "wrapped.cpp").write_text(WRAPPED)
    strict = [
        *STRICT,
        "-Wold-style-cast",
        "-fno-exceptions",
        "-fno-rtti",
        "-fno-threadsafe-statics",
    ]
    extra = [flag for flag in flags if not flag.startswith("-std=") and flag != C99[-1]]
    objects = [*map(str, tmp_path.glob("*.o")), *library]
    command = [cpp, *extra, f"-std={standard}", *strict, f"-I{INCLUDE}", "-isystem", str(model)]
    compile_or_fail([*command, "wrapped.cpp", *objects, "-o", "wrapped"], tmp_path)
    done = run([str(tmp_path / "wrapped")], tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


def read(path: str) -> str:
    return Path(path).read_text()


def test_a_failing_check_is_reported(tmp_path: Path) -> None:
    need("gcc", "gcc")
    source = tmp_path / "failing.c"
    source.write_text(
        f'#include "{ROOT}/tests/c/check/check.h"\n'
        "static void good(void) { CHECK_EQUAL(4, 2 + 2); }\n"
        "static void wrong(void) { CHECK_EQUAL(-5, 2 + 2); CHECK(0); }\n"
        "static void untrue(void) { CHECK(1 > 2); }\n"
        "static void bytes(void) { const int8_t a[2] = {1, 2}, b[2] = {1, -128};\n"
        "    CHECK_BYTES(a, b, 1); CHECK_BYTES(a, b, 2); }\n"
        "int main(void) { check_begin(); RUN(good); RUN(wrong); RUN(untrue); RUN(bytes);\n"
        "    return check_end(); }\n"
    )
    compile_or_fail(["gcc", "-std=c99", str(source), "-o", "failing"], tmp_path)
    done = run([str(tmp_path / "failing")], tmp_path)
    assert done.returncode == 1
    assert re.sub(r"^.*failing\.c:\d+:", "", done.stdout, flags=re.MULTILINE).split("\n") == [
        "good:PASS",
        "wrong:FAIL: Expected -5 Was 4",
        "untrue:FAIL: 1 > 2",
        "bytes:FAIL: Element 1 Expected 2 Was -128",
        "",
        "-----------------------",
        "4 Tests 3 Failures 0 Ignored",
        "FAIL",
        "",
    ]


@pytest.mark.parametrize("suite", sorted(OUR_SUITES))
def test_suite_fits_a_board(suite: str, tmp_path: Path) -> None:
    """On a board the suites use board.h alone, and little of 128 KB."""
    need("arm-none-eabi-gcc", "gcc-arm-none-eabi")
    core = [*arm("cortex-m4"), "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard", "-O2", "-ffreestanding"]
    includes = [f"-I{INCLUDE}", f"-I{ROOT / 'firmware'}"]
    compile_or_fail(
        [*core, *C99, *includes, "-DCHECK_EMBEDDED", "-c", *suite_sources(suite)], tmp_path
    )
    objects = sorted(tmp_path.glob("*.o"))
    assert objects
    foreign = {
        name
        for path in objects
        for name, _, index in symbols(path)
        if index == "SHN_UNDEF"
        and not re.match(r"nano_|board_|halves_|naive_", name)
        and not HELPERS.fullmatch(name)
    }
    assert foreign == set()
    ram = sum(
        size
        for path in objects
        for _, flags_, size in sections(path)
        if flags_ & SH_FLAGS.SHF_WRITE
    )
    assert ram <= 64 * 1024
