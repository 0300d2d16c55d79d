"""The native board's store: a file in which the firmware keeps what it learned, through power cuts
that end the process in the middle of a write (firmware/boards/native/store.c)."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from exported import COMPILE
from objects import build_program, library_objects

from nanotool.device.frames import INPUT, MAX_DATA, Frame, encode

ROOT = Path(__file__).resolve().parents[2]
POWER_CUT = 86  # the program's exit status

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")

# tests/c/fake's small model, and a head behind it: 4 features, 3 classes.
APP_MODEL = """\
#ifndef APP_MODEL_H
#define APP_MODEL_H

#include "nano/train.h"
#include "small.h"

extern const nano_train_config small_train;

#define APP_MODEL small_model
#define APP_ARENA_SIZE SMALL_ARENA_SIZE
#define APP_INPUT_SIZE SMALL_INPUT_SIZE
#define APP_TRAIN small_train
#define APP_TRAIN_ARENA_SIZE NANO_TRAIN_ARENA_SIZE(2u, 4u, 0u, 3u, 3u, 1u, 12u, 0u, 3u, 0u)

#endif
"""
HEAD = """\
#include "app_model.h"

static const nano_train_layer layer = {.outputs = 3, .weight_bits = 12};

const nano_train_config small_train = {
    .backbone = "0123456789abcdef",
    .features = 4,
    .feature_zero_point = -1,
    .feature_scale = 0.0078125f,
    .arithmetic = &nano_train_int16,
    .optimizer = NANO_TRAIN_SGD,
    .replay_slots = 3,
    .layer_count = 1,
    .classes = 3,
    .layers = &layer,
    .seed = 1,
    .recipe = {.rate = 0.5f, .batch = 1},
};
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trainable")
    (folder / "app_model.h").write_text(APP_MODEL)
    (folder / "head.c").write_text(HEAD)
    firmware, library, fake = (
        ROOT / "firmware",
        ROOT / "lib" / "nano",
        ROOT / "tests" / "c" / "fake",
    )
    sources = [*(firmware / "app").glob("*.c"), *(firmware / "boards" / "native").glob("*.c")]
    sources += [fake / "small.c", folder / "head.c"]
    flags = ["-std=c99", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    folders = [folder, firmware, library / "include", fake]
    command = ["gcc", *flags, *(f"-I{f}" for f in folders), *map(str, sources)]
    build_program(command, folder / "program", library_objects(COMPILE, tmp_path_factory))
    return folder / "program"


def picture(label: int) -> bytes:
    """An input of the small model: its first bytes, inverted, are the features."""
    raw = bytes([200, 200, 200, 200][:label] + [60] + [200] * (299 - label))
    return b"".join(
        encode(Frame(INPUT, o, raw[o : o + MAX_DATA])) for o in range(0, len(raw), MAX_DATA)
    )


def training(label: int) -> bytes:
    """A sample of that label, and an inference, with which the int8 head is made."""
    return picture(label) + f"train sample {label}%infer 1 0%".encode()


def run(
    program: Path, said: bytes, store: Path | None = None, cut: int = 0, *options: str
) -> tuple[int, str]:
    """Exit status, and what the board said."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("NANO_")}
    if store is not None:
        environment["NANO_STORE"] = str(store)
    if cut:
        environment["NANO_STORE_CUT"] = str(cut)
    done = subprocess.run(
        [str(program), "--stdio", *options],
        input=said,
        capture_output=True,
        check=False,
        env=environment,
    )
    assert done.stderr == b""
    return done.returncode, done.stdout.decode("ascii", "replace")


def crc(heard: str, word: str) -> str:
    """The last CRC of the whole head that was told."""
    found: list[str] = re.findall(rf"m-train-{word}-\[all \d+ ([0-9a-f]{{8}})\]", heard)
    return found[-1]


def test_it_outlives_the_program(program: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    _, first = run(program, training(0) + training(1) + b"train save all%", store)
    assert "m-train-origin-[stored]" in (again := run(program, b"train status%", store)[1])
    assert crc(again, "part") == crc(first, "save")
    named = run(program, b"train status%", None, 0, "--store", str(store))[1]
    assert named == again
    assert "m-train-origin-[initial]" in run(program, b"train status%")[1]


def test_power_cuts_at_every_operation(program: Path, tmp_path: Path) -> None:
    """Every write and erase of a save is left unfinished once; then the old head is there, or the
    new one, and the next save works."""
    store, tried = tmp_path / "store", tmp_path / "tried"
    old = crc(run(program, training(0) + b"train save all%", store)[1], "save")
    new = crc(run(program, training(1) + b"train status%", store)[1], "part")
    seen = set()
    for cut in range(1, 1000):
        shutil.copy(store, tried)
        status, _ = run(program, training(1) + b"train save all%", tried, cut)
        told = crc(run(program, b"train status%", tried)[1], "part")
        seen.add(told)
        if status == 0:
            break
        assert status == POWER_CUT
        assert told in (old, new), cut
        if cut % 10 == 0:
            saved = crc(run(program, training(2) + b"train save all%", tried)[1], "save")
            assert crc(run(program, b"train status%", tried)[1], "part") == saved
    assert (told, cut > 40) == (new, True)
    assert seen == {old, new}


def test_a_store_of_noise_is_no_head(program: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    store.write_bytes(os.urandom(256 * 1024))
    heard = run(program, b"train load%train status%" + training(0) + b"train save%", store)[1]
    assert "e-[Store: nothing is stored]" in heard
    assert "m-train-origin-[initial]" in heard
    assert "m-train-save-[head" in heard


def test_a_damaged_head_is_told(program: Path, tmp_path: Path) -> None:
    """And not taken for none."""
    store = tmp_path / "store"
    run(program, training(0) + b"train save all%", store)
    content = bytearray(store.read_bytes())
    content[40] ^= 1
    store.write_bytes(content)
    heard = run(program, b"train load%train status%", store)[1]
    assert "e-[Store: what is stored is damaged, or its save was cut off]" in heard
    assert "m-train-origin-[initial]" in heard
