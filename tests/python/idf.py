"""A checkout of ESP-IDF, where there is one: its Kconfig, and its headers to compile against."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COMPILERS: Mapping[str, tuple[str, ...]] = {
    "xtensa": ("xtensa-lx106-elf-gcc", "-mlongcalls"),
    "riscv": ("riscv64-unknown-elf-gcc", "-march=rv32imc", "-mabi=ilp32"),
}
# What ESP-IDF's headers need of a C library, since none for these chips is here.
LIBC = {
    "assert.h": "#define assert(x) ((void)(x))\n#define static_assert _Static_assert\n",
    "inttypes.h": '#include <stdint.h>\n#define PRIu32 "u"\n',
    "reent.h": "struct _reent {\n    int _errno;\n};\n",
    "stdio.h": "#include <stddef.h>\ntypedef struct FILE FILE;\nint printf(const char *, ...);\n",
    "stdlib.h": "#include <stddef.h>\nvoid abort(void) __attribute__((noreturn));\n",
    "string.h": "#include <stddef.h>\n",
    "sys/cdefs.h": "",
    "sys/lock.h": "",
    "sys/param.h": "",
    "sys/queue.h": "",
    "sys/reent.h": "#include <reent.h>\n",
    "sys/types.h": "#include <stddef.h>\n",
}
XTENSA = ("esp32", "esp32s2", "esp32s3")


def architecture(chip: str) -> str:
    """Of ``chip``: xtensa or riscv."""
    return "xtensa" if chip in XTENSA else "riscv"


def kconfig(
    root: Path, defaults: Sequence[Path], folder: Path, env: Mapping[str, str]
) -> dict[str, object]:
    """Every symbol's value by Kconfig ``root`` and ``defaults``, and FOLDER/sdkconfig.h; whatever
    kconfgen says of unknown symbols or values is an error."""
    command = [sys.executable, "-m", "kconfgen", "--kconfig", str(root)]
    for path in defaults:
        command += ["--defaults", str(path)]
    for name, value in env.items():
        command += ["--env", f"{name}={value}"]
    command += ["--output", "json", str(folder / "sdkconfig.json")]
    command += ["--output", "header", str(folder / "sdkconfig.h")]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=folder, env={**os.environ, **env}
    )
    told = done.stdout + done.stderr
    names = {line.split("=")[0] for path in defaults for line in path.read_text().splitlines()}
    ours = {name.removeprefix("CONFIG_") for name in names if name.startswith("CONFIG_")}
    wrong = [line for line in told.splitlines() if any(name in line for name in ours)]
    assert done.returncode == 0, told
    assert not wrong, wrong
    values: dict[str, object] = json.loads((folder / "sdkconfig.json").read_text())
    return values


@dataclass(frozen=True)
class Idf:
    """ESP-IDF in ``path``, for one of its chips."""

    path: Path
    chip: str

    @cached_property
    def version(self) -> tuple[int, int]:
        """(5, 1)"""
        text = (self.path / "tools" / "cmake" / "version.cmake").read_text()
        major, minor = re.findall(r"IDF_VERSION_M\w+ (\d+)", text)
        return int(major), int(minor)

    def kconfig(self, defaults: Sequence[Path], folder: Path) -> dict[str, object]:
        """`kconfig` with the Kconfig of all components, and lib/nano's."""
        places = [*self.path.glob("components/*"), ROOT / "lib" / "nano"]
        env = {
            "IDF_PATH": str(self.path),
            "IDF_TARGET": self.chip,
            "IDF_TOOLCHAIN": "gcc",
            "IDF_VERSION": "{}.{}.0".format(*self.version),
            "IDF_INIT_VERSION": "{}.{}.0".format(*self.version),
            "IDF_ENV_FPGA": "",
            "IDF_MINIMAL_BUILD": "n",
            "IDF_BUILD_V2": "n",
            "COMPONENT_KCONFIGS_SOURCE_FILE": str(folder / "kconfigs.in"),
            "COMPONENT_KCONFIGS_PROJBUILD_SOURCE_FILE": str(folder / "projbuild.in"),
        }
        for file, name in (("kconfigs.in", "Kconfig"), ("projbuild.in", "Kconfig.projbuild")):
            found = [place / name for place in sorted(places) if (place / name).is_file()]
            (folder / file).write_text("".join(f'source "{one}"\n' for one in found))
        return kconfig(self.path / "Kconfig", defaults, folder, env)

    @cached_property
    def headers(self) -> dict[str, list[Path]]:
        """Every header that is this chip's or no chip's, by its file name."""
        chips = {path.name for path in (self.path / "components" / "soc").iterdir()}
        foreign = (chips - {self.chip, "include"}) | {
            "linux",
            "test_apps",
            "host_test",
            "subproject",
        }
        foreign.add("riscv" if architecture(self.chip) == "xtensa" else "xtensa")
        found: dict[str, list[Path]] = {}
        for path in sorted(self.path.glob("components/**/*.h")):
            parts = path.relative_to(self.path).parts[1:-1]
            wraps_libc = {"newlib", "esp_libc"} & set(parts) and path.name in {
                Path(n).name for n in LIBC
            }
            if not foreign & set(parts) and not wraps_libc:
                found.setdefault(path.name, []).append(path)
        return found

    def compile(self, source: Path, config: Path, *flags: str) -> str:
        """What the compiler says of ``source``; each header that it misses is looked for.
        ``config`` is the folder of sdkconfig.h."""
        compiler = COMPILERS[architecture(self.chip)]
        command = [
            *compiler,
            "-fsyntax-only",
            "-ffreestanding",
            "-std=gnu17",
            *flags,
            f"-I{config}",
        ]
        command += [f'-DIDF_VER="{self.version[0]}"', "-DESP_PLATFORM"]
        libc = config / "libc"
        for name, text in LIBC.items():
            (libc / name).parent.mkdir(parents=True, exist_ok=True)
            (libc / name).write_text(f"#pragma once\n{text}")
        system = [f"-isystem{libc}"]
        for _ in range(200):
            done = subprocess.run(
                [*command, *system, str(source)], capture_output=True, text=True, check=False
            )
            missing = re.search(r"fatal error: (\S+): No such file", done.stderr)
            if missing is None:
                return done.stderr
            system.append(f"-isystem{self._folder(missing[1])}")
        raise AssertionError(f"{source}: no end of missing headers")

    def _folder(self, name: str) -> Path:
        """From where ``name`` is included: the component's own headers before those of the ROM."""
        for path in sorted(self.headers.get(Path(name).name, []), key=lambda p: len(p.parts)):
            if path.as_posix().endswith(f"/{name}"):
                return Path(path.as_posix().removesuffix(f"/{name}"))
        raise AssertionError(f"{self.path} has no {name} for {self.chip}")
