"""The static analyzers over C and Python: each finding is a fault, or has its reason where it is.

    python tests/static.py [NAME ...]      cppcheck clang-tidy gcc bandit; all of them by default

What they look for and what they may find stands in .cppcheck, .clang-tidy and pyproject.toml
([tool.bandit]); a line's own exception stands at the line (NOLINT, nosec), with its reason.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
AT_ONCE = 2
INCLUDES = ("lib/nano/include", "lib/nano/src", "firmware", "firmware/app", "firmware/boards")
# The app is analyzed with the model of the fuzzed one, which learns and listens; other targets'
# kernels as they run on a PC.
FLAGS = [f"-I{folder}" for folder in (*INCLUDES, "tests/fuzz/c")] + ["-DNANO_SIMD_FALLBACK=1"]
PACKAGES = {"cppcheck": "cppcheck", "clang-tidy": "clang-tidy", "gcc": "gcc"}  # of Debian


def sources() -> list[str]:
    """The C files of the library, the app and the boards that a PC's compiler can read."""
    rooms = ("lib/nano/src", "firmware/app", "firmware/boards/native")
    return sorted(str(p.relative_to(ROOT)) for room in rooms for p in (ROOT / room).rglob("*.c"))


def lanes(file: str) -> list[str]:
    """For the C forms of mve.h: gcc's walk ends before a vector's last lane is set. clang's does
    not, and the tests run them with what is unset made visible."""
    return ["-Wno-analyzer-use-of-uninitialized-value"] if file.endswith("_mve.c") else []


def commands() -> dict[str, list[list[str]]]:
    """The tools, and each one's command lines."""
    files = sources()
    cppcheck = ["cppcheck", "--std=c99", "--enable=warning,performance,portability", "--quiet"]
    cppcheck += ["--error-exitcode=1", "--suppressions-list=.cppcheck", "--inline-suppr", *FLAGS]
    tidy = ["clang-tidy", "--quiet"]
    # What it does for one file grows with the file: small parts leave neither core idle.
    parts = [files[i::8] for i in range(8)]
    gcc = ["gcc", "-std=c99", "-O1", "-Wall", "-Wextra", "-fanalyzer", "-Werror", *FLAGS]
    bandit = [sys.executable, "-m", "bandit", "-q", "-r", "-c", "pyproject.toml"]
    return {  # the longest first: whatever begins last is the tail in which a core is idle
        "cppcheck": [[*cppcheck, *files, "firmware/boards/common"]],
        "clang-tidy": [[*tidy, *part, "--", "-std=c99", *FLAGS] for part in parts],
        "gcc": [[*gcc, *lanes(file), "-c", "-o", os.devnull, file] for file in files],
        "bandit": [[*bandit, "nanotool", "firmware"]],
    }


def analyze(command: Sequence[str]) -> tuple[int, str]:
    """Status and findings of one command."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    # clang-tidy counts on stderr what it has not shown.
    noise = command[0] == "clang-tidy" and done.returncode == 0
    return done.returncode, done.stdout + ("" if noise else done.stderr)


def main(names: Sequence[str]) -> int:
    """Run the tools of these names, or all; 1 if any has a finding."""
    chosen = {name: runs for name, runs in commands().items() if not names or name in names}
    missing = [name for name in chosen if PACKAGES.get(name) and not shutil.which(name)]
    if missing:
        print(f"missing: apt install {' '.join(PACKAGES[name] for name in missing)}")
        return 1
    failed = False
    with ThreadPoolExecutor(AT_ONCE) as pool:
        runs = {name: [pool.submit(analyze, one) for one in chosen[name]] for name in chosen}
        for name, waiting in runs.items():
            outcomes = [one.result() for one in waiting]
            bad = [text for status, text in outcomes if status != 0 or text.strip()]
            print(*bad, f"{name}: {'FINDINGS' if bad else 'nothing found'}", sep="\n" * bool(bad))
            failed = failed or bool(bad)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
