"""The sessions behind ./dev. All share the one environment that ./dev made.

nox -l lists them; `nox -s hil -- --port=/dev/ttyUSB0 --board=stm32` hands arguments on.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import nox

nox.options.default_venv_backend = "none"
nox.options.sessions = ["test"]

ROOT = Path(__file__).parent
PYTHON = sys.executable
C_SOURCES = (
    "lib/nano/*.[ch]",
    "lib/nano/*.hpp",
    "firmware/*.[ch]",
    "tests/c/*.[ch]",
    "tests/fuzz/*.[ch]",
)
# Where test_hil runs without a board, and which of its tests; the longest first.
BYTES_AND_TICKS = ("test_hil/test_outputs.py", "test_hil/test_timing.py")
# About half the time of a board that runs all: a run of their own, beside the others.
HALF = ("test_hil/test_tasks.py", "test_hil/test_random_models.py")
# Their path is that of tasks 06 and 13, with other data: `nox -s full`.
TASKS_BY_HAND = ("examples.task07", "examples.task09")
# Its compiler is another one's, too, and its kernels run in the other half: `nox -s full`.
HALF_BY_HAND = ("xtensa_sim",)
EMULATED = {
    **dict.fromkeys(("stm32", "native", "xtensa_sim"), ("test_hil",)),
    **dict.fromkeys(
        ("riscv_virt", "microbit", "mps2_an385", "mps3_an547", "xtensa_lx6"), BYTES_AND_TICKS
    ),
    "esp32_bare": ("test_hil",),  # skipped where QEMU_ESP32 names no emulator for it
}
# A file's tests stay together, so that what they share is compiled once; who is done helps out.
# Under pytest-embedded, which only test_hil needs, nobody notices that a worker has died.
TWO_WORKERS = ("-n", "2", "--dist", "worksteal", "-p", "no:pytest_embedded")
AT_ONCE = 2  # commands at the same time: each needs a core, for a compiler or an emulator
# The quick part of bench: exact counts, against what bench/ has recorded.
GATES = {
    "gate of models": ("-m", "bench.record", "--gate"),
    "gate of layers": ("-m", "bench.layers", "--gate"),
    "gate of training": ("-m", "bench.training"),
}
# Suites of no code that is mutated: PlatformIO runs them on native, beside one of the others.
NOT_MUTATED = ("stm32_flash", "xtensa_runtime")
TOGETHER = 3  # runs of test_hil and of the tasks: a third of their time they wait for a line
MINUTES = 40  # that one command may take: whatever hangs, CI comes to its end
# A test that hangs fails, and who waits for a worker that died ends.
NO_HANGING = ("--timeout=600", "--max-worker-restart=0")
# Runs side by side with a thread for each core would wait for each other.
ONE_THREAD = {"OMP_NUM_THREADS": "1"}
# What compiles here; many tests compile the same sources for the same processor.
COMPILERS = (
    *("cc", "gcc", "clang", "arm-none-eabi-gcc", "riscv64-unknown-elf-gcc"),
    "xtensa-lx106-elf-gcc",
)
# What a program does with an installed nanotool: the model that it carries, through the C library.
INSTALLED = """
import nanotool
from nanotool.sources import default_model_dir, in_checkout
assert not in_checkout(), nanotool.__file__
model = nanotool.load(default_model_dir())
(samples,) = model.graph.samples  # of each input
assert (model.run(samples) == model.simulate(samples)).all()
"""
PLATFORMIO = {
    "PLATFORMIO_SETTING_ENABLE_TELEMETRY": "false",
    "PLATFORMIO_DISABLE_UPGRADE_CHECK": "true",
}


def cache_compilers() -> None:
    """Have ccache, where it is installed, answer for the compilers: in this checkout's build/."""
    ccache = shutil.which("ccache")
    if ccache is None:
        return
    folder = ROOT / "build" / "ccache"
    links = folder / "bin"
    links.mkdir(parents=True, exist_ok=True)
    for name in COMPILERS:
        if shutil.which(name) and not (links / name).is_symlink():
            (links / name).symlink_to(ccache)
    if str(links) not in os.environ["PATH"].split(os.pathsep):
        os.environ["PATH"] = f"{links}{os.pathsep}{os.environ['PATH']}"
    os.environ["CCACHE_DIR"] = str(folder / "cache")
    os.environ["CCACHE_SLOPPINESS"] = "locale"  # `nanotool build` asks for messages in English
    # A copy of the sources elsewhere, as a wheel's or another checkout's are, is no other source.
    os.environ["CCACHE_BASEDIR"], os.environ["CCACHE_NOHASHDIR"] = "/", "1"


