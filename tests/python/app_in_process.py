"""The firmware's app in this process: its C sources as a shared library, a fake board around them
(tests/c/fake), and a line whose time is simulated. A lesson over it takes milliseconds.

The model is tests/c/fake/small.c, 300 bytes in, 4 features out; behind it a head of 4 -> 5 -> 3
classes that learns in integers, with replay buffer and class means.
"""

from __future__ import annotations

import ctypes
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from objects import build_program

from nanotool.device.line import POLL, Line

ROOT = Path(__file__).resolve().parents[2]
INPUT_SIZE = 300
BAUD = 115200
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
#define APP_TRAIN_ARENA_SIZE NANO_TRAIN_ARENA_SIZE(2u, 4u, 5u, 4u, 5u, 2u, 40u, 1u, 6u, 1u)
#define APP_TRAIN_TARGETS 4u

#endif
"""
HEAD = """\
#include "app_model.h"

static const nano_train_layer layers[] = {
    {.outputs = 5, .weight_bits = 12, .activation_bits = 8},
    {.outputs = 4, .weight_bits = 12},
};

const nano_train_config small_train = {
    .backbone = "0123456789abcdef",
    .features = 4,
    .feature_zero_point = -1,
    .feature_scale = 0.0078125f,
    .arithmetic = &nano_train_int16,
    .optimizer = NANO_TRAIN_MOMENTUM,
    .replay = NANO_TRAIN_BALANCED,
    .replay_slots = 6,
    .class_means = 1,
    .layer_count = 2,
    .classes = 3,
    .layers = layers,
    .seed = 7,
    .recipe = {.rate = 0.05f, .momentum = 0.9f, .batch = 4},
};
"""
GLUE = """\
#include <string.h>

#include "../app/baud.h"
#include "../app/commands.h"
#include "../app/console.h"
#include "../app/inference.h"
#include "fake_board.h"

void app_start(void);
void app_feed(const uint8_t *bytes, size_t size);

void app_start(void) {
#ifdef APP_BAUD
    char *first[] = {"baud", "0"};
    (void)command_baud(2, first); /* as memory that is cleared has it */
    baud_settle();
#endif
    fake_clear();
    (void)inference_init();
    console_start();
}

/* A reset ends the answer that asked for it. */
void app_feed(const uint8_t *bytes, size_t size) {
    fake_clear();
    for (size_t i = 0; i < size; i++) {
        const unsigned resets = fake_resets;
        console_feed(bytes[i]);
        if (fake_resets != resets)
            app_start();
    }
}
"""


def compile_sources(
    folder: Path, board: list[Path], *flags: str, model: Path | None = None
) -> list[str]:
    """The compiler's command for the app with this model, or with that of a model folder, for the
    board in these sources."""
    firmware, library, fake = ROOT / "firmware", ROOT / "lib" / "nano", ROOT / "tests/c/fake"
    own = [fake / "small.c", folder / "head.c"]
    if model is None:
        (folder / "app_model.h").write_text(APP_MODEL)
        (folder / "head.c").write_text(HEAD)
    else:
        own = list(model.glob("*.c"))
    sources = [*(firmware / "app").glob("*.c"), *board, *own]
    sources += (library / "src").rglob("*.c")
    folders = [model or folder, firmware, firmware / "boards", library / "include", fake]
    return [
        "gcc",
        "-std=c99",
        "-O1",
        "-fPIC",
        *flags,
        *(f"-I{f}" for f in folders),
        *map(str, sources),
    ]


class App:
    """The app, running. One in a process: its state is the library's."""

    def __init__(self, folder: Path, model: Path | None = None) -> None:
        (folder / "glue.c").write_text(GLUE)
        target = folder / "app.so"
        board = [ROOT / "tests/c/fake/fake_board.c", folder / "glue.c"]
        flags = ("-shared", "-Dmain=app_main")
        command = compile_sources(folder, board, *flags, model=model)
        build_program(command, target)
        self._library = ctypes.CDLL(str(target))
        self._sent = (ctypes.c_uint8 * 4097).in_dll(self._library, "fake_sent")
        self._size = ctypes.c_size_t.in_dll(self._library, "fake_sent_size")
        store = (ctypes.c_uint8 * 4096).in_dll(self._library, "fake_store_bytes")
        ctypes.memset(store, 0xFF, 4096)
        self._library.app_start()

    @property
    def baud(self) -> int:
        """The rate that the app gave its line, 0: that of the start."""
        return ctypes.c_uint32.in_dll(self._library, "fake_line_baud").value

    def feed(self, data: bytes) -> bytes:
        """What the app answers to these bytes."""
        self._library.app_feed(data, len(data))
        assert self._size.value <= 4096, "an answer is longer than the fake board keeps"
        return bytes(self._sent[: self._size.value])


Spoil = Callable[[bytes], bytes]


class SimulatedLine(Line):
    """A line to the app on which time passes as bytes do. ``to_board`` and ``to_host`` may spoil
    what goes over it."""

    def __init__(self, app: App, to_board: Spoil = bytes, to_host: Spoil = bytes) -> None:
        self.name = "the simulated line"
        self.cable = 10**9  # bits a second that it can
        self.app, self.to_board, self.to_host = app, to_board, to_host
        self._time = 0.0
        self._coming = b""

    def now(self) -> float:
        return self._time

    def write(self, data: bytes) -> None:
        self._time += 10 * len(data) / self.baud
        before = self.app.baud or BAUD
        answer = self.app.feed(self._over(self.to_board, data, before))
        self._coming += self._over(self.to_host, answer, before)

    def set_baud(self, baud: int) -> None:
        self.baud = baud

    def _over(self, spoil: Spoil, data: bytes, theirs: int) -> bytes:
        """What comes of bytes where the board has the rate ``theirs``: zeros, if the host has not
        the same."""
        if theirs == self.baud <= self.cable:
            return spoil(data)
        return bytes(len(data) * max(1, theirs // self.baud))

    def read(self) -> bytes:
        data, self._coming = self._coming[:512], self._coming[512:]
        self._time += 10 * len(data) / self.baud if data else POLL
        return data

    def close(self) -> None:
        """Nothing is open."""


def flip_bit(data: bytes, at: int, chance: random.Random) -> bytes:
    return data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :]


def change_byte(data: bytes, at: int, chance: random.Random) -> bytes:
    return data[:at] + bytes([data[at] ^ chance.randrange(1, 256)]) + data[at + 1 :]


def drop_byte(data: bytes, at: int, chance: random.Random) -> bytes:
    return data[:at] + data[at + 1 :]


def double_byte(data: bytes, at: int, chance: random.Random) -> bytes:
    return data[: at + 1] + data[at:]


def double_all(data: bytes, at: int, chance: random.Random) -> bytes:
    return data + data


def lose_all(data: bytes, at: int, chance: random.Random) -> bytes:
    return b""


def say_something(data: bytes, at: int, chance: random.Random) -> bytes:
    """Another program's line comes first."""
    words = (b"train sample 1%", b"db load 300%", b"infer 1 0\r\n", b"\0m-ready\r\n", b"name%")
    return chance.choice(words) + data


@dataclass
class Faults:
    """Spoils a share of what passes, one fault at a time, and counts them."""

    kinds: tuple[Callable[[bytes, int, random.Random], bytes], ...]
    seed: int
    share: float = 0.4
    count: int = 0

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)

    def __call__(self, data: bytes) -> bytes:
        if not data or self._chance.random() >= self.share:
            return data
        self.count += 1
        kind = self._chance.choice(self.kinds)
        return kind(data, self._chance.randrange(len(data)), self._chance)
