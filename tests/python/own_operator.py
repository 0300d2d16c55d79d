"""examples/own_operator, built and installed as a user would, but for one test's time."""

from __future__ import annotations

import importlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from nanotool.ops import custom

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "own_operator"


def built(folder: Path) -> Path:
    """A folder of packages with the example's, which pip built from a copy in ``folder``."""
    source, site = folder / "source", folder / "site"
    shutil.copytree(EXAMPLE, source, ignore=shutil.ignore_patterns("build", "*.egg-info"))
    flags = ("-q", "--no-deps", "--no-build-isolation", "--no-index", "--no-compile")
    command = [sys.executable, "-m", "pip", "install", *flags, "--target", str(site), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return site


@contextmanager
def installed(site: Path) -> Iterator[None]:
    """With ``site`` among the folders of packages."""
    sys.path.insert(0, str(site))
    custom.installed.cache_clear()
    try:
        yield
    finally:
        sys.path.remove(str(site))
        custom.installed.cache_clear()


def example() -> ModuleType:
    """The example's module; its operators stay PyTorch's for good."""
    return importlib.import_module("snake_operator")
