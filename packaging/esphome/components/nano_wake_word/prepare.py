"""A wake word's model as a component of ESP-IDF, made by nanotool; without ESPHome's help."""

from __future__ import annotations

import hashlib
import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path

NAME = "nano_wake_word_model"  # of the component, and so of its folder
_CMAKE = """\
file(GLOB_RECURSE sources "nano/src/*.c" "model/*.c")
idf_component_register(SRCS ${sources} INCLUDE_DIRS nano/include model)
target_compile_options(${COMPONENT_LIB} PRIVATE -O2)
"""
_HEADER = """\
/* nano_wake_word_model.h - which model listens. */
#ifndef NANO_WAKE_WORD_MODEL_H
#define NANO_WAKE_WORD_MODEL_H

#include "app_model.h"

#ifdef {macro}_LABELS
#define NANO_WAKE_WORD_LABELS {macro}_LABELS
#endif

#endif
"""


class PrepareError(Exception):
    """What is wrong with the model, or missing, and the way out."""


def prepare(model: Path, cache: Path) -> Path:
    """The component's folder in ``cache``: library, model, CMakeLists.txt. ``model`` is a .tflite
    file with microWakeWord's .json beside it, or a .nano file that listens. Made once."""
    parts = [path for path in (model, model.with_suffix(".json")) if path.is_file()]
    digest = hashlib.sha256()
    for path in parts:
        digest.update(path.read_bytes())
    done = cache / digest.hexdigest()[:16] / NAME
    if (done / "CMakeLists.txt").is_file():
        return done
    shutil.rmtree(done, ignore_errors=True)
    done.parent.mkdir(parents=True, exist_ok=True)
    _nanotool("new", str(done), "--kind", "cmake", "--model", str(model))
    found = re.search(r"#define APP_STREAM (\w+)_stream$", _text(done / "model/app_model.h"), re.M)
    if found is None:
        shutil.rmtree(done)
        raise PrepareError(
            f"{model.name} does not listen: a .tflite file needs microWakeWord's .json beside it, "
            "a .nano file its front end and rule."
        )
    (done / "model" / f"{NAME}.h").write_text(_HEADER.format(macro=found[1].upper()), "utf-8")
    for name in ("main.c", "sensor.c", "sensor.h"):
        (done / name).unlink(missing_ok=True)
    (done / "idf_component.yml").write_text('version: "0.0.1"\n', "utf-8")
    (done / "CMakeLists.txt").write_text(_CMAKE, "utf-8")  # last: it tells that all is there
    return done


def sample_rate(component: Path) -> int:
    """Samples a second that the model in the folder ``component`` wants."""
    text = "".join(map(_text, (component / "model").glob("*_stream.h")))
    found = re.search(r"_SAMPLE_RATE (\d+)", text)
    return int(found[1]) if found else 0


def _text(path: Path) -> str:
    return path.read_text("utf-8")


def _nanotool(*arguments: str) -> None:
    program = shutil.which("nanotool")
    if importlib.util.find_spec("nanotool") is not None:
        command = [sys.executable, "-m", "nanotool"]
    elif program is not None:
        command = [program]
    else:
        raise PrepareError(
            "nanotool, which makes C of the model, is not installed: install it for ESPHome's "
            "Python, or have it on PATH."
        )
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise PrepareError((done.stderr or done.stdout).strip())
