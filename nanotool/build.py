"""Firmware for a model: PlatformIO run in a cache of our own, so that no source tree is written.

    CACHE/work/PROJECT/      one PlatformIO workspace for each project and board: library and app
                             objects are compiled once and shared by all models
    CACHE/firmware/HASH/     one finished firmware for each model, board, source state and compiler,
                             with SHA256SUMS: one that differs from it is built again

CACHE is $NANOTOOL_CACHE, else the user's cache folder, else (where neither can be written) a
folder of the system's temporary one (`nanotool.cache`).
"""

from __future__ import annotations

import configparser
import contextlib
import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from nanotool import esp_image, fit, mlperf, models, sources
from nanotool.backends import c
from nanotool.boards import BOARDS, Board, check_flashable
from nanotool.cache import cache_dir, is_sealed, locked, room, seal, unfailing
from nanotool.doctor import COMPILERS
from nanotool.elf import Sizes, StackFrame, compiler, producers, sizes, stack_frames
from nanotool.errors import MissingTool, NanoError
from nanotool.files import scratch, sync
from nanotool.ir import Lowered, Plan, QGraph
from nanotool.passes.record import PassRecord
from nanotool.pipeline import prepare
from nanotool.sensing.rule import stream_of
from nanotool.targets import check_goal
from nanotool.training import arena_size
from nanotool.training.cut import Trainable

Echo: TypeAlias = Callable[[str], None]  # called with each line that PlatformIO prints

CONSOLES = ("full", "read-only", "none")
_ERROR_LINES = 12  # of the compiler's output, quoted when a build fails
_MISSING = r"is not on PATH|HTTPClientError|UnknownPackageError|Could not find (the package|one of)"
_PROGRAMS = ("firmware.elf", "program")  # PlatformIO's names of what it links
_KEEP_DAYS = 30  # that a firmware stays in the cache unused
_SOURCE_PARTS = (
    *("platformio.ini", "platformio_override.ini", "lib", "firmware", "offline"),
    *("CMakeLists.txt", "partitions.csv", "sdkconfig.defaults*"),
)
_SOURCE_SUFFIXES = {
    *(".c", ".h", ".S", ".s", ".ld", ".py", ".ini", ".json", ".txt", ".cmake", ""),  # Kconfig
}


class BuildError(NanoError):
    """The compiler or linker refused."""


class _LinkError(BuildError):
    """The linker could not make a program of the objects, and not for want of room."""


class _Overflow(Exception):
    """The linker's regions are too small: which, by how many bytes."""

    def __init__(self, missing: dict[str, int]) -> None:
        super().__init__()
        self.missing = missing


@dataclass(frozen=True, slots=True)
class BuiltModel:
    """One model of a firmware."""

    lowered: Lowered
    plan: Plan
    passes: tuple[PassRecord, ...]  # what simplified the graph

    @property
    def graph(self) -> QGraph:
        """As it was lowered."""
        return self.lowered.graph


@dataclass(frozen=True, slots=True)
class BuildResult:
    """A finished firmware. The paths lie in the cache and stay valid. Of several models the first
    one runs until the console chooses another."""

    board: Board
    models: tuple[BuiltModel, ...]
    task: mlperf.Task | None  # the benchmark that the firmware serves
    head: Trainable | None  # that learns behind the only model, as it was given
    weights: str  # where they are at run time; "": as platformio.ini says
    elf: Path
    image: Path | None  # what is flashed, where that is another file
    model_dir: Path  # the generated sources it was built from
    map: Path | None  # the linker's map, if it wrote one
    stack: tuple[StackFrame, ...]  # frames of the functions that were compiled, largest first
    sizes: Sizes
    compiler: str  # "GCC: (…) 12.2.1 20221205"
    flags: str  # compiler and code-generating flags of each part, one a line
    rebuilt: bool  # False: it was in the cache

    @property
    def graph(self) -> QGraph:
        """The first model's."""
        return self.models[0].graph

    @property
    def lowered(self) -> Lowered:
        """The first model's."""
        return self.models[0].lowered

    @property
    def plan(self) -> Plan:
        """The first model's."""
        return self.models[0].plan

    @property
    def passes(self) -> tuple[PassRecord, ...]:
        """What simplified the first model's graph."""
        return self.models[0].passes

    @property
    def arena_bytes(self) -> int:
        """Of the arena in which the models take turns."""
        return max(model.plan.arena_size for model in self.models)

    def each(self) -> Iterator[BuildResult]:
        """The firmware as that of each of its models."""
        for model in self.models:
            yield replace(self, models=(model,))


