"""Firmware out of a model: cached, locked, never written into the tree, errors in one paragraph."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
import random_graphs
from objects import foreign_calls, global_names, stack_uses, unbounded, writable

from nanotool import build as build_module
from nanotool import elf, qfile, sources
from nanotool.backends import c
from nanotool.boards import BOARDS, ESP32, NATIVE, STM32, Board, check_flashable, find_board
from nanotool.build import BuildError, _overflows, _refused, build, flash
from nanotool.cache import cache_dir, is_sealed, room, seal
from nanotool.doctor import COMPILERS
from nanotool.errors import MissingTool, NanoError
from nanotool.ir import QGraph
from nanotool.mlperf import find_task
from nanotool.pipeline import prepare
from nanotool.report import budgets

GRAPH = random_graphs.random_graph(7, 3, ("conv2d", "dense"))
OTHER = random_graphs.random_graph(8, 2, ("dense", "unary"))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that begins empty, shared by this file's tests."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _own_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NANOTOOL_CACHE", str(cache))


# esp32 is esp32_bare, or else ESP-IDF, which comes from a registry and takes minutes. Of those that
# share a compiler CI takes one: test_hil and test_esp32_bare build the others, too.
SHARED = {
    *("microbit", "mps2_an385", "mps2_an386", "mps2_an500", "mps2_an505", "mps3_an547"),
    *("xtensa_lx6", "esp32_bare"),
}
BUILT = sorted(b.name for b in BOARDS.values() if b is not ESP32 and not b.registry)


@pytest.fixture(
    params=[pytest.param(name, marks=pytest.mark.slow if name in SHARED else ()) for name in BUILT]
)
def board(request: pytest.FixtureRequest) -> Board:
    board: Board = BOARDS[request.param]
    compiler = COMPILERS[board.name][0]
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    return board


def export(graph: QGraph, folder: Path, target: str = "portable") -> Path:
    c.export([prepare(graph, target)], folder)
    return folder


def snapshot(folder: Path) -> dict[str, tuple[int, int]]:
    """Every file with its size and time of change; PlatformIO's own packages left out."""
    return {
        str(path.relative_to(folder)): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_a_firmware_is_what_its_model_is(board: Board) -> None:
    result = build(GRAPH, board)
    assert result.lowered.graph is result.graph
    assert result.sizes.weight_bytes == result.lowered.weight_bytes > 0
    assert result.plan.arena_size + GRAPH.input_tensor.size <= result.sizes.ram_bytes
    assert (result.model_dir / "app_model.h").is_file()
    assert result.map is not None
    assert "GCC" in result.compiler
    assert "-O2" in result.flags
    functions = {frame.function for frame in result.stack}
    assert {"main", "nano_run"} <= functions
    assert all(frame.bounded for frame in result.stack)
    assert elf.heap_symbols(result.elf) == ()


def test_what_the_librarys_objects_hold(board: Board, cache: Path) -> None:
    """What test_c_library asks of other compilers' ones: nothing that a run changes, no heap, no
    foreign name, a bounded stack."""
    build(GRAPH, board)
    folders = list((cache / "work").glob(f"{board.name}-*/build/{board.env}/lib*/nano"))
    objects = [path for folder in folders for path in folder.rglob("*.o")]
    assert len(objects) >= 8
    assert writable(objects) == []
    exported = global_names(objects)
    assert "nano_run" in exported
    assert [name for name in exported if not name.startswith("nano_")] == []
    assert foreign_calls(objects) == set()
    used = stack_uses(path for folder in folders for path in folder.rglob("*.su"))
    assert len(used) > len(objects)
    assert unbounded(used) == []


def test_a_board_of_the_registry_is_refused_where_stand_ins_serve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once, not after PlatformIO's minute of trying."""
    (tmp_path / "platformio_override.ini").write_text("; its stand-ins replace\n")
    monkeypatch.setattr("nanotool.build._project", lambda: tmp_path)
    with pytest.raises(MissingTool, match=r"esp32s3 is built with ESP-IDF.*--board esp32_bare"):
        build(GRAPH, BOARDS["esp32s3"])


def test_the_same_model_is_built_once(board: Board, tmp_path: Path) -> None:
    """As a graph, as a file, as a folder: one firmware."""
    first = build(GRAPH, board)
    lines: list[str] = []
    again = build(GRAPH, board, echo=lines.append)
    assert (again.rebuilt, lines, again.elf) == (False, [], first.elf)
    qfile.save(GRAPH, tmp_path / "net.nano")
    assert build(tmp_path / "net.nano", board).elf == first.elf
    assert build(export(GRAPH, tmp_path / "folder", board.target), board).elf == first.elf
    assert build(tmp_path / "folder", board).rebuilt is False


@pytest.mark.skipif(shutil.which(COMPILERS["stm32"][0]) is None, reason="no Arm compiler")
def test_a_folder_is_built_as_it_was_exported(tmp_path: Path) -> None:
    """With its own target and goal, or not at all."""
    c.export([prepare(GRAPH, "armv7em", "size")], tmp_path / "size")
    built = build(tmp_path / "size", STM32)
    assert (built.lowered.target, built.lowered.optimize) == ("armv7em", "size")
    assert build(tmp_path / "size", STM32, optimize="size").elf == built.elf
    built = build(export(GRAPH, tmp_path / "portable"), STM32)
    assert built.lowered.target == "portable"
    assert built.sizes.weight_bytes == built.lowered.weight_bytes
    with pytest.raises(NanoError, match="--optimize balanced, not speed") as caught:
        build(tmp_path / "portable", STM32, optimize="speed")
    assert "nanotool export" in caught.value.hint
    with pytest.raises(NanoError, match="no goal 'small'"):
        build(tmp_path / "portable", STM32, optimize="small")
    with pytest.raises(NanoError, match="exported for armv7em; native takes portable") as caught:
        build(tmp_path / "size", NATIVE)
    assert "nanotool export" in caught.value.hint


@pytest.mark.skipif(shutil.which(COMPILERS["stm32"][0]) is None, reason="no Arm compiler")
def test_the_input_buffer_of_a_float_benchmark_has_four_bytes_an_element() -> None:
    models = Path(__file__).parent.parent / "models"
    for task, size in ((find_task("ad"), 2560), (None, 640)):
        built = build(models / "ad.tflite", STM32, task=task)
        ram = budgets(built)[1]
        assert dict(ram.parts)["input buffer"] == size
        assert sum(size for _, size in ram.parts) >= built.sizes.ram_bytes


def test_another_model_compiles_nothing_of_the_library_again(board: Board) -> None:
    first = build(GRAPH, board)
    lines: list[str] = []
    other = build(OTHER, board, echo=lines.append)
    assert other.elf != first.elf
    assert first.elf.is_file()
    compiled = [line for line in lines if line.startswith("Compiling")]
    assert compiled
    assert not [line for line in compiled if "/nano/" in line]
    assert any(OTHER.name in line for line in compiled)


def test_processes_that_build_at_once_wait_for_each_other(tmp_path: Path) -> None:
    """Each gets its own model, and what two of them want is built once."""
    program = """
        import sys
        from pathlib import Path
        from nanotool.boards import NATIVE
        from nanotool.build import build
        result = build(Path(sys.argv[1]), NATIVE)
        print(result.rebuilt, result.sizes.weight_bytes == result.lowered.weight_bytes)
    """
    for seed in (21, 22):
        qfile.save(random_graphs.random_graph(seed, 2, ("dense",)), tmp_path / f"{seed}.nano")
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(program), str(tmp_path / f"{seed}.nano")],
            cwd=Path(__file__).parents[2],
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in (21, 22, 21)
    ]
    answers = [process.communicate(timeout=120)[0].split() for process in processes]
    assert sorted(answers) == [["False", "True"], ["True", "True"], ["True", "True"]]


