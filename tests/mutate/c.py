"""Kill mutants of C: the unit tests first, under sanitizers; then Python tests of the extension.

Everything is compiled once into build/mutate/c; for a mutant only the sources that read a changed
file are compiled again, and only the suites are linked and run that they end up in. A mutant with
the same machine code as the original is none: no test could tell it.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sysconfig
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from .mutant import ROOT

BUILD = ROOT / "build" / "mutate" / "c"
SUITES = ROOT / "tests" / "c"
# They run machine code of boards, or need a part of their emulator.
NOT_HERE = {"test_stm32_flash", "test_xtensa_runtime"}
SANITIZE = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
INCLUDES = ("lib/nano/include", "lib/nano/src", "firmware", "firmware/app", "tests/c/fake")
TIMEOUT = 20  # seconds for a suite that takes one
AT_ONCE = 2
# As firmware/build.py renames the board's calls, so that a fake stands in.
CALLS = re.compile(r"\bboard_\w+(?= *\()")


@dataclass(frozen=True)
class Unit:
    """One source, as one of the programs compiles it."""

    source: Path
    flags: tuple[str, ...]
    object: Path  # in BUILD

    @property
    def depends(self) -> frozenset[str]:
        """The repository's files that it reads; known once it has been compiled."""
        text = self.object.with_suffix(".d").read_text().replace("\\\n", " ").split(":", 1)[1]
        # ccache writes paths relative to where the compiler ran: see _call().
        paths = (Path(os.path.normpath(ROOT / word)) for word in text.split())
        inside = (p.relative_to(ROOT) for p in paths if p.is_relative_to(ROOT))
        return frozenset(path.as_posix() for path in inside)


class Broken(Exception):
    """It does not compile or link."""


def _call(command: Sequence[str | Path], seconds: float = 600) -> None:
    done = subprocess.run(
        list(map(str, command)),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds,
    )
    if done.returncode != 0:
        raise Broken(done.stderr[-2000:])


def _flags(root: Path) -> list[str]:
    """Where headers are found: the changed ones first."""
    folders = [root / name for name in INCLUDES] if root != ROOT else []
    return [f"-I{folder}" for folder in (*folders, *(ROOT / name for name in INCLUDES))]


class Project:
    """The library, the app, the suites and the extension, compiled.

    ``flags``: for all of it, and for linking; ``sanitize``: for the suites, and for linking them.
    """

    def __init__(
        self,
        build: Path = BUILD,
        flags: Sequence[str] = ("-O1",),
        sanitize: Sequence[str] = ("-g", *SANITIZE),
    ) -> None:
        self.build, self.flags, self.sanitize = build, tuple(flags), tuple(sanitize)
        build.mkdir(parents=True, exist_ok=True)
        board = (ROOT / "firmware/board.h").read_text()
        calls = sorted(set(CALLS.findall(board)))
        renamed = tuple(f"-D{name}={name.replace('board_', 'fake_', 1)}" for name in calls)
        library = sorted((ROOT / "lib/nano/src").rglob("*.c"))
        app = sorted(p for p in (ROOT / "firmware/app").rglob("*.c") if p.name != "main.c")
        fake = sorted((ROOT / "tests/c/fake").glob("*.c"))
        self.parts = [self._unit(p, "suite") for p in library]
        self.parts += [self._unit(p, "suite", renamed) for p in (*app, *fake)]
        self.suites = {
            folder.name: [self._unit(p, "suite") for p in sorted(folder.glob("*.c"))]
            for folder in sorted(SUITES.glob("test_*"))
            if folder.is_dir() and folder.name not in NOT_HERE
        }
        self.extension = [self._unit(p, "extension") for p in library]

    def _unit(self, source: Path, kind: str, more: tuple[str, ...] = ()) -> Unit:
        name = source.relative_to(ROOT).as_posix().replace("/", "-")[:-2]
        flags = ("-std=c99", "-w", "-DNANO_SIMD_FALLBACK=1", "-fPIC", *self.flags, *more)
        flags += self.sanitize if kind == "suite" else ()
        return Unit(source, flags, self.build / f"{kind}-{name}.o")

    @cached_property
    def units(self) -> list[Unit]:
        """All of them."""
        own = [unit for suite in self.suites.values() for unit in suite]
        return [*self.extension, *self.parts, *own]

    def prepare(self) -> None:
        """Compile all, unless it is there; run every suite once: it must pass."""
        digest = hashlib.sha256(Path(__file__).read_bytes())
        rooms = ("lib/nano", "firmware", "tests/c", "nanotool/runtime")
        for path in sorted(p for room in rooms for p in (ROOT / room).rglob("*.[ch]")):
            if not path.name.startswith("_nano"):
                digest.update(path.as_posix().encode() + b"\0" + path.read_bytes())
        stamp = self.build / "stamp"
        if stamp.is_file() and stamp.read_text() == digest.hexdigest():
            return
        shutil.rmtree(self.build)
        self.build.mkdir()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(lambda unit: compile_unit(unit, ROOT, unit.object), self.units))
        self._extension_module()
        for name in self.suites:
            kept = run_suite(self.link_suite(name, {}, self.build / name))
            if kept:
                raise SystemExit(f"the suite {name} fails without any mutant: {kept}")
        self.link_extension({}, self.build / "_nano.abi3.so")
        stamp.write_text(digest.hexdigest())

    def _extension_module(self) -> None:
        """What Python sees of the library, and the C beside it: of no mutant's concern."""
        from nanotool.runtime import build as runtime

        generated = self.build / "_nano.c"
        runtime._builder().emit_c_code(str(generated))
        marker = f'-DNANOTOOL_FINGERPRINT="{runtime.fingerprint()}"'
        python = f"-I{sysconfig.get_paths()['include']}"
        own = [Path(runtime.HERE) / name for name in runtime.OWN_SOURCES]
        for source in (generated, *own):
            product = self.build / f"module-{source.stem}.o"
            here = f"-I{runtime.HERE}"
            flags = ["-O1", "-w", "-fPIC", "-DNANO_SIMD_FALLBACK=1", marker, python, here]
            _call(["gcc", *flags, *_flags(ROOT), "-c", source, "-o", product])

    def link_suite(self, name: str, changed: Mapping[Path, Path], product: Path) -> Path:
        """The program of a suite, with some objects in the place of others."""
        own = [changed.get(unit.object, unit.object) for unit in self.suites[name]]
        archive = product.with_suffix(".a")
        archive.unlink(missing_ok=True)
        parts = [changed.get(unit.object, unit.object) for unit in self.parts]
        _call(["ar", "rcT", archive, *parts])
        trace = f"-Wl,-Map={product}.map"
        _call(["gcc", *self.flags, *self.sanitize, *own, archive, "-o", product, trace])
        return product

    def link_extension(self, changed: Mapping[Path, Path], product: Path) -> Path:
        """The extension, with some objects in the place of others."""
        objects = [changed.get(unit.object, unit.object) for unit in self.extension]
        modules = sorted(self.build.glob("module-*.o"))
        _call(["gcc", "-shared", *self.flags, *modules, *objects, "-o", product])
        return product

    def users(self, units: Iterable[Unit]) -> list[str]:
        """The suites that any of these units is linked into."""
        names = {unit.object.name for unit in units}
        found = []
        for suite, own in self.suites.items():
            linked = (self.build / f"{suite}.map").read_text().split("\nDiscarded", 1)[0]
            if any(unit.object.name in names for unit in own) or any(n in linked for n in names):
                found.append(suite)
        return found


