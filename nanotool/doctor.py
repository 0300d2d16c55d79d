"""What this computer lacks to build for a board and to talk to it, and the command that brings it.

Looks only: no check starts a build, opens a port or goes to the network.
"""

from __future__ import annotations

import getpass
import importlib.util
import os
import platform
import shlex
import shutil
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from nanotool import sources
from nanotool.boards import Board, attached_ports
from nanotool.errors import NanoError

# A board's compiler: the command, the Debian packages that bring it with its C headers, and
# PlatformIO's own package of it, which serves as well.
_ARM = ("arm-none-eabi-gcc", ("gcc-arm-none-eabi", "libnewlib-arm-none-eabi"))
_XTENSA = ("xtensa-lx106-elf-gcc", ("gcc-xtensa-lx106",))
COMPILERS: dict[str, tuple[str, tuple[str, ...], str]] = {
    "native": ("gcc", ("gcc", "libc6-dev"), ""),
    "stm32": (*_ARM, "toolchain-gccarmnoneeabi"),
    "microbit": (*_ARM, ""),
    "mps2_an385": (*_ARM, ""),
    "mps2_an386": (*_ARM, ""),
    "mps2_an500": (*_ARM, ""),
    "mps2_an505": (*_ARM, ""),
    "mps3_an547": (*_ARM, ""),
    "esp32": (*_XTENSA, "toolchain-xtensa-esp-elf"),
    "esp32_bare": (*_XTENSA, ""),
    "esp32s3": ("xtensa-esp32s3-elf-gcc", (), "toolchain-xtensa-esp-elf"),
    "esp32c3": ("riscv32-esp-elf-gcc", (), "toolchain-riscv32-esp"),
    "xtensa_sim": (*_XTENSA, ""),
    "xtensa_lx6": (*_XTENSA, ""),
    "riscv_virt": ("riscv64-unknown-elf-gcc", ("gcc-riscv64-unknown-elf",), ""),
}

# A real board's programmer: the command, its Debian package, PlatformIO's own package of it.
FLASHERS = {"stm32": ("openocd", "openocd", "tool-openocd")}


@dataclass(frozen=True, slots=True)
class Fix:
    """What brings a missing thing: a Debian package, a Python package, or a command."""

    kind: str  # "apt", "pip" or "run"
    what: str


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked for."""

    scope: str  # "nanotool" or a board's name
    what: str
    ok: bool
    found: str  # where or which version; when missing, what that means
    fixes: tuple[Fix, ...] = ()
    needed: bool = True  # False: only for something that not everybody does
    hint: str = ""  # the way out where it is no command

    @property
    def curable(self) -> bool:
        """Whether something can be done where it is missing."""
        return bool(self.fixes or self.hint)


def _stand_ins() -> bool:
    try:
        return (sources.project_dir() / "platformio_override.ini").is_file()
    except NanoError:
        return False


@dataclass(frozen=True, slots=True)
class Computer:
    """What the checks ask; a test gives its own."""

    which: Callable[[str], str | None] = shutil.which
    has_module: Callable[[str], bool] = lambda name: importlib.util.find_spec(name) is not None
    ports: Callable[[], Sequence[str]] = lambda: [port.device for port in attached_ports()]
    may_open: Callable[[str], bool] = lambda port: os.access(port, os.R_OK | os.W_OK)
    # Whether set-up has put the stand-ins of offline/ in the place of PlatformIO's platforms.
    stand_ins: Callable[[], bool] = _stand_ins
    platformio_packages: Path = (
        Path(os.environ.get("PLATFORMIO_CORE_DIR", "~/.platformio")).expanduser() / "packages"
    )


def examine(boards: Sequence[Board], computer: Computer | None = None) -> tuple[Check, ...]:
    """Every check for nanotool itself and for ``boards``."""
    computer = computer or Computer()
    checks = [
        _python(),
        _extension(computer),
        _sources(),
        _module(computer, "platformio", "PlatformIO", "builds firmware", "nanotool[build]"),
        _module(
            computer, "torch", "PyTorch", "only `nanotool quantize` needs it", "nanotool[torch]",
            needed=False,
        ),
        *_page_tools(computer),
        *_ports(computer),
    ]  # fmt: skip
    checks.append(
        _module(
            computer, "SCons", "SCons", "builds without PlatformIO's registry need it",
            "nanotool[build]", needed=computer.stand_ins(),
        )
    )  # fmt: skip
    if any(board.emulator.image_offset for board in boards):
        checks.append(_module(computer, "esptool", "esptool", "makes ESP32 images", "esptool"))
    for board in boards:
        checks += _board(board, computer)
    return tuple(checks)


def healthy(checks: Iterable[Check]) -> bool:
    """Whether all that is needed is there."""
    return all(check.ok for check in checks if check.needed)


def fixes(checks: Iterable[Check]) -> tuple[str, ...]:
    """The commands that bring everything needed that is missing: one for each way to install."""
    return _commands(check for check in checks if check.needed and not check.ok)


def advice(checks: Sequence[Check]) -> tuple[str, ...]:
    """Lines for people: what to run, or that nothing is missing."""
    lines = []
    if commands := fixes(checks):
        lines += ["", "Missing. Run:", *(f"  {command}" for command in commands)]
    else:
        lines += ["", "Everything that is needed is here."]
    optional: dict[
        str, list[str]
    ] = {}  # what can be done -> for which boards: they may lack the same
    for check in checks:
        if not check.ok and not check.needed and check.curable:
            way = check.hint or " && ".join(_commands([check]))
            scopes = optional.setdefault(f"{check.what} / {check.found}. {way}", [])
            scopes += [check.scope] if check.scope != "nanotool" else []
    for told, scopes in optional.items():
        what, _, rest = told.partition(" / ")
        boards = f", for {', '.join(scopes)}" if scopes else ""
        lines.append(f"Optional: {what}{boards}: {rest}")
    return tuple(lines)


def can_emulate(board: Board, computer: Computer | None = None) -> bool:
    """Whether the board's emulator is installed here."""
    return _emulator(board, computer or Computer()).ok


