"""Learning on the board: integers end with the same bytes on every board, and outlive a reset.

The model is the one of --model, its outputs being the features of a head that stands beside it.
"""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from nanotool.backends import c
from nanotool.boards import BOARDS, Board
from nanotool.build import build
from nanotool.device import Device, DeviceRefused, Trainer, open_board, training
from nanotool.models import load_model
from nanotool.pipeline import prepare
from nanotool.qfile import graph_hash

USUAL_BOARDS = ("native", "stm32", "riscv_virt", "xtensa_sim")
HIDDEN, CLASSES, MOST_CLASSES, SLOTS = 6, 3, 5, 8

HEAD = """\
/* train_head.c - {features} -> {hidden} -> {classes} classes, at most {most}; integers. */
#include "app_model.h"

static const nano_train_layer layers[] = {{
    {{.outputs = {hidden}, .weight_bits = 12, .activation_bits = 8}},
    {{.outputs = {most}, .weight_bits = 12}},
}};

const nano_train_config train_head = {{
    .backbone = "{hash}",
    .features = {features},
    .feature_zero_point = {zero_point},
    .feature_scale = {scale!r}f,
    .arithmetic = &nano_train_int16,
    .loss = NANO_TRAIN_CROSS_ENTROPY,
    .optimizer = NANO_TRAIN_MOMENTUM,
    .replay = NANO_TRAIN_BALANCED,
    .replay_slots = {slots},
    .class_means = 1,
    .layer_count = 2,
    .classes = {classes},
    .layers = layers,
    .seed = 2026,
    .recipe = {{.rate = 0.05f, .momentum = 0.9f, .batch = 4}},
    .anomaly = NANO_TRAIN_NEAREST,
    .alarm = {{.threshold = NANO_TRAIN_NO_THRESHOLD,
               .quantile = 900,
               .margin = 1500,
               .needed = 2,
               .window = 3}},
}};
"""
APP_MODEL = """\
#include "nano/train.h"

extern const nano_train_config train_head;
#define APP_TRAIN train_head
#define APP_TRAIN_ARENA_SIZE \\
    (NANO_TRAIN_ARENA_SIZE(2u, {features}u, {hidden}u, {most}u, {widest}u, 2u, {weights}u, 1u, \\
                           {slots}u, 1u) + NANO_TRAIN_ANOMALY_SIZE(1u, {features}u, {slots}u))

#endif
"""


