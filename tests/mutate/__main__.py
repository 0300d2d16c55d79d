"""Mutants: do the tests notice when the code is wrong?

    python -m tests.mutate                     40, drawn by the commit's hash; 3 minutes in all
    python -m tests.mutate --all [--only RE]   all of them, in a random order; goes on where it was
    python -m tests.mutate --patch FILE ...    the changes of patches, each as one mutant
    python -m tests.mutate --key KEY           one of them again, with all that is said of it
    python -m tests.mutate --report            what --all has come to so far
    python -m tests.mutate --prepare           compile the C, run its suites under sanitizers, end

A mutant that lives is a fault, unless docs/trust.md lists its key and says why it may. A draw is a
sample, though: its faults are shown, and it fails where `too_few` are killed. Needs gcc and the
packages of ./dev. rooms.py says what is mutated, and which tests can kill what.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import re
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from . import c, rooms
from .mutant import ROOT, Mutant, Verdict

BUILD = ROOT / "build" / "mutate"
RESULTS = BUILD / "results.jsonl"
TRUST = ROOT / "docs" / "trust.md"
AT_ONCE = 2
# The share of kills that a draw needs. 40 are few: tests that kill 75 % of all are below it once in
# 3,000 draws, and every change would fail now and then with a bar near what they do kill.
# Of a draw's mutants this share should be killed; it fails where so few kills would come by chance
# once in a thousand draws.
EXPECTED_DRAWN, CHANCE = 0.6, 1e-3
SECONDS = 240  # that Python's tests of one mutant may take; who takes longer is killed
TO_CONFIRM = 20  # of a draw's seconds: to run the tests that killed without any mutant


class Server:
    """A process of server.py."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "tests.mutate.server"]
        storage = {"HYPOTHESIS_STORAGE_DIRECTORY": str(BUILD / "hypothesis")}
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", **storage},
        )

    def ask(self, job: Mapping[str, object]) -> dict[str, object]:
        """Run tests; see server.py."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        answer: dict[str, object] = json.loads(self.process.stdout.readline())
        return answer

    def close(self) -> None:
        """End it."""
        self.process.communicate()


class Examiner:
    """Tries mutants, one a thread."""

    def __init__(self) -> None:
        self.project = c.Project()
        self.local = threading.local()
        self.servers: list[Server] = []
        self.prepared = False
        self.lock = threading.Lock()

    def server(self) -> Server:
        """This thread's."""
        if not hasattr(self.local, "server"):
            self.local.server = Server()
            self.servers.append(self.local.server)
        server: Server = self.local.server
        return server

    def prepare_c(self) -> None:
        """The C side, when it is wanted first."""
        with self.lock:
            if not self.prepared:
                self.project.prepare()
                self.prepared = True

    def examine(self, mutant: Mutant, end: float) -> Verdict:
        """Whether any test kills it; "unfinished" where the time ``end`` comes first."""
        begin = time.monotonic()
        kind, by = self._examine(mutant, end)
        return Verdict(kind, by, time.monotonic() - begin)

    def _examine(self, mutant: Mutant, end: float) -> tuple[str, str]:
        in_c = {n: text for n, text in mutant.files.items() if n.endswith((".c", ".h"))}
        in_python = {n: text for n, text in mutant.files.items() if n.endswith(".py")}
        extension = None
        if in_c:
            self.prepare_c()
            work = BUILD / f"work-{threading.get_ident()}"
            outcome = c.examine(self.project, in_c, work)
            extension = outcome.extension
            if outcome.kind != "alive" and not (outcome.kind == "equivalent" and in_python):
                return outcome.kind, outcome.by
            if extension is None and not in_python and not rooms.killers(mutant.path):
                return "survived", ""
        tests = list(dict.fromkeys(test for name in mutant.files for test in rooms.killers(name)))
        left = end - time.monotonic()
        if left <= 0:
            return "unfinished", ""
        job = {
            "files": in_python,
            "extension": str(extension) if extension else None,
            "tests": tests,
            "seconds": min(SECONDS, left),
            "root": str(shadow(in_c, BUILD / f"tree-{threading.get_ident()}")) if in_c else None,
        }
        answer = self.server().ask(job)
        if answer["status"] == "timeout" and left < SECONDS:
            return "unfinished", ""
        return self._judge(answer, " ".join(tests))

    @staticmethod
    def _judge(answer: Mapping[str, object], tests: str) -> tuple[str, str]:
        """Kind and killer, of what the server answers."""
        status, failed = answer["status"], str(answer["failed"])
        if status == 0:
            return "survived", ""
        if status == "timeout" or (isinstance(status, int) and status < 0):
            return "killed", f"{'timeout' if status == 'timeout' else 'a signal'} in {tests}"
        if ".py" not in failed:  # an error of pytest's own is no kill
            return "untried", f"pytest ended with {status}: {failed}"
        return "killed", failed

    def confirm(self, verdicts: Iterable[Verdict], seconds: float) -> list[str]:
        """The tests that killed, but fail without any mutant as well; as far as time allows."""
        names = {v.by for v in verdicts if v.kind == "killed" and ".py::" in v.by}
        if not names:
            return []
        extension = str(c.BUILD / "_nano.abi3.so") if self.prepared else None
        job = {"extension": extension, "tests": sorted(names), "seconds": seconds}
        answer = self.server().ask({"files": {}, **job})
        return [] if answer["status"] in {0, "timeout"} else [str(answer["failed"])]

    def close(self) -> None:
        """End the servers."""
        for server in self.servers:
            server.close()


