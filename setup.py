"""The parts of the build that pyproject.toml cannot say: the C extension and the C sources.

A wheel carries lib/nano, firmware, offline, the project's files and the peers' figures under
nanotool/_sources, so that nanotool needs no checkout; a source distribution where they are.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

ROOT = Path(__file__).parent
SOURCES = (
    *("lib/nano", "firmware", "offline", "platformio.ini", "CMakeLists.txt", "partitions.csv"),
    "bench/peers.json",  # which `nanotool report` shows
    *(path.name for path in sorted(ROOT.glob("sdkconfig.defaults*"))),
)
IGNORED = shutil.ignore_patterns("__pycache__", "*.o", "*.pyc", ".*")


class BuildWithSources(build_py):
    """build_py, plus the C sources as package data."""

    def run(self) -> None:
        """Copy the sources beside the Python files; an editable install uses the tree's own."""
        super().run()
        if self.editable_mode:
            return
        target = Path(self.build_lib) / "nanotool" / "_sources"
        shutil.rmtree(target, ignore_errors=True)
        for name in SOURCES:
            source, copy = ROOT / name, target / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, copy, ignore=IGNORED)
            else:
                shutil.copy2(source, copy)


class SourcesToo(sdist):
    """sdist, plus the C sources."""

    def make_distribution(self) -> None:
        """Of what setuptools finds by itself, and `SOURCES`."""
        for name in SOURCES:
            every = (ROOT / name).rglob("*") if (ROOT / name).is_dir() else (ROOT / name,)
            for path in every:
                place = path.relative_to(ROOT)
                if path.is_file() and not _ignored(place):
                    self.filelist.append(str(place))
        self.filelist.sort()
        self.filelist.remove_duplicates()
        super().make_distribution()


def _ignored(place: Path) -> bool:
    parts = list(place.parts)
    return bool(set(parts) & IGNORED("", parts))


setup(
    cmdclass={"build_py": BuildWithSources, "sdist": SourcesToo},
    cffi_modules=["nanotool/runtime/build.py:ffibuilder"],
)