@pytest.fixture(scope="module")
def folder(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model's folder for all boards, and a head in it."""
    model: Path = pytestconfig.getoption("--model")
    graph = load_model(model)
    target = tmp_path_factory.mktemp("trainable") / "model"
    targets = dict.fromkeys(BOARDS[name].target for name in USUAL_BOARDS)
    variants = [prepare(graph, name) for name in sorted(targets)]
    c.export(variants, target)
    output = graph.output_tensor
    told = {
        "features": output.size,
        "hidden": HIDDEN,
        "classes": CLASSES,
        "most": MOST_CLASSES,
        "slots": SLOTS,
        "weights": HIDDEN * (output.size + MOST_CLASSES),
        "widest": max(HIDDEN, MOST_CLASSES),
        "hash": graph_hash(variants[0][0].graph),
        "zero_point": output.zero_point,
        "scale": float(np.float32(output.scale)),
    }
    (target / "train_head.c").write_text(HEAD.format(**told))
    header = target / "app_model.h"
    text = header.read_text().rstrip()
    assert text.endswith("#endif")
    header.write_text(text.removesuffix("#endif") + APP_MODEL.format(**told))
    return target


@contextmanager
def running(board: Board, folder: Path, tmp_path: Path) -> Iterator[Device]:
    """The board with the trainable firmware; the folder is its own."""
    own = tmp_path / board.name
    shutil.copytree(folder, own)
    with (
        open_board(board, build(own, board).elf) as port,
        Device(port, timeout=60) as device,
    ):
        yield device


@pytest.fixture
def trainer(
    board: Board, folder: Path, tmp_path: Path, pytestconfig: pytest.Config
) -> Iterator[Trainer]:
    if pytestconfig.getoption("--port"):
        pytest.skip("the board on --port has the firmware of --model, without a head")
    with running(board, folder, tmp_path) as device:
        trainer = Trainer(device)
        trainer.reset()
        yield trainer


def inputs(device: Device, count: int) -> list[bytes]:
    chance = random.Random(11)
    return [chance.randbytes(device.info().input.size) for _ in range(count)]


def run_session(trainer: Trainer) -> tuple[bytes, bytes]:
    """A bit of everything; the whole state and the output of an inference behind it."""
    pictures = inputs(trainer.device, 5)
    trainer.begin(0.1, 3)
    for i in range(12):
        outcome = trainer.sample(pictures[i % 3], i % 3)
        assert outcome.label == i % 3
        assert outcome.stepped == (i % 3 == 2)
    trainer.step(8)
    assert trainer.add_class() == 3
    trainer.remember(pictures[3], 3)
    for _ in range(3):
        trainer.sample(pictures[3], 3)
    trainer.step(20)
    trainer.sample(pictures[3], 3)
    trainer.step()
    for label, picture in enumerate(pictures[:4]):
        assert trainer.evaluate(picture, label).nearest == label
    output = trainer.device.run(pictures[4]).tobytes() + watch(trainer, pictures)
    return trainer.fetch("all"), output


def watch(trainer: Trainer, pictures: list[bytes]) -> bytes:
    """Two recordings are normal, a threshold is taken from them; the scores of all pictures."""
    for number in range(8):
        trainer.learn(pictures[number % 2], 1 + number % 2)
    trainer.quantile(1000, 2000)
    threshold = trainer.threshold("auto").threshold
    assert 0 < threshold < 2**32 - 1
    trainer.votes(1, 2)
    told = [trainer.score(picture) for picture in pictures]
    assert told[0].score == told[1].score == 0  # the buffer holds them
    assert [score.anomalous for score in told] == [score.score > threshold for score in told]
    assert not told[0].alarm
    return json.dumps([threshold, *((score.score, score.alarm) for score in told)]).encode()


def test_the_same_bytes_as_on_this_computer(
    board: Board, trainer: Trainer, folder: Path, tmp_path: Path
) -> None:
    """... and the weights are others than before, and a session twice gives the same bytes."""
    before = trainer.fetch("all")
    state, output = run_session(trainer)
    assert output[CLASSES + 1 : CLASSES + 2] == b"["  # behind as many classes
    status = trainer.status()
    assert (status.classes, status.samples, status.pending) == (4, 44, 0)
    assert (status.replay_used, status.replay_seen, status.evaluated) == (SLOTS, 25, 4)
    assert state != before
    if board.name == "native":
        trainer.reset()
        assert run_session(trainer) == (state, output)
        return
    with running(BOARDS["native"], folder, tmp_path) as native:
        assert run_session(Trainer(native)) == (state, output)


def test_lost_answers_teach_nothing_twice(
    trainer: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every eleventh answer of the board loses a byte: what it has learned in the end is the same.
    (The time between is enough to get in step and to load an input again.)"""
    state, output = run_session(trainer)
    trainer.reset()
    chance = random.Random(8)
    device = trainer.device
    read, write = device.line.read, device.line.write
    writes, lost = 0, 0

    def bad_read() -> bytes:
        nonlocal writes, lost
        piece = read()
        if not piece or writes < 11:
            return piece
        writes, lost = 0, lost + 1
        at = chance.randrange(len(piece))
        return piece[:at] + piece[at + 1 :]

    def counted_write(data: bytes) -> None:
        nonlocal writes
        writes += 1
        write(data)

    monkeypatch.setattr(device.line, "read", bad_read)
    monkeypatch.setattr(device.line, "write", counted_write)
    monkeypatch.setattr(training, "_STEP_TIMEOUT", 2.0)
    device.timeout = 2.0
    again = run_session(trainer)
    assert lost > 3
    assert again == (state, output)


def test_it_outlives_a_reset(board: Board, trainer: Trainer) -> None:
    picture = inputs(trainer.device, 1)[0]
    for _ in range(6):
        trainer.sample(picture, 1)
    trainer.step()
    output = trainer.device.run(picture).tobytes()
    state = trainer.fetch("all")
    assert trainer.save("all").size == len(state)
    trainer.reset()
    assert trainer.status().origin == "initial"
    assert trainer.fetch("all") != state
    trainer.load()
    assert trainer.fetch("all") == state
    trainer.device.timeout = 30
    trainer.device.reset()
    again = Trainer(trainer.device)
    assert again.status().origin == "stored"
    assert again.fetch("all") == state
    assert trainer.device.run(picture).tobytes() == output
    memory = trainer.device.mem()
    assert memory.train > len(state)
    assert memory.store >= 2 * (len(state) + 32)
    medium = {"native": "file", "microbit": "flash"}.get(board.name, "ram")  # emulated
    assert memory.store_medium == medium


def test_a_head_goes_there_and_back(trainer: Trainer) -> None:
    run_session(trainer)
    head = trainer.fetch("head")
    trainer.reset()
    trainer.put(head)
    status = trainer.status()
    assert (status.origin, status.classes, status.steps) == ("trained", 4, 0)
    other = bytearray(trainer.fetch("head"))
    assert other[64:] == head[64:]  # behind the record
    other[4] ^= 1  # of another configuration
    with pytest.raises(DeviceRefused, match="Not done"):
        trainer.put(bytes(other))
    assert trainer.status().origin == "initial"


def test_garbage_changes_nothing(trainer: Trainer) -> None:
    chance = random.Random(5)
    device = trainer.device
    device.load(inputs(device, 1)[0])
    before = trainer.status(), trainer.fetch("all")
    for wrong in ("train", "train sample", "train sample 3", "train sample 1 2", "train step -1"):
        with pytest.raises(DeviceRefused):
            device.command(wrong)
    words = ["train sampel 1", "train put 1", "train step 99999", "traim", "1 2 3", "\x01", "]["]
    for _ in range(20):
        line = chance.choice(words).encode() + chance.randbytes(chance.randrange(1, 30)) + b"\r"
        device.line.write(line.replace(b"\0", b"\1"))
        device.sync(30)
    assert (trainer.status(), trainer.fetch("all")) == before