def shadow(files: Mapping[str, str], tree: Path) -> Path:
    """A tree of links to the repository, but for these files: for tests that compile from it."""
    shutil.rmtree(tree, ignore_errors=True)
    tree.mkdir(parents=True)
    folders = {parent for name in files for parent in Path(name).parents}
    for folder in sorted(folders, key=lambda path: len(path.parts)):
        (tree / folder).mkdir(exist_ok=True)
        for entry in (ROOT / folder).iterdir():
            inside = entry.relative_to(ROOT)
            if entry == ROOT / "build":  # this tree is in there: who follows links would not end
                continue
            if inside not in folders and inside.as_posix() not in files:
                (tree / inside).symlink_to(entry)
    for name, content in files.items():
        (tree / name).write_text(content)
    return tree


def excused() -> dict[str, str]:
    """The survivors that docs/trust.md lists: key -> its line."""
    lines = TRUST.read_text().splitlines() if TRUST.is_file() else []
    found = (re.match(r"- `([0-9a-f]{12})` (.*)", line) for line in lines)
    return {match[1]: match[2] for match in found if match}


def patched(path: Path) -> Mutant:
    """A patch (as `git diff` writes them) as a mutant."""
    text = path.read_text()
    names = re.findall(r"^\+\+\+ b/(\S+)", text, re.MULTILINE)
    folder = BUILD / "patch"
    subprocess.run(["rm", "-rf", str(folder)], check=True)
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text((ROOT / name).read_text())
    command = ["patch", "-p1", "-s", "-d", str(folder), "-i", str(path.resolve())]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0 or not names:
        raise SystemExit(f"{path} does not apply here: {done.stdout}{done.stderr}")
    files = {name: (folder / name).read_text() for name in names}
    return Mutant(names[0], (ROOT / names[0]).read_text(), (0, 0), path.name, "patch", files)


def said(mutant: Mutant, verdict: Verdict) -> str:
    """A mutant and what became of it, in lines."""
    before, after = mutant.lines
    head = f"{verdict.kind:<10} {mutant.key} {mutant.place}: {mutant.operator}"
    change = f"\n    - {before}\n    + {after}" if verdict.kind == "survived" else ""
    by = f" ({verdict.by})" if verdict.by else ""
    return f"{head}{by} [{verdict.seconds:.1f} s]{change}"


def tried(
    examiner: Examiner, chosen: Sequence[Mutant], end: float
) -> Iterator[tuple[Mutant, Verdict]]:
    """Each of the mutants and its verdict, AT_ONCE at a time, until the time ``end``."""

    def one(mutant: Mutant) -> tuple[Mutant, Verdict] | None:
        return (mutant, examiner.examine(mutant, end)) if time.monotonic() < end else None

    with ThreadPoolExecutor(AT_ONCE) as pool:
        for result in pool.map(one, chosen):
            if result is not None and result[1].kind != "unfinished":
                yield result


def killed_share(counts: Counter[str]) -> float:
    """The share of kills among the mutants that change anything; 1 if there are none."""
    lives = counts["survived"] + counts["excused"]
    tried = counts["killed"] + lives
    return counts["killed"] / tried if tried else 1.0


def too_few(counts: Counter[str]) -> bool:
    """Whether kills are fewer than a sample of tests that kill `EXPECTED_DRAWN` would have: by the
    binomial distribution."""
    killed = counts["killed"]
    tried = killed + counts["survived"] + counts["excused"]
    chances = (
        math.comb(tried, k) * EXPECTED_DRAWN**k * (1 - EXPECTED_DRAWN) ** (tried - k)
        for k in range(killed + 1)
    )
    return sum(chances) < CHANCE


def summary(counts: Counter[str]) -> str:
    """The figures."""
    lives = counts["survived"] + counts["excused"]
    share = 100 * killed_share(counts)
    return (
        f"{counts['killed']} killed, {lives} survived ({counts['excused']} of them listed), "
        f"{share:.1f} % killed; {counts['equivalent']} with the same machine code, "
        f"{counts['invalid']} that do not compile"
        + (f", {counts['untried']} that pytest could not try" if counts["untried"] else "")
    )


