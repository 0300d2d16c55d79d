"""SCons script of every environment in platformio.ini, run before the platform's own.

Adds what platformio.ini cannot say: the chosen model's sources, flags that compiler and linker
share, the smaller code for app and port, and what C tests are linked with.

    pio run    src_dir's app and port (build_src_filter), the model, lib/nano
    pio test   one suite, the port if the board is bare, and as an archive the app without main(),
               tests/c/fake being its model and its board

Linker scripts may include others by their place in boards/.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

from SCons.Script import COMMAND_LINE_TARGETS, DefaultEnvironment

# Any: the environment is PlatformIO's, which has no types.
env: Any = DefaultEnvironment()
project = Path(env.subst("$PROJECT_DIR")).resolve()
firmware = Path(env.subst("$PROJECT_SRC_DIR")).resolve()
fake = Path(env.subst("$PROJECT_TEST_DIR")).resolve() / "fake"
testing = "__test" in COMMAND_LINE_TARGETS
board = env.GetProjectOption("custom_board")
bare = (firmware / "boards" / board / "link.ld").is_file()

sys.path.insert(0, str(firmware))
from model_dir import NoModelError, resolve  # noqa: E402

SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
# In a suite the app's board is a fake: renamed, it stands beside the port that prints the results.
BOARD_CALLS = (
    *("init", "name", "core_hz", "getc", "putc", "flush", "ticks", "tick_source", "tick_hz"),
    *("micros", "memory", "image", "reset", "baud"),
    *("store", "store_read", "store_program", "store_erase"),
    *("waiting", "sensor_begin", "sensor_read", "sensor_end", "set_pin"),
)
TEST_STACK = 16384  # bytes on a bare board: suites keep tensors on the stack, firmware does not


def words(option: str) -> list[str]:
    """The value of a project option, split at blanks."""
    return str(env.GetProjectOption(option, "")).split()


def inside(node: Any, folder: Path) -> bool:
    """Does this source file lie in `folder`?"""
    return Path(node.srcnode().get_abspath()).resolve().is_relative_to(folder)


def small(environment: Any, node: Any) -> Any:
    """Compile app and port for size: nothing of them is inside an inference."""
    if not (inside(node, firmware / "app") or inside(node, firmware / "boards")):
        return node
    return environment.Object(node, CCFLAGS=[*environment["CCFLAGS"], "-Os"])


def faked(environment: Any, node: Any) -> Any:
    """Compile the app and the fakes with the board's calls renamed."""
    if not (inside(node, firmware / "app") or inside(node, fake)):
        return node
    renamed = [(f"board_{call}", f"fake_{call}") for call in BOARD_CALLS]
    return environment.Object(node, CPPDEFINES=[*environment.get("CPPDEFINES", []), *renamed])


def add_model(folder: Path) -> None:
    """Compile every C file of the model folder, and find its headers."""
    env.Append(CPPPATH=[str(folder)])
    env.BuildSources(str(Path("$BUILD_DIR") / "model"), str(folder))


def add_flags() -> None:
    """Flags for compiler and linker alike, and the linker's own."""
    machine = words("custom_machine_flags")
    env.Append(
        CPPPATH=[
            *(str(firmware), str(firmware / "boards")),
            str(project / "lib" / "nano" / "include"),
        ],
        CCFLAGS=machine,
        ASFLAGS=machine,
        LINKFLAGS=[*machine, *words("custom_link_flags"), f"-L{firmware / 'boards'}"],
    )
    # SCons does not read what a linker script includes.
    scripts = sorted(str(path) for path in (firmware / "boards").rglob("*.ld"))
    env.Depends("$BUILD_DIR/firmware.elf", scripts)
    if sys.platform != "darwin":
        env.Append(LINKFLAGS=["-Wl,--gc-sections", '-Wl,-Map="$BUILD_DIR/${PROGNAME}.map"'])


def add_test_parts() -> None:
    """What a suite may call. From the archive the linker takes only what it does call."""
    env.Append(CPPPATH=[str(firmware / "app"), str(fake)])
    env.AddBuildMiddleware(faked)
    for part, folder in (("app", firmware / "app"), ("fake", fake)):
        archive = Path("$BUILD_DIR") / part
        env.Append(LIBS=[env.BuildLibrary(str(archive), str(folder), "+<*> -<main.c>")])
    if bare:
        folders = re.findall(r"\+<boards/([^>]*)>", str(env.GetProjectOption("build_src_filter")))
        port = " ".join(["-<*>", *(f"+<{folder}>" for folder in folders)])
        env.BuildSources(str(Path("$BUILD_DIR") / "port"), str(firmware / "boards"), port)
        env.Append(CPPDEFINES=["CHECK_EMBEDDED"])
        env.Append(LINKFLAGS=[f"-Wl,--defsym=__stack_size={TEST_STACK}"])
    else:
        env.Append(CCFLAGS=SANITIZERS, LINKFLAGS=SANITIZERS)


def add_model_sources() -> None:
    """The chosen model, or one line that says what is wrong with it."""
    try:
        add_model(resolve(project, env.GetProjectOption("custom_model")))
    except NoModelError as error:
        sys.stderr.write(f"error: {error}\n")
        env.Exit(1)


def check_weights_place() -> None:
    """NANO_WEIGHTS is not passed over where a board leaves no choice: one line, and the end."""
    wanted = os.environ.get("NANO_WEIGHTS", "")
    if wanted not in {"", "flash"} and not env.GetProjectOption("custom_weights", ""):
        sys.stderr.write(f"error: NANO_WEIGHTS is {wanted!r}: {board} has its weights in flash.\n")
        env.Exit(1)


if "espidf" in env.get("PIOFRAMEWORK", []):
    pass  # CMakeLists.txt and firmware/CMakeLists.txt say it all
elif testing:
    add_flags()
    add_test_parts()
else:
    check_weights_place()
    add_flags()
    env.AddBuildMiddleware(small)
    add_model_sources()
