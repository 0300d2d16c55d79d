"""Fuzzing: bytes from outside, grown by coverage, into everything that reads some.

    python -m tests.fuzz [NAME ...] [--seconds 20]      all harnesses, two at once
    python -m tests.fuzz NAME --input FILE              one input, as a finding left it

A harness is one file, found by its name: harnesses/NAME.c (c/fuzz.h says what it has; libFuzzer,
under ASan and UBSan) or harnesses/NAME.py (python.py says; atheris where it is installed). It
begins with the inputs in corpus/NAME/, small ones, and with what earlier runs in this checkout
found to lead somewhere new. A finding ends its harness, and stays in build/fuzz/findings/.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BUILD = ROOT / "build" / "fuzz"
FINDINGS = BUILD / "findings"
AT_ONCE = 2
CC = "clang"
SANITIZE = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
INCLUDES = ("tests/fuzz/c", "tests/c/fake", "firmware", "firmware/app", "lib/nano/include")
FLAGS = ["-std=gnu99", "-g", "-O1", *(f"-I{folder}" for folder in INCLUDES), *SANITIZE]
NO_LINK = "-fsanitize=fuzzer-no-link"  # counters of the branches, for whatever is linked
# Of the fake board's calls the harness of the whole app has its own; the others get these.
LINE = ["-Dboard_getc=fake_getc", "-Dboard_putc=fake_putc"]
# The app's and its board's variables, where power_on.c finds them.
SECTIONS = [f"--rename-section=.{n}=app_{n},alloc,load,data,contents" for n in ("data", "bss")]
INPUT_LIMITS = ["-timeout=20", "-rss_limit_mb=2048"]  # seconds and memory that one input may take


@dataclass(frozen=True)
class Outcome:
    """What a run of one harness came to."""

    name: str
    status: int
    runs: int  # inputs tried
    edges: int  # branches of the code that some input has taken
    seconds: float
    output: str

    def line(self) -> str:
        """The run in a line."""
        found = "no finding" if self.status == 0 else f"FINDING (status {self.status})"
        return (
            f"{self.name:<16}{self.runs:>12,} inputs{self.edges:>8,} edges"
            f"{self.seconds:>7.0f} s   {found}"
        )


def harnesses() -> dict[str, Path]:
    """All of them, by name."""
    files = [*(HERE / "harnesses").glob("*.c"), *(HERE / "harnesses").glob("*.py")]
    return {path.stem: path for path in sorted(files) if path.stem != "__init__"}


# --- C --------------------------------------------------------------------------------------------


def app_sources() -> list[Path]:
    """What a power-on puts back: the app and the board of its unit tests, without their model."""
    fake = [path for path in (ROOT / "tests/c/fake").glob("*.c") if "board" in path.name]
    return sorted([*(ROOT / "firmware/app").rglob("*.c"), *fake])


def call(command: Sequence[str | Path]) -> None:
    """Run a command of the build; its whole output where it fails."""
    done = subprocess.run(
        list(map(str, command)), cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")


def compile_one(source: Path, folder: Path) -> Path:
    """The instrumented object of a source."""
    product = folder / (source.relative_to(ROOT).as_posix().replace("/", "-")[:-2] + ".o")
    own = app_sources()
    names = ["-Dmain=fuzz_main"] if source.name == "main.c" and source in own else []
    names += LINE if source.parent.name == "fake" else []
    call([CC, *FLAGS, NO_LINK, *names, "-c", source, "-o", product])
    if source in own:
        call(["objcopy", *SECTIONS, product])
    return product


def archive() -> Path:
    """lib/nano, the app, its board and model, compiled unless they are there already."""
    sources = sorted([*(ROOT / "lib/nano/src").rglob("*.c"), *(HERE / "c").glob("*.c")])
    sources += app_sources()
    texts = [p for room in ("lib/nano", "firmware", "tests/c/fake", "tests/fuzz/c")
             for p in sorted((ROOT / room).rglob("*.[ch]"))]  # fmt: skip
    digest = hashlib.sha256(Path(__file__).read_bytes())
    for path in texts:
        digest.update(path.as_posix().encode() + b"\0" + path.read_bytes())
    product = BUILD / f"app-{digest.hexdigest()[:16]}.a"
    BUILD.mkdir(parents=True, exist_ok=True)
    with (BUILD / "lock").open("w") as lock:  # test_c_library links it, too
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not product.is_file():
            objects = BUILD / "objects"
            shutil.rmtree(objects, ignore_errors=True)
            objects.mkdir()
            with ThreadPoolExecutor(AT_ONCE) as pool:
                made = list(pool.map(lambda source: compile_one(source, objects), sources))
            for old in BUILD.glob("app-*.a"):
                old.unlink()
            call(["ar", "rcs", product, *made])
    return product


def program(harness: Path) -> list[str]:
    """The command of a harness, compiled if it is C."""
    if harness.suffix == ".py":
        return [sys.executable, "-m", "tests.fuzz.python", harness.stem]
    if not shutil.which(CC):
        raise SystemExit(f"{CC} is missing: apt install clang libclang-rt-dev")
    product = BUILD / harness.stem
    call([CC, *FLAGS, "-Wall", "-Wextra", "-fsanitize=fuzzer", harness, archive(), "-o", product])
    return [str(product)]


# --- Runs -----------------------------------------------------------------------------------------


def grown(name: str) -> Path:
    """The folder of the inputs that runs in this checkout have found."""
    folder = BUILD / "corpus" / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def options(harness: Path, seconds: int) -> list[str]:
    """libFuzzer's options, which atheris takes, too."""
    found = [f"-max_total_time={seconds}", "-print_final_stats=1", *INPUT_LIMITS]
    found += [f"-artifact_prefix={FINDINGS}/{harness.stem}-"]
    if harness.with_suffix(".dict").is_file():
        found.append(f"-dict={harness.with_suffix('.dict')}")
    corpus = HERE / "corpus" / harness.stem
    return [*found, str(grown(harness.stem)), *([str(corpus)] if corpus.is_dir() else [])]