def build(
    model: QGraph | Path | Trainable | Sequence[QGraph | Path],
    board: Board,
    *,
    optimize: str = "balanced",
    task: mlperf.Task | None = None,
    weights: str = "",
    sensor: bool = False,
    console: str = "full",
    marker: bool = False,
    echo: Echo | None = None,
) -> BuildResult:
    """The firmware of `model` (a graph, a file, a model folder, or a model with a head that learns)
    for `board`; or of several models, of which it runs one at a time, the first to begin with.

    `task`: the benchmark that it shall serve; None: the one that a model folder is made for, if
    any. `NanoError` if the model does not fit it.
    `weights`: where they are at run time, one of `board.weights`; "": as NANO_WEIGHTS in the
    environment says, else platformio.ini. `NanoError` where the two differ, or the board cannot.
    `sensor`: with the board's own sensor, for `nanotool.capture`; one model, which listens.
    `console`: one of `CONSOLES`. With "read-only" nothing that comes over the line changes what the
    board does; with "none" there is no line. Of both the model listens from the start on if it has
    the board's `sensor`, which it must without a console. `NanoError` with a task or a head, which
    take the whole one.
    `marker`: `board.marker` is high during every timed inference; `NanoError` without such a pin.
    A model folder is built as it was exported: with its own target and goal, `NanoError` if it has
    none that fits the board, or another goal than the "size" or "speed" that is asked for.
    Built before from the same sources: found in the cache. Safe to call from several processes.
    `MissingTool` without PlatformIO, `DoesNotFit` where the board has no room, before anything is
    compiled if that is sure; `BuildError` with the compiler's words if it refuses.
    """
    order = _order(model, board, optimize, task, weights=weights, sensor=sensor, console=console)
    if marker:
        if not board.marker:
            able = ", ".join(one.name for one in BOARDS.values() if one.marker)
            raise NanoError(f"{board.name} has no pin for a marker.", f"These have: {able}.")
        order = replace(order, marker=True)
    kept, rebuilt = _fitting(order, _project(), echo)
    os.utime(kept)
    return _result(order, kept, rebuilt)


@dataclass(frozen=True, slots=True)
class _Order:
    """What is to be built: `build`'s arguments, checked and lowered."""

    board: Board
    head: Trainable | None
    folder: Path | None  # to be built as it was exported
    task: mlperf.Task | None  # that was asked for
    weights: str
    models: tuple[BuiltModel, ...]
    sensor: bool  # with the board's own
    console: str  # one of CONSOLES
    marker: bool = False  # a pin is high during timed inferences

    @property
    def pairs(self) -> list[tuple[Lowered, Plan]]:
        """What is exported of each model."""
        return [(model.lowered, model.plan) for model in self.models]

    def needs(self) -> fit.Model:
        """What takes room on the board."""
        task = self.task or (mlperf.configured(self.folder) if self.folder else None)
        head = 0 if self.head is None else arena_size(self.head.config)
        inputs = max(fit.input_buffer(model.graph, task) for model in self.models)
        (lowered, plan), *others = self.pairs
        return fit.Model(lowered, plan, inputs, head, tuple(others))

    def export(self, folder: Path) -> None:
        """Write the model folder that the firmware is compiled with."""
        if self.folder is not None:
            shutil.copytree(self.folder, folder)
        elif len(self.models) > 1:
            c.export_several([[pair] for pair in self.pairs], folder)
        else:
            c.export(self.pairs, folder, head=self.head)
        if self.task is not None:
            mlperf.configure(folder, self.task)
        if self.sensor:
            mlperf.add_block(folder, "The board's own sensor", ("#define APP_SENSOR",))
        if self.marker:
            mlperf.add_block(folder, "For a power meter", ("#define APP_MARKER",))
        if self.console != "full":
            name = self.console.replace("-", "_").upper()
            listens = ("#define APP_DETECT APP_STEP_VALUES",) if self.sensor else ()
            mlperf.add_block(folder, "Production", (f"#define APP_CONSOLE_{name}", *listens))


