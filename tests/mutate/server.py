"""Runs Python tests with something changed, each time in a fork of a process that has the large
packages already: python -m tests.mutate.server, lines of JSON in, lines of JSON out.

in:  {"files": {path: content}, "extension": path or null, "tests": [...], "seconds": n}, and
     "root": a tree with a changed app, for the tests that compile it
out: {"status": pytest's, or "timeout"; "failed": the first failing test, or a line}
"""

from __future__ import annotations

import contextlib
import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import re
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parent.parent.parent
EXTENSION = "nanotool.runtime._nano"


class _Source(importlib.machinery.SourceFileLoader):
    """A module's changed source, at its place."""

    def __init__(self, name: str, path: str, content: str) -> None:
        super().__init__(name, path)
        self.content = content

    def get_code(self, fullname: str) -> object:  # type: ignore[override]
        """Compiled anew: no cached bytecode is of this source."""
        return compile(self.content, self.path, "exec", dont_inherit=True)


class _Finder(importlib.abc.MetaPathFinder):
    """Finds the changed modules before anyone else does."""

    def __init__(self, files: Mapping[str, str], extension: str | None) -> None:
        self.files, self.extension = files, extension

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """The spec of a changed module."""
        if fullname == EXTENSION and self.extension:
            loader = importlib.machinery.ExtensionFileLoader(fullname, self.extension)
            return importlib.util.spec_from_file_location(fullname, self.extension, loader=loader)
        stem = fullname.replace(".", "/")
        for name in (f"{stem}.py", f"{stem}/__init__.py"):
            if name in self.files:
                place = str(ROOT / name)
                inner = [str((ROOT / name).parent)] if name.endswith("__init__.py") else None
                return importlib.util.spec_from_file_location(
                    fullname, place, loader=_Source(fullname, place, self.files[name]),
                    submodule_search_locations=inner,
                )  # fmt: skip
        return None


def _child(job: Mapping[str, object], output: int) -> None:
    os.setsid()
    for descriptor in (1, 2):
        os.dup2(output, descriptor)
    files, tests = job["files"], job["tests"]
    assert isinstance(files, dict)
    assert isinstance(tests, list)
    extension = job.get("extension")
    sys.meta_path.insert(0, _Finder(files, str(extension) if extension else None))
    if job.get("root"):
        import app_in_process

        app_in_process.ROOT = Path(str(job["root"]))
    import pytest

    options = ["-x", "-q", "-rfE", "--tb=line", "-m", "not slow", "--hypothesis-seed=0"]
    options += ["-p", "no:cacheprovider", "-p", "no:pytest_embedded"]
    # pytest rewrites the modules of whoever brings a plugin, and would find them before _Finder
    options += ["--assert=plain"]
    status = pytest.main([*options, *tests])
    sys.stdout.flush()
    os._exit(int(status))


def run(job: Mapping[str, object]) -> dict[str, object]:
    """One job, in a process of its own."""
    with tempfile.TemporaryFile() as output:
        child = os.fork()
        if child == 0:
            try:
                _child(job, output.fileno())
            except BaseException:
                traceback.print_exc()
                os._exit(3)
        seconds = job["seconds"]
        assert isinstance(seconds, (int, float))
        end = time.monotonic() + seconds
        status: object = "timeout"
        while time.monotonic() < end:
            done, code = os.waitpid(child, os.WNOHANG)
            if done:
                status = os.waitstatus_to_exitcode(code)
                break
            time.sleep(0.02)
        else:
            try:
                os.killpg(child, signal.SIGKILL)
            except ProcessLookupError:  # it has not begun a group of its own yet
                os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        output.seek(0)
        text = output.read().decode(errors="replace")
    failed = re.findall(r"^(?:FAILED|ERROR) (\S+(?: [^-]\S*)*)", text, re.MULTILINE)
    return {"status": status, "failed": failed[0] if failed else text[-200:]}


def main() -> None:
    """Load what is large, then serve."""
    os.chdir(ROOT)
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    for name in ("numpy", "pytest", "hypothesis", "torch", "tflite", "PIL", "elftools.elf.elffile"):
        with contextlib.suppress(ImportError):
            __import__(name)
    sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "python")]
    for line in sys.stdin:
        answers.write(json.dumps(run(json.loads(line))) + "\n")


if __name__ == "__main__":
    main()
