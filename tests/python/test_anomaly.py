"""Anomalies: the library against its twin in NumPy and against scikit-learn, thresholds from
recordings, and what the commands say."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors
from test_trainable import SHAPE, quantized
from typer.testing import CliRunner

from nanotool import qfile
from nanotool.cli import app
from nanotool.errors import NanoError
from nanotool.training import (
    Alarm,
    Head,
    HeadConfig,
    Layer,
    Part,
    anomaly,
    arena_size,
    config_hash,
    cut,
    parse_options,
    state_size,
    tuning,
    watching,
)
from nanotool.training.config import arena_size_macro
from nanotool.training.session import LocalTrainer, accuracy

Int8 = np.ndarray[Any, np.dtype[np.int8]]


def head_config(kind: Any, features: int = 24, slots: int = 100) -> HeadConfig:
    return HeadConfig(
        features,
        0.02,
        (Layer(3),),
        arithmetic="int16",
        replay_slots=slots,
        anomaly=kind,
        alarm=Alarm(quantile=900, margin=1200, needed=2, window=3),
    )


def recording(centre: np.ndarray, chance: np.random.Generator, count: int = 30) -> Int8:
    """Samples around a centre that is a bit another one in each recording."""
    own = centre + chance.normal(0, 5, len(centre))
    return np.clip(own + chance.normal(0, 4, (count, len(centre))), -128, 127).astype(np.int8)


def recordings(count: int, shift: float = 0, seed: int = 0) -> list[Int8]:
    chance = np.random.default_rng(seed)
    centre = np.random.default_rng(7).uniform(-60, 60, 24)
    return [recording(centre + shift * chance.normal(size=24), chance) for _ in range(count)]


# --- The library ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["nearest", "gaussian"])
@pytest.mark.parametrize(("features", "slots"), [(1, 1), (5, 3), (48, 21), (63, 50)])
def test_the_twin_has_the_same_scores(kind: str, features: int, slots: int) -> None:
    """Of any features, the extreme ones, too; and a head that is restored goes on alike."""
    config = head_config(kind, features, slots)
    head = Head(config)
    assert head.hash == config_hash(config)
    assert head.arena_used == arena_size(config)
    assert all(len(head.state(part)) == state_size(config, part) for part in Part)
    assert "NANO_TRAIN_ANOMALY_SIZE" in arena_size_macro(config)
    chance = np.random.default_rng(features)
    x = chance.integers(-128, 128, (40, features)).astype(np.int8)
    x[:, 0] = -128
    for number, row in enumerate(x):
        head.learn(row, number // 8)
    known = head.replay()[0] if kind == "nearest" else x
    score = anomaly.nearest_scores if kind == "nearest" else anomaly.gaussian_scores
    y = chance.integers(-128, 128, (25, features)).astype(np.int8)
    y[0], y[1] = 127, -128
    expected = score(y, known)
    threshold = int(np.median(expected))
    head.set_alarm(Alarm(threshold, needed=2, window=3))
    told = [head.score(row) for row in y]
    assert [opinion.score for opinion in told] == expected.tolist()
    assert [opinion.anomalous for opinion in told] == (expected > threshold).tolist()
    votes = anomaly.voted(expected > threshold, 2, 3)
    assert [opinion.alarm for opinion in told] == votes.tolist()
    again = Head(config)
    again.restore(head.state(Part.ALL if kind == "nearest" else Part.HEAD))
    assert [again.score(row).score for row in y] == expected.tolist()
    assert again.alarm == head.alarm and again.learned == 40


@pytest.mark.parametrize("quantile", [1, 500, 901, 1000])
def test_the_threshold_is_between_recordings(quantile: int) -> None:
    head = Head(head_config("nearest", slots=40))
    for number, part in enumerate(recordings(4)):
        for row in part:
            head.learn(row, number)
    head.set_alarm(Alarm(quantile=quantile, margin=1234))
    known, own = head.replay()[0], head.recordings()
    distances = anomaly.between_recordings(known, own)
    assert head.calibrate() == anomaly.threshold_of(distances, quantile, 1234)
    ordered = np.sort(distances)
    least = next(d for d in ordered if (distances <= d).sum() * 1000 >= quantile * len(distances))
    assert head.calibrate() == least * 1234 // 1000
    others = [known[own != number] for number in own]
    for row, other, distance in zip(known[:10], others, distances, strict=False):
        nearest = NearestNeighbors(n_neighbors=1).fit(other.astype(float))
        found = nearest.kneighbors(row[None].astype(float))[0][0, 0] ** 2
        assert distance == pytest.approx(found)


@pytest.mark.parametrize("kind", ["nearest", "gaussian"])
def test_the_auc_is_scikit_learns(kind: Any) -> None:
    tuned = tuning.tune_alarm(head_config(kind), recordings(6), recordings(3, 6, seed=1))
    truth = np.repeat([0, 1], [len(tuned.normal), len(tuned.faults)])
    theirs = roc_auc_score(truth, np.concatenate([tuned.normal, tuned.faults]))
    assert tuned.auc == pytest.approx(theirs, abs=1e-12) and 0.5 < theirs < 1


# --- Before there is anything ---------------------------------------------------------------------


def test_what_cannot_be_scored_says_so() -> None:
    with pytest.raises(NanoError, match="there is none"):
        head_config("nearest", slots=0)
    with pytest.raises(NanoError, match="70000 slots cannot be"):
        parse_and_cut("slots=70000")
    with pytest.raises(NanoError, match="no threshold"):
        parse_options("votes=2/3")
    for wrong in ("votes=3/2", "votes=0", "votes=1/33", "quantile=0", "margin=0"):
        with pytest.raises(NanoError):
            parse_options(f"anomaly=nearest,{wrong}")
    for kind in ("nearest", "gaussian"):
        head = Head(head_config(kind))
        with pytest.raises(NanoError, match="wrong order"):
            head.score(np.zeros(24, np.int8))
        with pytest.raises(NanoError, match="wrong order"):
            head.calibrate()
    with pytest.raises(NanoError, match="wrong order"):
        Head(head_config("none")).learn(np.zeros(24, np.int8), 1)


def parse_and_cut(text: str) -> Any:
    return cut(quantized(), ["l2"], parse_options(text))


@pytest.mark.parametrize(
    ("offset", "value"), [(36 + 8, 0), (36 + 8, 40), (64 + 2 * 72 + 12 + 8, 2**31)]
)
def test_a_changed_state_is_refused(offset: int, value: int) -> None:
    """Votes that cannot be, and a sum that no such samples have."""
    head = Head(head_config("gaussian"))
    for row in recordings(1)[0]:
        head.learn(row, 1)
    state = bytearray(head.state())
    state[offset : offset + 4] = value.to_bytes(4, "little")
    with pytest.raises(NanoError):
        head.restore(bytes(state))
    assert head.learned == 30


# --- Choosing when it is an alarm -----------------------------------------------------------------


@pytest.mark.parametrize("kind", ["nearest", "gaussian"])
def test_an_alarm_is_chosen_by_what_was_left_out(kind: Any) -> None:
    config = head_config(kind)
    alone = tuning.tune_alarm(config, recordings(8))
    assert alone.best.false_alarms <= 0.05 and alone.best.detected is None and alone.auc is None
    both = tuning.tune_alarm(config, recordings(8), recordings(3, 12, seed=1))
    assert both.best.false_alarms <= 0.05
    assert both.best.detected == max(
        point.detected or 0 for point in both.points if point.false_alarms <= 0.05
    )
    with pytest.raises(NanoError, match="needs 3"):
        tuning.tune_alarm(config, recordings(2))
    with pytest.raises(NanoError, match="keep one recording"):
        tuning.tune_alarm(head_config("nearest", slots=1), recordings(4))
    with pytest.raises(NanoError, match="fewest are"):
        tuning.tune_alarm(config, recordings(3), most=-1)


def files(folder: Path, count: int, offset: float, seed: int) -> None:
    folder.mkdir()
    chance = np.random.default_rng(seed)
    for number in range(count):
        x = chance.random((12, *SHAPE)) * 0.15 + 0.2 + 0.1 * chance.random(SHAPE)
        x[:, :, :3, :3] += offset
        np.save(folder / f"{number}.npy", x.astype(np.float32))


def test_on_the_command_line(tmp_path: Path) -> None:
    """The words that `tune` prints are options of a head that finds the same."""
    graph = quantized()
    qfile.save(graph, tmp_path / "toy.nano")
    files(tmp_path / "normal", 5, 0, 1)
    files(tmp_path / "faults", 2, 0.4, 2)
    command = ["tune", str(tmp_path / "toy.nano"), "--trainable", "l2", "--head", "anomaly=nearest"]
    command += ["--without", str(tmp_path / "normal"), "--with", str(tmp_path / "faults")]
    picture = tmp_path / "scores.svg"
    done = CliRunner().invoke(app, [*command, "--picture", str(picture), "--json"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["best"]["detected"] > 0.9 and told["recordings"] == 5 and told["auc"] > 0.9
    assert "threshold" in picture.read_text() and "faults" in picture.read_text()
    trainable = cut(graph, ["l2"], parse_options(told["head"]))
    trainer = LocalTrainer(trainable)
    watching.learn(trainer, trainable, watching.read_inputs(graph, tmp_path / "normal"))
    watched = watching.score(trainer, watching.read_inputs(graph, tmp_path / "faults"))
    assert watched.alarm.threshold == told["best"]["alarm"]["threshold"]
    assert sum(score.alarm for _, scores in watched.scores for score in scores) >= 20
    assert watched.to_json()["learned"] == 60 and len(watched.facts()) == 3
    assert "--head anomaly=nearest" in CliRunner().invoke(app, command).stdout
    wrong = CliRunner().invoke(app, [*command[:3], "l2", *command[6:]])
    assert isinstance(wrong.exception, NanoError) and "anomaly=" in str(wrong.exception)


def test_means_without_a_sample_have_no_nearest() -> None:
    """As a board, which answers `-`."""
    trainable = cut(quantized(), ["l2"], parse_options("means=yes,slots=0"))
    trainer = LocalTrainer(trainable)
    x = np.random.default_rng(0).random((4, *SHAPE), np.float32)
    assert 0 <= accuracy(trainer, trainable, x, np.zeros(4, int))[0] <= 1
    data = trainer.features(trainable_input(trainable, x))
    assert trainer.evaluate(trainable_input(trainable, x), 0).nearest is None
    trainer.head.add_to_mean(data, 2)
    assert trainer.evaluate(trainable_input(trainable, x), 0).nearest == 2
    with pytest.raises(NanoError, match="neither yes nor no"):
        parse_options("means=2")


def trainable_input(trainable: Any, x: np.ndarray) -> Any:
    from nanotool.inputs import to_device

    return to_device(trainable.backbone, x)[0]


def test_the_alarm_begins_as_the_options_say() -> None:
    options = parse_options("anomaly=gaussian,threshold=9,votes=3/5")
    assert options.alarm == replace(Alarm(), threshold=9, needed=3, window=5)
    assert parse_options("anomaly=nearest,votes=2").alarm == replace(Alarm(), needed=2, window=2)
