"""How much of the code the tests run, branch by branch: a gate, and a list of what they leave out.

    python tests/branches.py suites         lib/nano and firmware/app by the C suites alone: gcov
    python tests/branches.py c              ... and by the Python tests of the kernels and the app
    python tests/branches.py python         nanotool: coverage.py around all Python tests
    python tests/branches.py c --missing    and the branches that no test takes

`suites` takes seconds and is part of CI; the others are run by hand. A branch that only guards
against the impossible says so at its line, with "unreachable:" in a comment and the reason, and is
not counted.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "coverage"
LEAST = {"lib/nano": 97.0, "firmware/app": 97.0, "nanotool": 90.0}  # % of branches
# By the C suites alone, of the files that they reach: kernels of other targets have no suite.
LEAST_OF_SUITES = {"lib/nano": 88.0, "firmware/app": 91.0}
# What is inlined by force is counted once, not once a caller: with the number of rows a constant, a
# copy has branches that it never takes.
COUNTING = ("-O0", "--coverage", "-fprofile-update=atomic", "-Dalways_inline=noinline")
AT_ONCE = 2
MARK = re.compile(r"unreachable:")
# Runs pytest with the extension that counts, which then writes its counts as it ends.
RUN = """
import sys
from tests.mutate.server import _Finder
sys.meta_path.insert(0, _Finder({}, sys.argv[1]))
sys.path[:0] = ["tests", "tests/python"]
import app_in_process
plain = app_in_process.compile_sources
from tests.branches import COUNTING as counting
app_in_process.compile_sources = lambda *words, **more: plain(*words, *counting, **more)
import pytest
options = ["-q", "-x", "--assert=plain", "-m", "not slow", "-p", "no:cacheprovider"]
sys.exit(pytest.main([*options, *sys.argv[2:]]))
"""

Branch = tuple[str, int, int]  # file, line, number


def run_suites() -> Path:
    """Compile with counters, run the C suites; the folder of the counts."""
    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
    from mutate.c import Project, compile_unit

    shutil.rmtree(BUILD / "suites", ignore_errors=True)
    project = Project(BUILD / "suites", COUNTING, ())
    units = [*project.parts, *(unit for suite in project.suites.values() for unit in suite)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda unit: compile_unit(unit, ROOT, unit.object), units))
    for name in project.suites:
        program = project.link_suite(name, {}, project.build / name)
        subprocess.run([program], check=True, capture_output=True)
    return project.build


def run_c() -> Path:
    """Compile with counters, run everything; the folder of the counts."""
    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
    from mutate.c import Project
    from mutate.rooms import killers

    project = Project(BUILD / "c", COUNTING, ())
    for old in project.build.glob("*.gcda"):
        old.unlink()
    project.prepare()
    for name in project.suites:
        subprocess.run([project.build / name], check=True, capture_output=True)
    sources = [
        p for room in ("lib/nano/src", "firmware/app") for p in (ROOT / room).rglob("*.[ch]")
    ]
    files = sorted({t for p in sources for t in killers(p.relative_to(ROOT).as_posix())})
    files.append(f"--basetemp={project.build / 'tests'}")  # where the app's counts will lie
    extension = str(project.build / "_nano.abi3.so")
    command = [sys.executable, "-c", RUN, extension, *files]
    subprocess.run(command, cwd=ROOT, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    return project.build


def counts(folder: Path) -> dict[Branch, int]:
    """How often each branch was taken, in all objects together."""
    taken: dict[Branch, int] = defaultdict(int)
    for data in sorted(folder.rglob("*.gcno")):
        command = ["gcov", "--json-format", "--stdout", "--branch-probabilities", str(data)]
        done = subprocess.run(command, cwd=data.parent, capture_output=True, check=True)
        text = gzip.decompress(done.stdout) if done.stdout[:2] == b"\x1f\x8b" else done.stdout
        for line in text.splitlines():
            for file in json.loads(line)["files"]:
                path = Path(os.path.normpath(data.parent / file["file"]))
                if path.is_relative_to(ROOT):
                    _add(taken, path.relative_to(ROOT).as_posix(), file["lines"])
    return taken


def _add(taken: dict[Branch, int], name: str, lines: list[dict[str, object]]) -> None:
    if not name.startswith(("lib/nano/", "firmware/app/")):
        return
    seen: Counter[int] = Counter()  # a line of an inline function comes once a caller
    for line in lines:
        number = line["line_number"]
        branches = line["branches"]
        assert isinstance(number, int)
        assert isinstance(branches, list)
        for i, branch in enumerate(branches):
            taken[name, number, i] += branch["count"]
        seen[number] += 1


def unreachable() -> set[tuple[str, int]]:
    """The lines that say so."""
    found = set()
    for room in ("lib/nano", "firmware/app"):
        for path in (ROOT / room).rglob("*.[ch]"):
            for number, line in enumerate(path.read_text().splitlines(), start=1):
                if MARK.search(line):
                    name = path.relative_to(ROOT).as_posix()
                    # A comment of its own is about the line that follows.
                    found.add((name, number + line.strip().startswith("/*")))
    return found


def report(taken: dict[Branch, int], least: dict[str, float], *, missing: bool) -> int:
    """Print the shares; 1 if one is below ``least``."""
    without = unreachable()
    rooms: dict[str, list[int]] = {"lib/nano": [], "firmware/app": []}
    files: dict[str, list[int]] = defaultdict(list)
    for (name, line, _), count in taken.items():
        if (name, line) not in without:
            room = "lib/nano" if name.startswith("lib/") else "firmware/app"
            rooms[room].append(count)
            files[name].append(count)
    if missing:
        for (name, line, number), count in sorted(taken.items()):
            if count == 0 and (name, line) not in without:
                text = (ROOT / name).read_text().splitlines()[line - 1].strip()
                print(f"{name}:{line} branch {number}: {text}")
    for name, found in sorted(files.items(), key=lambda item: -item[1].count(0)):
        if 0 in found:
            print(f"{100 * share(found):6.1f} %  {found.count(0):4} of {len(found):5}  {name}")
    return _gate({room: 100 * share(found) for room, found in rooms.items()}, least)


def share(found: list[int]) -> float:
    """Of counts those above 0."""
    return 1 - found.count(0) / max(1, len(found))


def _gate(shares: dict[str, float], least: dict[str, float]) -> int:
    for room, value in shares.items():
        print(f"{room}: {value:.1f} % of the branches (at least {least[room]:.0f})")
    return int(any(value < least[room] for room, value in shares.items()))


def run_python(*, missing: bool) -> int:
    """Run the tests under coverage.py, the programs that they start as well."""
    data = BUILD / "python" / "data"
    data.parent.mkdir(parents=True, exist_ok=True)
    settings = data.with_name("settings")
    settings.write_text(
        "[run]\nbranch = true\nsource = nanotool\nparallel = true\npatch = subprocess\n"
        f"data_file = {data}\n"
        "[report]\nexclude_also =\n    if TYPE_CHECKING:\n    raise NotImplementedError\n"
    )
    coverage = [sys.executable, "-m", "coverage"]
    option = f"--rcfile={settings}"
    tests = ["-m", "pytest", "-q", "-n", "2", "--dist", "worksteal", "-m", "not slow"]
    subprocess.run([*coverage, "erase", option], cwd=ROOT, check=True)
    subprocess.run([*coverage, "run", option, *tests], cwd=ROOT, check=True)
    subprocess.run([*coverage, "combine", "-q", option], cwd=ROOT, check=True)
    out = data.with_name("report.json")
    subprocess.run([*coverage, "json", "-q", option, "-o", str(out)], cwd=ROOT, check=True)
    content = json.loads(out.read_text())
    for name, file in sorted(content["files"].items(), key=lambda f: -gaps(f[1])):
        if gaps(file):
            of = file["summary"]["num_branches"]
            print(f"{gaps(file):4} of {of:5} branches not taken  {name}")
            if missing:
                print(f"      {file['missing_branches']}")
    totals = content["totals"]
    return _gate({"nanotool": 100 * totals["covered_branches"] / totals["num_branches"]}, LEAST)


def gaps(file: Any) -> int:
    """Branches of a file that were not taken."""
    return int(file["summary"]["missing_branches"])


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("what", choices=("suites", "c", "python"))
    parser.add_argument("--missing", action="store_true")
    arguments = parser.parse_args()
    if arguments.what == "suites":
        taken = counts(run_suites())
        begun = {name for (name, *_), count in taken.items() if count > 0}
        taken = {branch: count for branch, count in taken.items() if branch[0] in begun}
        return report(taken, LEAST_OF_SUITES, missing=arguments.missing)
    if arguments.what == "c":
        return report(counts(run_c()), LEAST, missing=arguments.missing)
    return run_python(missing=arguments.missing)


if __name__ == "__main__":
    sys.exit(main())