def run(
    chosen: Sequence[Mutant],
    minutes: float,
    keep: Path | None = None,
    *,
    verbose: bool,
    drawn: bool = False,
) -> int:
    """Try them; 1 if one survives that may not, or, of some that are ``drawn``, if `too_few` are
    killed."""
    excuses, counts, faults, verdicts = excused(), Counter[str](), 0, []
    examiner = Examiner()
    BUILD.mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + 60 * minutes
    to_confirm = TO_CONFIRM if drawn else 600
    try:
        for mutant, verdict in tried(examiner, chosen, end - TO_CONFIRM):
            listed = mutant.key in excuses
            fine = verdict.kind != "untried" and (verdict.kind != "survived" or listed)
            counts["excused" if fine and verdict.kind == "survived" else verdict.kind] += 1
            faults += not fine
            verdicts.append(verdict)
            if verbose or not fine:
                print(said(mutant, verdict), flush=True)
            if keep:
                row = {"key": mutant.key, "kind": verdict.kind, "by": verdict.by,
                       "place": mutant.place, "operator": mutant.operator,
                       "lines": mutant.lines, "seconds": round(verdict.seconds, 1)}  # fmt: skip
                with keep.open("a") as file:
                    file.write(json.dumps(row) + "\n")
        false = examiner.confirm(verdicts, to_confirm)
    finally:
        examiner.close()
    print(f"{len(verdicts)} of {len(chosen)} tried: {summary(counts)}")
    if false:
        print(f"fails without any mutant, too: {false[0]}")
    failed = too_few(counts) if drawn else faults > 0
    return int(failed or bool(false))


def report() -> int:
    """What is in RESULTS."""
    rows = [json.loads(line) for line in RESULTS.read_text().splitlines()]
    excuses = excused()
    for row in rows:
        if row["kind"] == "survived":
            mark = "listed   " if row["key"] in excuses else "survived "
            print(f"{mark}{row['key']} {row['place']}: {row['operator']}")
            print(f"    - {row['lines'][0]}\n    + {row['lines'][1]}")
    groups: dict[str, Counter[str]] = {"all": Counter()}
    for row in rows:
        kind = "excused" if row["kind"] == "survived" and row["key"] in excuses else row["kind"]
        room = "/".join(row["place"].split(":")[0].split("/")[:2])
        groups.setdefault(room, Counter())[kind] += 1
        groups["all"][kind] += 1
    for room, counts in sorted(groups.items()):
        print(f"{room:<24}{summary(counts)}")
    return 0


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--only", default="", metavar="RE", help="of these paths only")
    parser.add_argument("--patch", type=Path, nargs="+", default=[])
    parser.add_argument("--key", nargs="+", default=[])
    parser.add_argument("--report", action="store_true")
    parser.add_argument("--prepare", action="store_true")
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--seed", default="", help="draw by this text, not by the commit's hash")
    parser.add_argument("--minutes", type=float, help="stop then; what is not tried is no fault")
    arguments = parser.parse_args()
    if arguments.report:
        return report()
    BUILD.mkdir(parents=True, exist_ok=True)
    if arguments.prepare:
        project = c.Project()
        project.prepare()
        print(f"{len(project.suites)} suites pass under sanitizers: {', '.join(project.suites)}")
        return 0
    if arguments.patch:
        return run([patched(path) for path in arguments.patch], 1e6, verbose=True)
    known = [m for m in rooms.mutants() if re.search(arguments.only, m.path)]
    if arguments.key:
        return run([m for m in known if m.key in arguments.key], 1e6, verbose=True)
    if arguments.all:
        done = {json.loads(line)["key"] for line in RESULTS.read_text().splitlines()} if (
            RESULTS.is_file()) else set()  # fmt: skip
        random.Random(1).shuffle(known)
        rest = [mutant for mutant in known if mutant.key not in done]
        print(f"{len(known)} mutants, {len(rest)} to try")
        return run(rest, arguments.minutes or 1e6, RESULTS, verbose=False)
    head = ["git", "rev-parse", "HEAD"]
    commit = subprocess.run(head, cwd=ROOT, capture_output=True, text=True, check=False).stdout
    seed = arguments.seed or commit.strip()
    chosen = random.Random(seed).sample(known, min(arguments.count, len(known)))
    print(f"{len(chosen)} of {len(known)} mutants, drawn by {seed}")
    return run(chosen, arguments.minutes or 3, verbose=True, drawn=True)


if __name__ == "__main__":
    sys.exit(main())