def _order(
    model: QGraph | Path | Trainable | Sequence[QGraph | Path],
    board: Board,
    optimize: str,
    task: mlperf.Task | None,
    *,
    weights: str,
    sensor: bool,
    console: str,
) -> _Order:
    head = model if isinstance(model, Trainable) else None
    given = list(model) if isinstance(model, Sequence) else [model]
    alone = given[0] if len(given) == 1 else None
    folder = alone if isinstance(alone, Path) and alone.is_dir() else None
    target, goal = board.target, optimize
    if folder is not None:
        target, goal = _settings(folder, board, optimize)
    graphs = [graph for one in given for graph in _graphs(one)]
    if task is not None and folder is None and len(graphs) == 1:
        mlperf.check(task, graphs[0])
        graphs = [mlperf.as_served(task, graphs[0])]
    built = tuple(_lower(graph, target, goal) for graph in graphs)
    if not built:
        raise NanoError("There is no model to build.", "Give at least one.")
    if task is not None:
        if len(built) > 1:
            raise NanoError(
                f"{task.title} is served by a firmware of one model, not of {len(built)}.",
                "Leave --task out, or build one model.",
            )
        mlperf.check(task, built[0].graph)
        if task.listens:
            stream_of(built[0].graph)  # of a folder; or it says that it does not listen
    if sensor:
        _check_listens(built)
    served = task is not None or (folder is not None and mlperf.configured(folder) is not None)
    _check_console(console, whole=served or head is not None, sensor=sensor)
    place = _wanted_place(board, weights)
    return _Order(board, head, folder, task, place, built, sensor, console)


def _check_console(console: str, *, whole: bool, sensor: bool) -> None:
    """`NanoError` unless the firmware can have that console. ``whole``: it serves a benchmark, or
    learns."""
    if console not in CONSOLES:
        raise NanoError(f"There is no console {console!r}.", f"Consoles: {', '.join(CONSOLES)}.")
    if console != "full" and whole:
        raise NanoError(
            "A benchmark's runner, and a head that learns, need the whole console.",
            "Leave --console out.",
        )
    if console == "none" and not sensor:
        raise NanoError(
            "Without a console the firmware has its input from the board's sensor alone.",
            "Add --sensor, with a model that listens; or make a program of your own, which has no "
            "console: `nanotool new`.",
        )


def _check_listens(built: Sequence[BuiltModel]) -> None:
    """`NanoError` unless there is one model, and it says what it hears."""
    if len(built) > 1:
        raise NanoError(
            f"A board's sensor is one model's, not that of {len(built)}.", "Give one model."
        )
    stream_of(built[0].graph)


def _wanted_place(board: Board, weights: str) -> str:
    """Where the caller's ``weights``, or NANO_WEIGHTS, want them; "" where neither says."""
    said = os.environ.get("NANO_WEIGHTS", "")
    if weights and said and weights != said:
        raise NanoError(
            f"The weights are asked for in {weights!r}, and NANO_WEIGHTS says {said!r}.",
            "Unset NANO_WEIGHTS, or ask for the same place.",
        )
    wanted = weights or said
    if not board.weights and said == "flash":  # where such boards have them
        wanted = weights
    if wanted and wanted not in board.weights:
        way = "Leave --weights out" if weights else "Unset NANO_WEIGHTS"
        raise NanoError(
            f"{board.name} cannot have its weights in {wanted!r}.",
            f"Possible: {', '.join(board.weights)}." if board.weights else f"{way}.",
        )
    return wanted


def _lower(graph: QGraph, target: str, goal: str) -> BuiltModel:
    passes: list[PassRecord] = []
    lowered, planned = prepare(graph, target, goal, passes)
    return BuiltModel(lowered, planned, tuple(passes))


