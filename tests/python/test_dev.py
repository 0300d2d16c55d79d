"""./dev on a computer that lacks packages: what it says, and that it waits for another apt."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
HELD = "E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 7 (apt)"


def dev(folder: Path, session: str, apt: str) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """A copy of ./dev run as root where nothing but a shell's tools and an apt-get is found; and
    what apt-get was asked for. ``apt``: its script, in which $n is the number of the call."""
    tools = folder / "bin"
    tools.mkdir()
    for name in ("sh", "dirname", "sed", "head", "tail", "mktemp", "rm", "cat", "uname"):
        found = shutil.which(name)
        assert found is not None
        (tools / name).symlink_to(found)
    calls = folder / "calls"
    count = f'echo "$*" >>{calls}; n=0; while read -r _; do n=$((n + 1)); done <{calls}'
    python = f'exec {sys.executable} "$@"'
    for name, script in {
        "python3": python,
        "id": "echo 0",
        "sleep": ":",
        "apt-get": f"{count}; {apt}",
    }.items():
        (tools / name).write_text(f"#!/bin/sh\n{script}\n")
        (tools / name).chmod(0o755)
    shutil.copy(ROOT / "dev", folder)
    done = subprocess.run(
        [str(tools / "sh"), "dev", session],
        cwd=folder,
        env={"PATH": str(tools)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done, calls.read_text().splitlines()


def test_it_waits_for_another_apt_and_says_so(tmp_path: Path) -> None:
    apt = (
        f'if [ "$n" -lt 3 ]; then echo "{HELD}" >&2; exit 100; fi; echo "E: no such thing"; exit 1'
    )
    done, calls = dev(tmp_path, "demo", apt)
    assert len(calls) == 3 and all("DPkg::Lock::Timeout" in call for call in calls)
    assert done.stderr.count("Another apt is at work") == 1 and "process 7 (apt)" in done.stderr
    assert done.returncode == 1 and "E: no such thing" in done.stderr
    assert done.stdout.splitlines()[-1].startswith("DEMO FAILED: ")


def test_it_does_not_wait_for_ever(tmp_path: Path) -> None:
    done, calls = dev(tmp_path, "setup", f'echo "{HELD}" >&2; exit 100')
    assert done.returncode == 1 and 100 < len(calls) < 130
    assert "apt-get failed" in done.stderr and "DEMO" not in done.stdout
