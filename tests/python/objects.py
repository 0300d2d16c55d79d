"""Object files: those of lib/nano, compiled once for all tests that want them alike, and those of
a program, one by one, so that a compiler's cache knows them again."""

from __future__ import annotations

import fcntl
import hashlib
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from nanotool.runtime.build import fingerprint, library_sources


def library_objects(command: Sequence[str], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """What ``command``, a compiler with its options, makes of the sources; other files and other
    workers of pytest-xdist find it made. Fails with the compiler's words."""
    sources = library_sources()
    key = hashlib.sha256(f"{fingerprint()} {' '.join(command)}".encode()).hexdigest()[:16]
    folder = tmp_path_factory.getbasetemp().parent / f"libnano-{key}"
    folder.mkdir(exist_ok=True)
    objects = [folder / f"{number}.o" for number in range(len(sources))]
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "done").exists():
            for source, product in zip(sources, objects, strict=True):
                call = [*command, "-c", str(source), "-o", str(product)]
                done = subprocess.run(call, capture_output=True, text=True, check=False)
                assert done.returncode == 0, done.stderr[:4000]
            (folder / "done").touch()
    return objects


def build_program(command: Sequence[str], target: Path) -> None:
    """What ``command``, a compiler with its options and sources, makes of them: ``target``."""
    sources = [word for word in command if word.endswith(".c")]
    options = [word for word in command if word not in sources]
    folder = target.with_name(f"{target.name}-objects")
    folder.mkdir()
    objects = [folder / f"{number}-{Path(name).stem}.o" for number, name in enumerate(sources)]
    for source, product in zip(sources, objects, strict=True):
        subprocess.run([*options, "-c", source, "-o", str(product)], check=True)
    subprocess.run([*options, *map(str, objects), "-o", str(target)], check=True)