def test_an_interrupted_build_leaves_nothing_half_done(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = random_graphs.random_graph(31, 2, ("dense",))

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(build_module, "_keep", interrupted)
        with pytest.raises(KeyboardInterrupt):
            build(graph, NATIVE)
    assert not list(cache.glob(".export-*"))
    result = build(graph, NATIVE)
    assert result.rebuilt
    assert result.sizes.weight_bytes == result.lowered.weight_bytes


def test_a_wheels_sources_are_copied_and_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Installed, the sources lie in site-packages, without tests and without set-up."""
    packaged = tmp_path / "site-packages" / "nanotool" / "_sources"
    for part in ("lib/nano", "firmware", "offline"):
        shutil.copytree(
            sources.project_dir() / part,
            packaged / part,
            ignore=shutil.ignore_patterns("__pycache__"),
        )
    shutil.copy(sources.project_dir() / "platformio.ini", packaged)
    monkeypatch.setattr(sources, "_PACKAGE", packaged.parent)
    monkeypatch.setenv("NANOTOOL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NANO_PLATFORMIO", "offline")
    before = snapshot(packaged)
    assert not sources.in_checkout()
    assert build(GRAPH, NATIVE).rebuilt
    assert snapshot(packaged) == before


def test_a_checkout_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    origin = sources.project_dir()
    checkout = tmp_path / "checkout"
    for part in ("lib/nano", "firmware", "offline"):
        shutil.copytree(
            origin / part, checkout / part, ignore=shutil.ignore_patterns("__pycache__")
        )
    shutil.copy(origin / "platformio.ini", checkout)
    subprocess.run(
        [sys.executable, str(checkout / "offline" / "configure.py"), "--offline"],
        check=True,
        capture_output=True,
    )
    (checkout / "nanotool").mkdir()
    monkeypatch.setattr(sources, "_PACKAGE", checkout / "nanotool")
    before = snapshot(checkout)
    assert sources.in_checkout()
    build(OTHER, NATIVE)
    after = {k: v for k, v in snapshot(checkout).items() if not k.startswith(".pio-offline")}
    assert after == {k: v for k, v in before.items() if not k.startswith(".pio-offline")}


def test_what_the_compiler_says_is_shown(tmp_path: Path) -> None:
    folder = export(GRAPH, tmp_path / "model")
    source = folder / f"{GRAPH.name}.c"
    source.write_text(source.read_text() + "\nint broken = nonsense;\n")
    with pytest.raises(BuildError, match=r"nonsense.* undeclared") as caught:
        build(folder, NATIVE)
    assert len(str(caught.value)) < 3000
    assert "platformio run -e native" in str(caught.value)


def test_what_the_programmer_says_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """A flash that failed is no build that failed; a port that is not there is told at once."""
    lines = ["Wrote 3 sections", "A fatal error occurred: no sync", "*** [upload] Error 2"]
    with pytest.raises(NanoError, match="was not flashed: A fatal error occurred: no sync") as told:
        _refused(find_board("esp32_bare"), ["run", "-t", "upload"], lines)
    assert "build" not in told.value.message
    with pytest.raises(NanoError, match=r"There is no port /dev/none\. "):
        check_flashable(find_board("esp32_bare"), "/dev/none")
    check_flashable(find_board("stm32"))
    check_flashable(find_board("stm32"), "socket://localhost:4000")


LD = "/usr/lib/gcc/xtensa-lx106-elf/12/../bin/ld: "
END = "collect2: error: ld returned 1 exit status"


@pytest.mark.parametrize(
    ("board", "said", "message"),
    [
        (
            "esp32_bare",
            [LD + "the image reaches into the weights' place in the flash: move it in link.ld"],
            "too large for esp32_bare with its weights in flash.*--weights dram",
        ),
        ("esp32", [LD + "IRAM0 segment data does not fit."], "fit esp32: IRAM0 is full"),
        (
            "native",
            ["/usr/bin/ld: m.o: in function `f': m.c:3: undefined reference to `nano_conv9'"] * 2,
            "uses what nothing defines: nano_conv9.*exported again",
        ),
        (
            "stm32",
            ["main.c:(.text+0x2): undefined reference to `board_ticks'"],
            "defines: board_ticks.*board.h",
        ),
        ("stm32", [LD + "m.o: file not recognized"], "does not link: m.o: file not recognized"),
    ],
)
def test_what_the_linker_means_is_told(board: str, said: list[str], message: str) -> None:
    with pytest.raises(BuildError, match=message) as told:
        _refused(find_board(board), ["run"], [*said, END, "*** [firmware.elf] Error 1"])
    assert "collect2" not in str(told.value) and "bin/ld" not in str(told.value)


@pytest.mark.parametrize(
    ("board", "said", "missing"),
    [
        ("esp32s3", "Error: The program size (1048581 bytes) is greater than maximum allowed "
         "(1048576 bytes)", {"factory": 5}),
        ("esp32", " - Part 'factory' 0/0 @ 0x10000 size 0x9 (overflow 0xa0)", {"factory": 160}),
        ("stm32", "Error: The data size (131073 bytes) is greater than maximum allowed "
         "(131072 bytes)", {"RAM": 1}),
        ("stm32", LD + "region `FLASH' overflowed by 7 bytes", {"FLASH": 7}),
    ],
)  # fmt: skip
def test_who_weighs_the_program_tells_what_it_lacks(
    board: str, said: str, missing: dict[str, int]
) -> None:
    assert _overflows(find_board(board), said) == missing


def test_a_folder_that_calls_for_a_kernel_that_is_not_there(tmp_path: Path) -> None:
    folder = export(GRAPH, tmp_path / "model")
    source = folder / f"{GRAPH.name}.c"
    text = source.read_text()
    called = "__attribute__((constructor)) static void begin(void) { nano_gone(); }"
    source.write_text(f"{text}\nvoid nano_gone(void);\n{called}\n")
    with pytest.raises(BuildError, match=r"uses what nothing defines: nano_gone\.") as caught:
        build(folder, NATIVE)
    assert "ld:" not in str(caught.value)


def test_sources_for_another_abi_do_not_build(tmp_path: Path) -> None:
    folder = export(GRAPH, tmp_path / "model")
    source = folder / f"{GRAPH.name}.c"
    text = source.read_text()
    assert "#if NANO_ABI != 2" in text
    source.write_text(text.replace("#if NANO_ABI != 2", "#if NANO_ABI != 3"))
    with pytest.raises(BuildError, match=f"export {GRAPH.name} again"):
        build(folder, NATIVE)


def test_without_platformio_the_command_to_install_it_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(MissingTool, match=r"pip install 'nanotool\[build\]'"):
        build(random_graphs.random_graph(41, 1, ("dense",)), NATIVE)


def test_without_a_compiler_its_package_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not (sources.project_dir() / "platformio_override.ini").is_file():
        pytest.skip("PlatformIO brings its own compiler")
    for name in ("sh", "uname"):
        (tmp_path / name).symlink_to(shutil.which(name) or "/bin/sh")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingTool, match="gcc-arm-none-eabi"):
        build(random_graphs.random_graph(42, 1, ("dense",)), STM32)


def test_there_is_nothing_to_flash_on_this_computer() -> None:
    with pytest.raises(NanoError, match="nothing to flash"):
        flash(build(GRAPH, NATIVE))


def damages(folder: Path) -> Iterator[tuple[str, Path]]:
    """Each file of ``folder`` cut short, emptied, altered, gone, and one too many; made good
    again."""
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        content = path.read_bytes()
        for what, changed in {
            "cut": content[:-1],
            "empty": b"",
            "altered": content[:-1] + bytes([content[-1] ^ 1]),
            "zeros": bytes(len(content)),
        }.items():
            path.write_bytes(changed)
            yield what, path
        path.unlink()
        yield "gone", path
        path.write_bytes(content)
    other = folder / "firmware.bin"
    other.touch()
    yield "one more", other
    other.unlink()


def test_whatever_is_damaged_in_an_entry_is_seen(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    for name in ("firmware.elf", "build.json", "model/app_model.h"):
        (tmp_path / name).write_bytes(name.encode() * 100)
    assert not is_sealed(tmp_path)
    seal(tmp_path)
    subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=tmp_path, check=True)
    for what, path in damages(tmp_path):
        assert not is_sealed(tmp_path), (what, path)
    assert is_sealed(tmp_path)


def test_a_damaged_entry_is_built_again(cache: Path) -> None:
    whole = build(GRAPH, NATIVE)
    program, record = whole.elf.read_bytes(), whole.elf.with_name("build.json")
    for path in (whole.elf, record):
        path.write_bytes(b"")
    again = build(GRAPH, NATIVE)
    assert again.rebuilt
    assert (again.elf, again.elf.read_bytes(), again.stack) == (whole.elf, program, whole.stack)
    assert not build(GRAPH, NATIVE).rebuilt
    assert not list((cache / "firmware").glob(".*"))


@pytest.mark.slow
def test_a_damaged_object_is_compiled_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a power failure left of the library that all models share; in a cache of its own."""
    monkeypatch.setenv("NANOTOOL_CACHE", str(tmp_path))
    graph = random_graphs.random_graph(51, 2, ("dense",))
    build(GRAPH, NATIVE)
    (lib,) = (tmp_path / "work").glob("native-*/build/native/lib*/libnano.a")
    for path in (lib, *lib.parent.rglob("*.o")):
        path.write_bytes(b"")
    assert build(graph, NATIVE).rebuilt


@pytest.mark.parametrize("mode", [0o770, 0o707])
def test_a_cache_that_others_may_write_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int
) -> None:
    """What lies there is run. The folder itself, and those in it."""
    chosen = tmp_path / "cache"
    monkeypatch.setenv("NANOTOOL_CACHE", str(chosen))
    chosen.mkdir()
    chosen.chmod(mode)
    with pytest.raises(NanoError, match=r"Others may write.*chmod go-w.*set NANOTOOL_CACHE"):
        build(GRAPH, NATIVE)
    chosen.chmod(0o755)
    room("firmware").chmod(mode)
    with pytest.raises(NanoError, match=r"Others may write.*/firmware"):
        build(GRAPH, NATIVE)


def test_another_users_cache_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NANOTOOL_CACHE", str(tmp_path))
    monkeypatch.setattr("os.getuid", lambda: tmp_path.stat().st_uid + 1)
    with pytest.raises(NanoError, match=r"another user.*Set NANOTOOL_CACHE"):
        cache_dir()


def test_a_full_disk_is_told(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_space(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", no_space)
    with pytest.raises(NanoError, match="No space left on device"):
        build(random_graphs.random_graph(52, 1, ("dense",)), NATIVE)
    assert not list(cache.glob(".*"))
    assert not list((cache / "firmware").glob(".*"))


def test_a_cache_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("NANOTOOL_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(NanoError, match="Set NANOTOOL_CACHE"):
        cache_dir()


def test_a_home_that_cannot_be_written_is_no_hindrance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "home").touch()
    monkeypatch.delenv("NANOTOOL_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    assert cache_dir().parent == tmp_path.resolve()
