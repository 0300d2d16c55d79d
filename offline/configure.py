"""Choose between PlatformIO's own platforms and the stand-ins in this folder.

    python offline/configure.py [--auto | --offline | --online] [--project FOLDER]

The stand-ins build the same firmware with compilers from PATH. They are for machines that cannot
reach PlatformIO's registry; --auto, the default, tries to for at most ten seconds. Their use is
written to platformio_override.ini beside platformio.ini; --online removes that file. A file of that
name that this program did not write is left alone.
"""

from __future__ import annotations

import argparse
import configparser
import importlib.util
import json
import os
import queue
import re
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
MARK = "; Written by offline/configure.py"
PATIENCE = 10.0  # s that the registry gets to answer
CORE_DIR = ".pio-offline"

# Environment of platformio.ini -> its platform in platforms/: a stand-in, or the only one there is.
PLATFORMS = {
    "native": "native",
    "stm32": "ststm32",
    "esp32": "esp32_bare",
    "esp32_bare": "esp32_bare",
    "xtensa_sim": "bare",
    "xtensa_lx6": "bare",
    "riscv_virt": "bare",
    "microbit": "bare",
    "mps2_an385": "bare",
    "mps2_an386": "bare",
    "mps2_an500": "bare",
    "mps2_an505": "bare",
    "mps3_an547": "bare",
}
MISSING = "unreachable"  # the platform of environments that only the registry can build
# Environments that become other ones: ESP-IDF comes only from the registry.
REPLACED = {"esp32": "esp32_bare"}


class ConfigureError(Exception):
    """What is wrong, and the way out."""


def registry_answers(hosts: Sequence[str], patience: float = PATIENCE) -> bool:
    """Does one of the registry's hosts speak to us within `patience` seconds?"""
    answers: queue.Queue[bool] = queue.Queue()

    def ask(host: str) -> None:
        try:
            with urllib.request.urlopen(f"https://api.{host}/v3/search", timeout=patience):
                answers.put(True)
        except urllib.error.HTTPError as error:
            answers.put(error.code < 500 and error.code not in (403, 407))  # a proxy refuses so
        except (OSError, ValueError):
            answers.put(False)

    # Daemons: a name server that keeps silent must not keep this program from ending.
    for host in hosts:
        threading.Thread(target=ask, args=(host,), daemon=True).start()
    end = time.monotonic() + patience
    try:
        return any(answers.get(timeout=max(0.0, end - time.monotonic())) for _ in hosts)
    except queue.Empty:
        return False


def scons_version() -> str:
    """The version of tool-scons that the installed PlatformIO asks for."""
    from platformio.dependencies import get_core_dependencies  # noqa: PLC0415  may be missing

    wanted = get_core_dependencies()["tool-scons"]
    match = re.search(r"\d+(\.\d+)+", wanted)
    if match is None:
        raise ConfigureError(f"PlatformIO wants tool-scons {wanted!r}: no version to stand in for.")
    return match.group(0)


def write_atomically(path: Path, text: str) -> None:
    """Write `text` to `path`, whole or not at all; an unchanged file keeps its time."""
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def make_scons_package(project: Path) -> Path:
    """The stand-in for tool-scons, with the version that this PlatformIO wants."""
    folder = project / CORE_DIR / "stand-ins" / "tool-scons"
    folder.mkdir(parents=True, exist_ok=True)
    manifest = {"name": "tool-scons", "version": scons_version(), "description": "SCons from pip"}
    write_atomically(folder / "package.json", json.dumps(manifest, indent=2) + "\n")
    script = (HERE / "tool-scons" / "scons.py").read_text(encoding="utf-8")
    write_atomically(folder / "scons.py", script)
    return folder


def replaced(project: Path, environment: str, by: str) -> list[str]:
    """Options that make `environment` what platformio.ini says of `by`, one a line: the latter's,
    and those that it does not have emptied. The platform is not among them."""
    project_file = configparser.ConfigParser(interpolation=None)
    project_file.read(project / "platformio.ini", encoding="utf-8")
    options = dict.fromkeys(project_file[f"env:{environment}"], "")
    options.update(project_file[f"env:{by}"])
    indented = {key: value.replace("\n", "\n    ") for key, value in options.items()}
    return [f"{key} = {value}".rstrip() for key, value in indented.items() if key != "platform"]