def _commands(missing: Iterable[Check]) -> tuple[str, ...]:
    wanted: dict[str, list[str]] = {"apt": [], "pip": [], "run": []}
    for check in missing:
        for fix in check.fixes:
            if fix.what not in wanted[fix.kind]:
                wanted[fix.kind].append(fix.what)
    commands = []
    if wanted["apt"]:
        sudo = "" if os.geteuid() == 0 else "sudo "
        commands.append(f"{sudo}apt-get install -y {' '.join(wanted['apt'])}")
    if wanted["pip"]:
        packages = " ".join(shlex.quote(name) for name in wanted["pip"])
        commands.append(f"{shlex.quote(sys.executable)} -m pip install {packages}")
    return (*commands, *wanted["run"])


# --- The checks -----------------------------------------------------------------------------------


def _python() -> Check:
    return Check("nanotool", "Python 3.10 or newer", True, platform.python_version())


def _extension(computer: Computer) -> Check:
    ok = computer.has_module("nanotool.runtime._nano")
    command = f"{shlex.quote(sys.executable)} -m nanotool.runtime.build"
    return Check(
        "nanotool",
        "C library in Python",
        ok,
        "compiled" if ok else "`nanotool.runtime` cannot run models",
        () if ok else (Fix("run", command),),
    )


def _sources() -> Check:
    try:
        return Check("nanotool", "C sources", True, str(sources.project_dir()))
    except NanoError as error:
        return Check("nanotool", "C sources", False, str(error))


def _module(
    computer: Computer, module: str, what: str, use: str, package: str, *, needed: bool = True
) -> Check:
    ok = computer.has_module(module)
    fix = () if ok else (Fix("pip", package),)
    return Check("nanotool", what, ok, "installed" if ok else use, fix, needed)


def _page_tools(computer: Computer) -> list[Check]:
    """What compiles a model for browsers."""
    checks = []
    for command, package in (("clang", "clang"), ("wasm-ld", "lld")):
        found = computer.which(command)
        fix = () if found else (Fix("apt", package),)
        use = "only `nanotool page` needs it"
        checks.append(Check("nanotool", command, bool(found), found or use, fix, needed=False))
    return checks


def _ports(computer: Computer) -> list[Check]:
    """Attached serial ports that this user may not open."""
    checks = []
    for port in computer.ports():
        ok = computer.may_open(port)
        command = f"sudo usermod -aG dialout {shlex.quote(getpass.getuser())}"
        checks.append(
            Check(
                "nanotool",
                f"access to {port}",
                ok,
                "yes" if ok else "no permission; log in again after the command",
                () if ok else (Fix("run", command),),
                needed=False,
            )
        )
    return checks


def _board(board: Board, computer: Computer) -> list[Check]:
    checks = [_compiler(board, computer), _emulator(board, computer)]
    return [*checks, _flasher(board, computer)] if board.name in FLASHERS else checks


def _compiler(board: Board, computer: Computer) -> Check:
    command, packages, own = COMPILERS[board.name]
    found = computer.which(command)
    if found is None and own and (computer.platformio_packages / own).is_dir():
        found = str(computer.platformio_packages / own)
    missing = "firmware cannot be built"
    if board.registry:
        missing = "PlatformIO brings it from its registry with the first build"
    return Check(
        board.name,
        f"compiler {command}",
        found is not None,
        found or missing,
        () if found else tuple(Fix("apt", package) for package in packages),
        needed=not board.registry,
    )


def _flasher(board: Board, computer: Computer) -> Check:
    """What writes a real board's flash; ESP32s take esptool, a Python package."""
    command, package, own = FLASHERS[board.name]
    found = computer.which(command)
    if found is None and (computer.platformio_packages / own).is_dir():
        found = str(computer.platformio_packages / own)
    return Check(
        board.name,
        f"flasher {command}",
        found is not None,
        found or "only `nanotool flash` needs it",
        () if found else (Fix("apt", package),),
        needed=False,
    )


def _emulator(board: Board, computer: Computer) -> Check:
    command = board.emulator.program()
    if board.emulator.variable:
        return _own_emulator(board, command, computer)
    if not command:
        return Check(board.name, "emulator", False, "there is none: a real board", needed=False)
    if command == "{elf}":
        return Check(board.name, "emulator", True, "none needed: it runs here")
    found = computer.which(command)
    return Check(
        board.name,
        f"emulator {command}",
        found is not None,
        found or "only a real board can run it",
        () if found else (Fix("apt", board.emulator.package),),
    )


def _own_emulator(board: Board, command: str, computer: Computer) -> Check:
    """An emulator that no package has: a variable names it."""
    variable = board.emulator.variable
    ok = bool(command) and computer.which(command) is not None
    missing = f"{variable} is not set" if not command else f"there is no {command}"
    hint = "Set it to Espressif's qemu-system-xtensa; without it only a real board runs firmware."
    return Check(
        board.name,
        f"emulator in {variable}",
        ok,
        command if ok else missing,
        needed=False,
        hint=hint,
    )
