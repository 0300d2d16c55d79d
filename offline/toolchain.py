"""What the stand-ins' builders share: a cross compiler from PATH instead of a package.

A new stand-in is a folder in platforms/ with platform.json, boards/*.json and builder/main.py, and
an entry in configure.py.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any


def use_toolchain(env: Any, prefix: str, package: str) -> None:
    """Have `env` (PlatformIO's SCons environment) build with the tools called PREFIXgcc and so on.

    Ends the build with a message that names the Debian `package` if there are none.
    """
    compiler = f"{prefix}gcc"
    if shutil.which(compiler, path=env["ENV"]["PATH"]) is None:
        sys.stderr.write(
            f"error: {compiler} is not on PATH. Install it: apt install {package} "
            f"(on other systems, the package that has {compiler}).\n"
        )
        env.Exit(1)
    env.Replace(
        AR=f"{prefix}gcc-ar",
        AS=f"{prefix}as",
        CC=compiler,
        CXX=f"{prefix}g++",
        GDB=f"{prefix}gdb",
        OBJCOPY=f"{prefix}objcopy",
        RANLIB=f"{prefix}gcc-ranlib",
        SIZETOOL=f"{prefix}size",
        ARFLAGS=["rcD"],
    )


def use_bare_board(env: Any) -> None:
    """Have `env` build firmware.elf without a C library, with the compiler that its options name
    and the linker script of its board."""
    use_toolchain(
        env,
        prefix=env.GetProjectOption("custom_toolchain"),
        package=env.GetProjectOption("custom_toolchain_package"),
    )
    board = Path(env.subst("$PROJECT_SRC_DIR")) / "boards" / env.GetProjectOption("custom_board")
    env.Append(
        ASPPFLAGS=["-x", "assembler-with-cpp"],
        LINKFLAGS=["-nostartfiles", "-nostdlib"],
        LIBS=["gcc"],
    )
    env.Replace(
        LDSCRIPT_PATH=str(board / "link.ld"),
        PROGNAME="firmware",
        PROGSUFFIX=".elf",
        SIZECHECKCMD="$SIZETOOL -A -d $SOURCES",
        SIZEPRINTCMD="$SIZETOOL -A -d $SOURCES",
        SIZEPROGREGEXP=r"^(?:\.text|\.rodata|\.data|\.weights)\s+(\d+).*",
        SIZEDATAREGEXP=r"^(?:\.data|\.bss|\.stack)\s+(\d+).*",
    )