cache_compilers()


def tracked(*patterns: str) -> list[str]:
    """The files that git tracks, or would, under these patterns; generated models left out."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns]
    listing = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    names = listing.stdout.split()
    return [n for n in names if not n.startswith("firmware/models/") and (ROOT / n).is_file()]


def pytest(session: nox.Session, *arguments: str, **env: str) -> None:
    """Run pytest with the project's settings."""
    environment = {**os.environ, **ONE_THREAD, **env}
    status, _ = within([PYTHON, "-m", "pytest", *NO_HANGING, *arguments], environment)
    if status != 0:
        session.error(f"pytest ended with status {status}")


def side_by_side(
    session: nox.Session, commands: Mapping[str, Sequence[str]], at_once: int = AT_ONCE
) -> None:
    """Run commands of Python, ``at_once`` at a time; the output of each, named by its key, follows
    its end. The session fails if any of them does."""
    session.log(f"{len(commands)} runs, {at_once} at once; the output of each follows its end")
    with ThreadPoolExecutor(at_once) as pool:
        runs = {pool.submit(timed, command): name for name, command in commands.items()}
        failed = []
        for done, run in enumerate(as_completed(runs), start=1):
            name, (status, seconds, output) = runs[run], run.result()
            print(output, end="", flush=True)
            passed = "passed" if status == 0 else f"FAILED with status {status}"
            session.log(f"{name} {passed} in {seconds:.0f} s ({done} of {len(runs)})")
            if status != 0:
                failed.append(name)
    if failed:
        session.error(f"failed: {', '.join(failed)}")


def timed(command: Sequence[str]) -> tuple[int, float, str]:
    """Python with arguments, in a process of its own: its status, seconds and output."""
    begin = time.monotonic()
    environment = {**os.environ, **ONE_THREAD, **PLATFORMIO}
    status, output = within([PYTHON, *command], environment, subprocess.PIPE)
    return status, time.monotonic() - begin, output


def within(
    command: Sequence[str], env: Mapping[str, str], stdout: int | None = None
) -> tuple[int, str]:
    """Run a command: its status, and what it printed if ``stdout`` is a pipe. Whoever takes longer
    than MINUTES is killed, with all that it has started.

    The folders of its tests (tmp_path) are its own: pytest prunes those of earlier runs when it
    ends, and runs side by side that share them trip over each other. They stay if it fails."""
    folders = tempfile.mkdtemp(prefix="nano-")
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env={**env, "PYTEST_DEBUG_TEMPROOT": folders},
        stdout=stdout,
        stderr=subprocess.STDOUT if stdout else None,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            output = process.communicate(timeout=60 * MINUTES)[0]
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output = (process.communicate()[0] or "") + f"\nkilled after {MINUTES} minutes\n"
        except KeyboardInterrupt:
            os.killpg(process.pid, signal.SIGINT)
            raise
    if process.returncode == 0:
        shutil.rmtree(folders, ignore_errors=True)
    return process.returncode, output or ""


def task_modules() -> list[str]:
    """The tasks of examples/, as `python -m` takes them."""
    return [f"examples.{path.stem}" for path in sorted((ROOT / "examples").glob("task[0-9]*.py"))]


@nox.session
def demo(session: nox.Session) -> None:
    """From a PyTorch model to the same bytes on two boards, with real digits."""
    session.run(PYTHON, "-m", "examples.task06_digits", "--banner=demo", *session.posargs)


@nox.session
def tasks(session: nox.Session) -> None:
    """The tasks of examples/, whole: nox -s tasks, or nox -s tasks -- 08 --record for one."""
    chosen = [argument for argument in session.posargs if argument.isdigit()]
    options = [argument for argument in session.posargs if argument not in chosen]
    for module in task_modules():
        if not chosen or any(f".task{number}" in module for number in chosen):
            session.run(PYTHON, "-m", module, *options)


@nox.session
def transfer(session: nox.Session) -> None:
    """New digits learned on the boards, and the same bytes everywhere: nox -s transfer."""
    session.run(PYTHON, "-m", "examples.transfer", *session.posargs)


