"""Where the C library, the firmware and PlatformIO's project are.

In a checkout they are the tree's own; an installed wheel carries a copy as package data. They may
be read-only: nothing is ever written beside them.
"""

from __future__ import annotations

from pathlib import Path

from nanotool.errors import NanoError

_PACKAGE = Path(__file__).resolve().parent


def project_dir() -> Path:
    """The folder with platformio.ini, lib/ and firmware/."""
    for folder in (_PACKAGE.parent, _PACKAGE / "_sources"):
        if (folder / "platformio.ini").is_file() and (folder / "lib" / "nano").is_dir():
            return folder
    raise NanoError(
        f"The C sources are missing beside {_PACKAGE}.",
        "Install nanotool again, or work in a whole checkout.",
    )


def lib_dir() -> Path:
    """lib/nano: the C library, with include/ and src/."""
    return project_dir() / "lib" / "nano"


def firmware_dir() -> Path:
    """firmware/: the app, the boards, the default model."""
    return project_dir() / "firmware"


def default_model_dir() -> Path:
    """The committed model, a digits classifier, as exported."""
    return firmware_dir() / "models" / "default"


def in_checkout() -> bool:
    """Whether the sources are a checkout's own, not a wheel's copy."""
    return project_dir() == _PACKAGE.parent