def compile_unit(unit: Unit, root: Path, product: Path) -> None:
    """Compile a source of ROOT, or its changed copy below ``root``."""
    source = root / unit.source.relative_to(ROOT)
    if not source.is_file():
        source = unit.source
    more = ["-MMD"] if product == unit.object else []
    _call(["gcc", *unit.flags, *more, *_flags(root), "-c", source, "-o", product])


def run_suite(program: Path) -> str:
    """What a suite failed with, or ""."""
    try:
        done = subprocess.run(
            [program],
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT,
            errors="replace",
        )
    except subprocess.TimeoutExpired:
        return "timeout"
    if done.returncode == 0 and "\nOK" in done.stdout:
        return ""
    failed = re.search(r"^\S+?:\d+:(\w+:FAIL.*)$|^(.*runtime error.*|.*ERROR: .*)$",
                       done.stdout + done.stderr, re.MULTILINE)  # fmt: skip
    return (failed[0] if failed else f"status {done.returncode}")[-160:]


@dataclass(frozen=True)
class Outcome:
    """What C alone says of a mutant."""

    kind: str  # killed, invalid, equivalent, or alive
    by: str
    extension: Path | None  # for Python's tests, if it is alive and changes the library


def _same(one: Path, two: Path) -> bool:
    """The same machine code and data, whatever the debug information says of lines."""
    stripped = []
    for path in (one, two):
        copy = path.with_suffix(".stripped")
        _call(["objcopy", "--strip-debug", "--remove-section=.comment", path, copy])
        stripped.append(copy.read_bytes())
        copy.unlink()
    return stripped[0] == stripped[1]


def examine(project: Project, files: Mapping[str, str], work: Path) -> Outcome:
    """Compile, compare, run the suites: what they say of changed files."""
    shutil.rmtree(work, ignore_errors=True)
    for path, content in files.items():
        (work / path).parent.mkdir(parents=True, exist_ok=True)
        # Headers named with quotes are looked for beside the source: it has its own folder's.
        (work / path).write_text(content)
    touched = [unit for unit in project.units if unit.depends & set(files)]
    changed: dict[Path, Path] = {}
    quick = [unit for unit in touched if unit.object.name.startswith("extension-")]
    try:
        for unit in quick:
            product = work / unit.object.name
            compile_unit(unit, _beside(unit, work), product)
            if not _same(unit.object, product):
                changed[unit.object] = product
        if quick and not changed and all(path.startswith("lib/") for path in files):
            return Outcome("equivalent", "", None)
        suite_units = [unit for unit in touched if unit not in quick]
        if quick:  # what is the same without the sanitizers is the same with them
            same = {u.source for u in quick if u.object not in changed}
            suite_units = [unit for unit in suite_units if unit.source not in same]
        for unit in suite_units:
            product = work / unit.object.name
            compile_unit(unit, _beside(unit, work), product)
            if quick or not _same(unit.object, product):
                changed[unit.object] = product
        if not changed:  # main.c is of no suite's program: Python's tests compile it
            return Outcome("equivalent" if touched else "alive", "", None)
        in_suites = [unit for unit in suite_units if unit.object in changed]
        for name in project.users(in_suites):
            failure = run_suite(project.link_suite(name, changed, work / name))
            if failure:
                return Outcome("killed", f"{name}: {failure}", None)
        in_extension = any(unit.object in changed for unit in quick)
        product = work / "_nano.abi3.so"
        return Outcome(
            "alive", "", project.link_extension(changed, product) if in_extension else None
        )
    except Broken as error:
        return Outcome("invalid", str(error)[-200:], None)
    except subprocess.TimeoutExpired:
        return Outcome("killed", "timeout of the compiler", None)


def _beside(unit: Unit, work: Path) -> Path:
    """``work`` with what the unit's source reads from its own folder: quotes look there first."""
    names = [unit.source.relative_to(ROOT).as_posix()]
    names += [name for name in unit.depends if name != names[0]]
    for name in names:
        target = work / name
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, target)
    return work