@nox.session
def test(session: nox.Session) -> None:
    """All that CI runs: checks of the sources, tests of C and Python, boards, docs, the wheel."""
    for name in (
        "quick",
        "static",
        "firmware",
        "ctest",
        "fuzz",
        "unit",
        "mutate",
        "together",
    ):
        session.notify(name)


@nox.session
def quick(session: nox.Session) -> None:
    """What needs little more than one core each, side by side: lint, gate, docs, package."""
    others = {name: ("-m", "nox", "-s", name) for name in ("lint", "package", "docs")}
    side_by_side(session, {**GATES, **others})


@nox.session
def lint(session: nox.Session) -> None:
    """Formatting, lint and types, in Python, C and shell."""
    session.run(PYTHON, "-m", "ruff", "format", "--check", ".")
    session.run(PYTHON, "-m", "ruff", "check", ".")
    session.run(PYTHON, "-m", "mypy")
    session.run("clang-format", "--dry-run", "-Werror", *tracked(*C_SOURCES), external=True)
    session.run("shellcheck", "dev", ".ci/run", external=True)


@nox.session
def static(session: nox.Session) -> None:
    """clang-tidy, gcc -fanalyzer, cppcheck and bandit: no finding, or a reason at its place."""
    session.run(PYTHON, "tests/static.py", *session.posargs)


@nox.session
def firmware(session: nox.Session) -> None:
    """The committed default model as firmware, for every board."""
    boards = [*EMULATED, "esp32"]
    runs = {name: ("-m", "platformio", "run", "-e", name) for name in boards}
    side_by_side(session, runs)


@nox.session
def ctest(session: nox.Session) -> None:
    """The C unit tests, on the host under sanitizers and on the emulated STM32; the branches that
    they take."""
    tests = ("-m", "platformio", "test", "-e")
    own = [word for suite in ("format", *NOT_MUTATED) for word in ("-f", f"test_{suite}")]
    runs = {
        "stm32": (*tests, "stm32"),
        # compiled for the session mutate, which begins with them
        "under sanitizers": ("-m", "tests.mutate", "--prepare"),
        "native": (*tests, "native", *own),
        "branches": ("tests/branches.py", "suites"),
    }
    side_by_side(session, runs)


@nox.session
def fuzz(session: nox.Session) -> None:
    """Every reader of bytes from outside, fuzzed: 20 s a harness, or -- --seconds 3600 [NAME]."""
    session.run(PYTHON, "-m", "tests.fuzz", *session.posargs)


@nox.session
def unit(session: nox.Session) -> None:
    """The Python tests: differential, property and end-to-end."""
    pytest(session, "-q", *TWO_WORKERS, "-m", "not slow", *session.posargs)


@nox.session
def mutate(session: nox.Session) -> None:
    """40 mutants, drawn by the commit: do the tests kill them? -- --all tries every one."""
    session.run(PYTHON, "-m", "tests.mutate", *session.posargs)


@nox.session
def notebooks(session: nox.Session) -> None:
    """The notebooks of examples/, from first cell to last; `-- --record [01 ...]` keeps outputs."""
    if "--record" in session.posargs:
        numbers = [argument for argument in session.posargs if argument != "--record"]
        session.run(PYTHON, "-m", "examples.notebooks", *numbers)
        return
    side_by_side(session, notebook_runs(session.posargs))


def notebook_runs(posargs: Sequence[str] = ()) -> dict[str, Sequence[str]]:
    """A run for each notebook. A cell may take 120 s. pytest-embedded wants every test to be a
    function, which these are not."""
    options = ("-q", "-p", "no:pytest_embedded", "--nbmake", "--nbmake-timeout=120")
    command = ("-m", "pytest", *NO_HANGING, *options, *posargs)
    return {Path(name).stem: (*command, name) for name in tracked("examples/*.ipynb")}


@nox.session(name="tasks-short")
def tasks_short(session: nox.Session) -> None:
    """The tasks, and learning on the board, with little training: the path, not the figures."""
    side_by_side(session, task_runs())


def task_runs(*, by_hand: bool = False) -> dict[str, Sequence[str]]:
    """A run for each task that CI tries, or for each of the others."""
    modules = [*task_modules(), "examples.transfer"]
    chosen = [m for m in modules if m.startswith(TASKS_BY_HAND) == by_hand]
    return {name: ("-m", name, "--short") for name in chosen}