def _fitting(order: _Order, project: Path, echo: Echo | None) -> tuple[Path, bool]:
    """`_firmware` of ``order``; `DoesNotFit` before anything is compiled if that is sure, else with
    what the linker found."""
    board, needs = order.board, order.needs()
    offline = _offline(project)
    _check_reach(board, offline=offline)
    place = order.weights or _weights_place(project, board, registry=not offline)
    if trouble := fit.trouble(needs, board, place, registry=not offline):
        raise trouble
    with unfailing(), scratch(cache_dir(), ".export-") as temporary:
        exported = temporary / "model"
        order.export(exported)
        try:
            return _firmware(exported, board, project, order.weights, echo)
        except _Overflow as error:
            missing = error.missing
            raise fit.overflow(needs, board, missing, place, registry=not offline) from None


def _result(order: _Order, kept: Path, rebuilt: bool) -> BuildResult:
    """What the entry ``kept`` of the cache holds."""
    program, image, linker_map = kept / "firmware.elf", kept / esp_image.APP, kept / "firmware.map"
    return BuildResult(
        board=order.board,
        models=order.models,
        task=mlperf.configured(kept / "model"),
        head=order.head,
        weights=order.weights,
        elf=program,
        image=image if image.is_file() else None,
        model_dir=kept / "model",
        map=linker_map if linker_map.is_file() else None,
        stack=_recorded_frames(kept),
        sizes=sizes(program, *(model.lowered for model in order.models)),
        compiler=compiler(program),
        flags=producers(program),
        rebuilt=rebuilt,
    )


def _firmware(
    model: Path, board: Board, project: Path, weights: str, echo: Echo | None
) -> tuple[Path, bool]:
    """The entry of the cache with the sources `model` built for `board`, and whether it is new."""
    kept = room("firmware") / _key(model, board, project, weights)
    if is_sealed(kept):
        return kept, False
    with _workspace(project, board) as work:
        if is_sealed(kept):  # another process has built it while this one waited
            return kept, False
        _stage(model, work / "model")
        _compile(project, board, work, weights, echo)
        _keep(board, work, kept)
    _forget_old(kept.parent)
    return kept, True


def _offline(project: Path) -> bool:
    """Whether set-up has put the stand-ins in the place of the registry's platforms."""
    override = project / "platformio_override.ini"
    return override.is_file() and "stand-ins" in override.read_text(encoding="utf-8")


def _check_reach(board: Board, *, offline: bool) -> None:
    """`MissingTool` if `board` takes PlatformIO's registry, and the project was set up without."""
    if board.registry and offline:
        raise MissingTool(
            f"{board.name} is built with ESP-IDF, which only PlatformIO's registry has; set-up "
            "found the registry out of reach and put stand-ins in its place.",
            "Where it is in reach: python offline/configure.py --online. Without it there is the "
            "ESP32: --board esp32_bare.",
        )


def _weights_place(project: Path, board: Board, *, registry: bool) -> str:
    """Where platformio.ini has the weights of a board that leaves the choice. ``registry``: it is
    built with ESP-IDF, whose Kconfig has them in the flash."""
    if not board.weights:
        return ""
    if registry and (board.registry or board.registry_parts):
        return "flash"
    ini = configparser.ConfigParser(interpolation=None)
    ini.read([project / "platformio.ini", project / "platformio_override.ini"], encoding="utf-8")
    said = ini.get(f"env:{board.env}", "custom_weights", fallback="")
    return said or board.weights[0]


def _graphs(model: QGraph | Path | Trainable) -> tuple[QGraph, ...]:
    if isinstance(model, Path):
        return models.load_models(model)
    return (model.backbone if isinstance(model, Trainable) else model,)


def _settings(folder: Path, board: Board, optimize: str) -> tuple[str, str]:
    """(target, goal) of the sources in the model folder `folder` that `board`'s compiler takes."""
    check_goal(optimize)
    goals = c.exported_for(folder) if c.is_model_folder(folder) else {}
    target = board.target if board.target in goals else "portable"
    files = " ".join(str(file) for file in models.model_files(folder))
    again = f"nanotool export {files} -o {folder}"
    if target not in goals:
        raise NanoError(
            f"{folder} was exported for {', '.join(goals) or 'nothing'}; {board.name} takes "
            f"{' or '.join(dict.fromkeys((board.target, target)))}.",
            f"Export it again, for all targets: {again}",
        )
    if optimize not in ("balanced", goals[target]):
        raise NanoError(
            f"{folder} was exported with --optimize {goals[target]}, not {optimize}.",
            f"Leave --optimize out, or export it again: {again} --optimize {optimize}",
        )
    return target, goals[target]