def run(harness: Path, command: Sequence[str], arguments: Sequence[str]) -> Outcome:
    """Run a harness to its end."""
    begin = time.monotonic()
    done = subprocess.run(
        [*command, *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    executed = re.findall(r"number_of_executed_units:\s*(\d+)", done.stdout)
    edges = re.findall(r"\bcov: (\d+)", done.stdout)
    return Outcome(
        harness.stem,
        done.returncode,
        int(executed[-1]) if executed else 0,
        int(edges[-1]) if edges else 0,
        time.monotonic() - begin,
        done.stdout,
    )


def run_all(chosen: Sequence[Path], seconds: int) -> Iterator[Outcome]:
    """Build, then run the harnesses, AT_ONCE at a time; C first, for the archive they share."""
    commands = {path: program(path) for path in chosen}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield from pool.map(lambda path: run(path, commands[path], options(path, seconds)), chosen)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(harnesses())}")
    parser.add_argument("--seconds", type=int, default=20, help="for each harness")
    parser.add_argument("--input", type=Path, help="only this input, with all that is said of it")
    arguments = parser.parse_args()
    known = harnesses()
    unknown = [name for name in arguments.names if name not in known]
    if unknown or (arguments.input and len(arguments.names) != 1):
        parser.error(f"harnesses are {', '.join(known)}; --input wants one")
    chosen = [known[name] for name in arguments.names] or list(known.values())
    FINDINGS.mkdir(parents=True, exist_ok=True)
    if arguments.input:
        outcome = run(chosen[0], program(chosen[0]), [str(arguments.input)])
        print(outcome.output)
        return outcome.status
    failed = []
    for outcome in run_all(chosen, arguments.seconds):
        print(outcome.line(), flush=True)
        if outcome.status != 0 or outcome.runs == 0:
            failed.append(outcome)
    for outcome in failed:
        print(f"\n--- {outcome.name}\n{outcome.output[-8000:]}")
    if failed:
        print(f"The inputs are in {FINDINGS.relative_to(ROOT)}. One again: see --help")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