@nox.session
def together(session: nox.Session) -> None:
    """hil, tasks-short and notebooks, all their runs side by side: many of them wait for a line."""
    side_by_side(session, {**hil_runs(), **task_runs(), **notebook_runs()}, TOGETHER)


@nox.session
def hil(session: nox.Session) -> None:
    """test_hil, on native and on every emulated board, or with --port=… --board=… on a real one."""
    if any(argument.startswith("--board") for argument in session.posargs):
        pytest(session, "test_hil", "-m", "not slow", *session.posargs)
        return
    side_by_side(session, hil_runs(session.posargs), TOGETHER)


def hil_runs(posargs: Sequence[str] = ()) -> dict[str, Sequence[str]]:
    """A run for each emulated board, two for those that run all."""
    command = ("-m", "pytest", *NO_HANGING, "-m", "not slow", *posargs)
    runs: dict[str, Sequence[str]] = {}
    for board, tests in EMULATED.items():
        run = (*command, f"--board={board}")
        if tests == ("test_hil",):
            if board not in HALF_BY_HAND:
                runs[f"{board}, tasks"] = (*run, *HALF)
            runs[board] = (*run, *tests, *(f"--ignore={file}" for file in HALF))
        else:
            runs[board] = (*run, *tests)
    flash = ("--board=esp32_bare", "--weights=flash", *BYTES_AND_TICKS)
    runs["esp32_bare, weights in flash"] = (*command, *flash)
    return runs


@nox.session
def bench(session: nox.Session) -> None:
    """Six models and single layers on the emulated boards, against what bench/ has recorded."""
    session.run(PYTHON, "-m", "bench.record", *session.posargs)
    session.run(PYTHON, "-m", "bench.layers", *session.posargs)
    for module in ("bench.training", "bench.front_ends", "bench.pie"):
        session.run(PYTHON, "-m", module, *{"--record"}.intersection(session.posargs))


@nox.session
def gate(session: nox.Session) -> None:
    """The quick part of bench: nothing may have become slower or larger on Cortex-M."""
    side_by_side(session, GATES)


@nox.session
def full(session: nox.Session) -> None:
    """What takes longer than CI has: slow tests, many more random examples, the tasks on every
    board, coverage."""
    examples = os.environ.get("NANO_EXAMPLES", "20")
    pytest(session, *TWO_WORKERS, *session.posargs, NANO_EXAMPLES=examples)
    for board in HALF_BY_HAND:
        pytest(session, *HALF, f"--board={board}", "-m", "not slow")
    side_by_side(session, task_runs(by_hand=True))
    session.run(PYTHON, "-m", "platformio", "test", "-e", "native", env=PLATFORMIO)
    session.notify("coverage")


@nox.session
def coverage(session: nox.Session) -> None:
    """Branches that the tests take: C at least 97 %, nanotool at least 90 %."""
    session.run(PYTHON, "tests/branches.py", "c", *session.posargs)
    session.run(PYTHON, "tests/branches.py", "python", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """docs/ as a site, in build/site; a link that leads nowhere fails."""
    session.run(PYTHON, "-m", "mkdocs", "build", "--strict", "--clean", "--quiet")
    session.log("build/site/index.html")


@nox.session
def package(session: nox.Session) -> None:
    """The wheel, with the C extension and the C sources inside: built, then used elsewhere."""
    shutil.rmtree(ROOT / "dist", ignore_errors=True)
    pip = (PYTHON, "-m", "pip", "--disable-pip-version-check", "--quiet")
    session.run(*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", "dist", ".")
    (wheel,) = (ROOT / "dist").glob("*.whl")
    with tempfile.TemporaryDirectory() as folder:
        session.run(*pip, "install", "--no-deps", "--target", f"{folder}/installed", str(wheel))
        nanotool, installed = (PYTHON, "-m", "nanotool"), {"PYTHONPATH": f"{folder}/installed"}
        with session.chdir(folder):
            session.run(PYTHON, "-c", INSTALLED, env=installed)
            session.run(*nanotool, "new", "app", "--kind", "cmake", env=installed)
            session.run(*nanotool, "export", "app/model", "-o", "exported", env=installed)
    session.log(f"dist/{wheel.name} works where it is installed")