def flash(result: BuildResult, port: str = "", echo: Echo | None = None) -> None:
    """Write the firmware to the real board that is attached; `port` where the programmer is a
    serial port. `NanoError` if this board is only emulated, or what the programmer says."""
    board = result.board
    check_flashable(board, port)
    project = _project()
    arguments = ["-t", "upload", *(["--upload-port", port] if port else [])]
    with _workspace(project, board) as work:
        _stage(result.model_dir, work / "model")
        _platformio(project, board, work, arguments, weights=result.weights, echo=echo)


# --- the project ----------------------------------------------------------------------------------


def _project() -> Path:
    """PlatformIO's project: the checkout itself, or the wheel's sources copied to the cache,
    because set-up writes platformio_override.ini and .pio-offline beside them."""
    origin = sources.project_dir()
    if sources.in_checkout():
        return origin
    digest = _digest_tree(origin)[:16]
    project = room("project") / digest
    with locked(cache_dir() / "project.lock"):
        # PlatformIO puts files of its own beside the sources.
        if not is_sealed(project, alone=False):
            shutil.rmtree(project, ignore_errors=True)
            shutil.copytree(origin, project, ignore=shutil.ignore_patterns("__pycache__"))
            _configure(project)
            seal(project)
    return project


def offer_stand_ins(folder: Path) -> bool:
    """Where set-up found PlatformIO's registry out of reach, have the user's project ``folder`` use
    the stand-ins, too, for what they can build; whether they are used. `NanoError` if they cannot
    be."""
    project = _project()
    if not _offline(project):
        return False
    _configure(project, "--offline", "--project", str(folder.resolve()))
    return True