def stand_in(environment: configparser.SectionProxy) -> str:
    """The folder in platforms/ for an environment of platformio.ini: our own ones say their board,
    of others the computer's can be built."""
    if "custom_board" in environment:
        return PLATFORMS.get(environment.name.removeprefix("env:"), MISSING)
    named = re.split(r"[@\s]", environment.get("platform", ""))[0].rpartition("/")[2]
    return "native" if named == "native" else MISSING


def platform_of(project_file: configparser.ConfigParser, section: str) -> str:
    """The platform of a section of platformio.ini, its own or one that it extends."""
    options = project_file[section]
    if "platform" in options:
        return options["platform"]
    for base in re.split(r"[,\s]+", options.get("extends", "").strip()):
        if base in project_file and (found := platform_of(project_file, base)):
            return found
    return "This platform" if section.startswith("env:") else ""


def override(project: Path, scons: Path) -> str:
    """The text of platformio_override.ini."""
    project_file = configparser.ConfigParser(interpolation=None)
    project_file.read(project / "platformio.ini", encoding="utf-8")
    package = f"platformio/tool-scons@symlink://{scons}"
    lines = [
        f"{MARK}: its stand-ins replace the",
        "; platforms of PlatformIO's registry. python offline/configure.py --online removes it.",
        "",
        "[platformio]",
        f"core_dir = {project / CORE_DIR}",
    ]
    for section in project_file.sections():
        if not section.startswith("env:"):
            continue
        options, environment = project_file[section], section.removeprefix("env:")
        platform = stand_in(options)
        lines += [
            "",
            f"[{section}]",
            f"platform = symlink://{HERE / 'platforms' / platform}",
            f"platform_packages = {package}",
        ]
        if platform == MISSING:
            missing = platform_of(project_file, section)
            lines += ["framework =", f"custom_registry_platform = {missing}"]
        elif "custom_board" in options and environment in REPLACED:
            lines += replaced(project, environment, REPLACED[environment])
    return "\n".join(lines) + "\n"


def go_offline(project: Path) -> str:
    """Put the stand-ins in place; what to tell the user."""
    if importlib.util.find_spec("SCons") is None:
        raise ConfigureError(
            "The stand-ins need SCons in this Python. Install it: pip install 'scons>=4.8'."
        )
    write_atomically(
        project / "platformio_override.ini", override(project, make_scons_package(project))
    )
    return "PlatformIO uses the stand-ins of offline/ (platformio_override.ini)."


def go_online(project: Path) -> str:
    """Take the stand-ins away; what to tell the user."""
    (project / "platformio_override.ini").unlink(missing_ok=True)
    return "PlatformIO uses its registry's platforms."


def check_ours(project: Path) -> None:
    """Refuse to touch an override that somebody else wrote."""
    path = project / "platformio_override.ini"
    if path.is_file() and not path.read_text(encoding="utf-8", errors="replace").startswith(MARK):
        raise ConfigureError(
            f"{path} was not written by this program and is left alone. "
            f"Move it away to have one written."
        )


def configure(project: Path, mode: str) -> str:
    """Do what the command line asks; what to tell the user."""
    if not (project / "platformio.ini").is_file():
        raise ConfigureError(f"{project} holds no platformio.ini: name the project's folder.")
    check_ours(project)
    if mode == "auto":
        if importlib.util.find_spec("platformio") is None:
            raise ConfigureError(
                f"PlatformIO is not installed for {sys.executable}: pip install platformio."
            )
        from platformio import __registry_mirror_hosts__  # noqa: PLC0415  may be missing

        mode = "online" if registry_answers(__registry_mirror_hosts__) else "offline"
    return go_offline(project) if mode == "offline" else go_online(project)


def main() -> int:
    """Run as a program; the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    modes = parser.add_mutually_exclusive_group()
    for mode, text in (
        ("auto", "ask the registry, for at most 10 s (default)"),
        ("offline", "use the stand-ins"),
        ("online", "use the registry"),
    ):
        modes.add_argument(f"--{mode}", dest="mode", action="store_const", const=mode, help=text)
    parser.add_argument("--project", type=Path, default=HERE.parent, help="platformio.ini's folder")
    options = parser.parse_args()
    try:
        print(configure(options.project.resolve(), options.mode or "auto"))
    except (ConfigureError, OSError) as error:
        print(f"offline/configure.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