def _configure(project: Path, *arguments: str) -> None:
    """Choose PlatformIO's own packages or the stand-ins, as ./dev does in a checkout."""
    script = project / "offline" / "configure.py"
    mode = os.environ.get("NANO_PLATFORMIO", "auto")
    done = subprocess.run(
        [sys.executable, str(script), *(arguments or (f"--{mode}",))],
        cwd=project,
        env=_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise NanoError(
            f"PlatformIO cannot be set up: {(done.stderr or done.stdout).strip()[-400:]}",
            "Put that right, then try again.",
        )


def _digest_tree(root: Path) -> str:
    """A hash of every source file under `root`."""
    digest = hashlib.sha256()
    for top in (top for part in _SOURCE_PARTS for top in sorted(root.glob(part))):
        inside = (path for path in sorted(top.rglob("*")) if path.suffix in _SOURCE_SUFFIXES)
        for path in [top] if top.is_file() else inside:
            if path.is_file():
                _digest_file(digest, str(path.relative_to(root)), path)
    return digest.hexdigest()


def _digest_file(digest: hashlib._Hash, name: str, path: Path) -> None:
    content = path.read_bytes()
    digest.update(f"{name}\0{len(content)}\0".encode())
    digest.update(content)


def _key(model: Path, board: Board, project: Path, weights: str) -> str:
    """What a firmware depends on: board, model, sources, compilers."""
    digest = hashlib.sha256(f"{board.env}\0{weights}\0{_digest_tree(project)}\0".encode())
    for path in sorted(model.iterdir()):
        if path.suffix in {".c", ".h"}:
            _digest_file(digest, path.name, path)
    for command in sorted({command for command, *_ in COMPILERS.values()}):
        if found := shutil.which(command):
            stat = Path(found).resolve().stat()
            digest.update(f"{found}\0{stat.st_size}\0{stat.st_mtime_ns}\0".encode())
    return f"{board.name}-{digest.hexdigest()[:24]}"


# --- the workspace --------------------------------------------------------------------------------


@contextmanager
def _workspace(project: Path, board: Board) -> Iterator[Path]:
    """The workspace of this project and board, locked."""
    name = hashlib.sha256(str(project).encode()).hexdigest()[:12]
    work = room("work") / f"{board.name}-{name}"
    with locked(work.with_suffix(".lock")):
        work.mkdir(parents=True, exist_ok=True)
        yield work


def _stage(model: Path, target: Path) -> None:
    """Make `target` hold `model`'s files. The place is the same for every model, so that include
    paths, and with them the objects of library and app, stay as they are."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(model, target, copy_function=shutil.copyfile)


def _compile(project: Path, board: Board, work: Path, weights: str, echo: Echo | None) -> None:
    """Build the staged model; from nothing if objects of an earlier build do not link, which a
    power failure may have cut short."""
    built = work / "build" / board.env
    warm = built.is_dir()
    for name in (*_PROGRAMS, esp_image.APP):
        (built / name).unlink(missing_ok=True)  # made again from objects, whatever is there
    try:
        _platformio(project, board, work, [], weights=weights, echo=echo)
    except _LinkError:
        if not warm:
            raise
        shutil.rmtree(built)
        _platformio(project, board, work, [], weights=weights, echo=echo)


def _environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    return {
        **os.environ,
        "PLATFORMIO_SETTING_ENABLE_TELEMETRY": "false",
        "PLATFORMIO_DISABLE_UPGRADE_CHECK": "true",
        "PLATFORMIO_NO_ANSI": "true",
        "LC_ALL": "C.UTF-8",
        **(extra or {}),
    }


def _platformio(
    project: Path,
    board: Board,
    work: Path,
    arguments: Sequence[str],
    *,
    weights: str,
    echo: Echo | None,
) -> None:
    """Run PlatformIO on the staged model."""
    run = ["run", "-e", board.env, "-d", str(project), *arguments]
    if importlib.util.find_spec("platformio") is None:
        raise MissingTool(
            "PlatformIO is not installed.", "Install it: pip install 'nanotool[build]'."
        )
    environment = _environment(
        {
            "NANO_MODEL_DIR": str(work / "model"),
            "NANO_WEIGHTS": weights,
            "PLATFORMIO_WORKSPACE_DIR": str(work),
            "PLATFORMIO_BUILD_DIR": str(work / "build"),
            "PLATFORMIO_LIBDEPS_DIR": str(work / "libdeps"),
            # No tests: what they need is not looked for, and a wheel has none.
            "PLATFORMIO_TEST_DIR": str(work / "tests"),
        }
    )
    lines: list[str] = []
    with subprocess.Popen(
        [sys.executable, "-m", "platformio", *run],
        cwd=project,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line.rstrip())
            if echo is not None:
                echo(lines[-1])
    if process.returncode != 0:
        _refused(board, run, lines)


def _refused(board: Board, run: Sequence[str], lines: Sequence[str]) -> None:
    """Raise what the output means: a missing package or compiler, else a build that failed."""
    command = "platformio " + " ".join(run)
    missing = [line for line in lines if re.search(_MISSING, line)]
    if missing:
        raise MissingTool(
            f"`{command}` misses something: {missing[0].removeprefix('error: ')}",
            "`nanotool doctor` looks for everything a build needs.",
        )
    text = "\n".join(lines)
    if missing_bytes := _overflows(board, text):
        raise _Overflow(missing_bytes)
    quoted = [line for line in lines if re.search(r"error|undefined|\*\*\*", line, re.I)]
    if "upload" in run and "*** [upload]" in text:
        said = [line.strip() for line in quoted if "*** [upload]" not in line]
        raise NanoError(
            f"{board.title} was not flashed: {' '.join(said[-3:]) or lines[-1]}",
            f"Check the cable, the port and who else has it open. `{command}` shows everything.",
        )
    if "ld returned" in text:
        raise _unlinked(board, text, f"`{command}` shows everything.")
    raise BuildError(
        f"The firmware for {board.name} does not build:\n"
        + "\n".join((quoted or list(lines))[:_ERROR_LINES])
        + "\n",
        f"Run `{command}` to see everything.",
    )


def _overflows(board: Board, text: str) -> dict[str, int]:
    """Region -> bytes that it lacks, as the linker says it, or whoever weighs what it made."""
    found = re.findall(r"region [`'](\w+)' overflowed by (\d+) bytes", text)
    missing = {region: int(size) for region, size in found}
    if missing:
        return missing
    regions = board.regions(registry=bool(board.registry_parts))
    holding = {what: region.name for region in reversed(regions) for what in region.holds}
    code, data = holding.get("code", "FLASH"), holding.get("data", "RAM")
    # PlatformIO's words, and those of ESP-IDF's check_sizes.py
    weighed = (
        r"The (program|data) size \((\d+) bytes\) is greater than maximum allowed \((\d+) bytes"
    )
    for what, size, most in re.findall(weighed, text):
        missing[code if what == "program" else data] = int(size) - int(most)
    for size in re.findall(r"Part '.*\(overflow 0x([0-9a-fA-F]+)", text):
        missing[code] = max(missing.get(code, 0), int(size, 16))
    return missing


def _unlinked(board: Board, text: str, everything: str) -> BuildError:
    """What a linker means that found room and made no program."""
    if "reaches into the weights' place" in text:  # firmware/boards/esp32_bare/link.ld
        return BuildError(
            f"Code and constants are too large for {board.name} with its weights in flash, where "
            "those begin 64 KB in.",
            "Build with --weights dram, or with --optimize size.",
        )
    if full := re.findall(r"(\w+) segment data does not fit", text):  # ESP-IDF's sections.ld
        return BuildError(
            f"The firmware does not fit {board.name}: {' and '.join(dict.fromkeys(full))} is full.",
            "--optimize size takes less; `nanotool boards` lists boards with more memory.",
        )
    names = list(dict.fromkeys(re.findall(r"undefined reference to [`']([^`']+)'", text)))
    if names:
        ours = [name for name in names if name.startswith("nano_")]
        return _LinkError(
            f"The firmware for {board.name} uses what nothing defines: {', '.join(names[:5])}"
            f"{f' and {len(names) - 5} more' if len(names) > 5 else ''}.",
            (
                "The library has no such function: a model folder of another version is exported "
                "again. "
                if ours
                else "A board's files define all of firmware/board.h: docs/porting.md. "
            )
            + everything,
        )
    said = re.findall(r"(?:^|[/ \\])ld(?:\.\w+)?: (.+)$", text, re.M)
    told = " ".join(dict.fromkeys(said[:3])) or text.splitlines()[-1]
    return _LinkError(f"The firmware for {board.name} does not link: {told}", everything)


# --- the result -----------------------------------------------------------------------------------


def _keep(board: Board, work: Path, folder: Path) -> None:
    """Move what was built to its place in the cache, whole or not at all."""
    built = work / "build" / board.env
    programs = [path for name in _PROGRAMS if (path := built / name).is_file()]
    if not programs:
        raise BuildError(
            f"PlatformIO left no program in {built}.", "Remove that folder, try again."
        )
    with scratch(folder.parent, ".new-") as new:
        shutil.copy2(programs[0], new / "firmware.elf")
        for name in esp_image.FILES if board.esp_chip else ():
            if (built / name).is_file():
                shutil.copy2(built / name, new / name)
        shutil.copytree(work / "model", new / "model")
        maps = sorted(built.glob("*.map"))
        if maps:
            shutil.copy2(maps[0], new / "firmware.map")
        frames = stack_frames(_usage_files(built, maps))
        record = {"stack": [[f.function, f.source, f.bytes, f.bounded] for f in frames]}
        (new / "build.json").write_text(json.dumps(record))
        seal(new)
        shutil.rmtree(folder, ignore_errors=True)
        new.rename(folder)
        sync(folder.parent)


def _usage_files(built: Path, maps: Sequence[Path]) -> list[Path]:
    """The .su files of the objects that the map lists; of all objects if there is no map."""
    files = sorted(built.rglob("*.su"))
    linked = maps[0].read_text(errors="replace") if maps else None
    return [path for path in files if linked is None or path.stem + ".o" in linked]


def _recorded_frames(folder: Path) -> tuple[StackFrame, ...]:
    record = json.loads((folder / "build.json").read_text())
    return tuple(StackFrame(*entry) for entry in record["stack"])


def _forget_old(folder: Path) -> None:
    """Remove firmware that nobody has asked for in `_KEEP_DAYS`."""
    oldest = time.time() - _KEEP_DAYS * 86400
    for entry in folder.iterdir():
        with contextlib.suppress(OSError):
            if entry.stat().st_mtime < oldest:
                shutil.rmtree(entry, ignore_errors=True)
