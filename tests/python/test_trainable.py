"""A model cut into backbone and head: what can be cut, what is exported, how a board learns, and
that PyTorch gets the weights back."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from handmade import GraphBuilder
from numpy.typing import NDArray
from torch import nn
from typer.testing import CliRunner

import nanotool
from nanotool import qfile
from nanotool.backends import c
from nanotool.bench import bench, connect
from nanotool.boards import find_board
from nanotool.build import build
from nanotool.cli import app
from nanotool.device import Trainer
from nanotool.errors import DeviceError, InvalidModel, NanoError
from nanotool.ir import QGraph
from nanotool.pipeline import prepare
from nanotool.simulate import simulate
from nanotool.training import Head, HeadOptions, Trainable, arena_size, cut, parse_options, session

SHAPE = (2, 6, 6)  # C, H, W


def network(*tail: nn.Module) -> nn.Sequential:
    torch.manual_seed(0)
    parts = OrderedDict(conv=nn.Conv2d(2, 3, 3), relu=nn.ReLU(), flat=nn.Flatten())
    layers = tail or (nn.Linear(48, 6), nn.ReLU(), nn.Linear(6, 3))
    return nn.Sequential(parts | {f"l{i}": layer for i, layer in enumerate(layers)})


def quantized(*tail: nn.Module) -> QGraph:
    model = network(*tail)
    data = np.random.default_rng(0).random((60, *SHAPE), np.float32)
    return nanotool.quantize(model, data, name="toy", labels="abc").graph


@pytest.fixture(scope="module")
def graph() -> QGraph:
    return quantized()


def samples(count: int, classes: int = 4) -> tuple[NDArray[Any], NDArray[Any]]:
    """Images whose brightest corner is their class."""
    chance = np.random.default_rng(3)
    y = chance.integers(0, classes, count)
    x = chance.random((count, *SHAPE), np.float32) * 0.5
    for image, label in zip(x, y, strict=True):
        image[:, 3 * (label // 2) :, 3 * (label % 2) :][:, :3, :3] += 0.5
    return x, y


# --- Cutting --------------------------------------------------------------------------------------


@pytest.mark.parametrize("layers", [["l2"], ["l0", "l2"]])
@pytest.mark.parametrize("arithmetic", ["int16", "float32"])
def test_backbone_and_head_are_the_model(
    graph: QGraph, layers: Sequence[str], arithmetic: Any
) -> None:
    """Nothing learned, they answer as the whole model does, but for rounding."""
    trainable = cut(graph, layers, HeadOptions(arithmetic=arithmetic, classes=5))
    x, _ = samples(50)
    data = session.check_samples(trainable, x, np.zeros(50, int))
    features = simulate(trainable.backbone, data).reshape(50, -1)
    head = Head(trainable.config)
    head.quantize()
    answers = (head.infer(features).astype(int) - head.output_zero_point) * head.output_scale
    expected = graph.output_tensor.dequantize(simulate(graph, data)).reshape(50, -1)
    assert answers.shape == (50, 3)
    assert np.abs(answers - expected).max() < 3 * graph.output_tensor.scale
    assert trainable.labels == ("a", "b", "c")


@pytest.mark.parametrize("layers", [["l2"], ["l0", "l2"]])
@pytest.mark.parametrize("arithmetic", ["int16", "float32"])
def test_untrained_weights_are_pytorchs(
    graph: QGraph, layers: Sequence[str], arithmetic: Any
) -> None:
    """Also behind a flatten, whose order the device has otherwise."""
    trainable = cut(graph, layers, HeadOptions(arithmetic=arithmetic))
    tensors = session.checkpoint(trainable, Head(trainable.config).state())
    theirs = network().state_dict()
    assert set(tensors) == {f"{name}.{part}" for name in layers for part in ("weight", "bias")}
    for name, mine in tensors.items():
        wanted = theirs[name].numpy()
        assert mine.shape == wanted.shape
        assert np.abs(mine - wanted).max() < 0.01 * np.abs(wanted).max()


@pytest.mark.parametrize(
    ("tail", "layers", "words"),
    [
        ((), ["fc9"], ["no layer fc9", "l0, l2"]),
        ((), ["conv"], ["conv is a Conv2D", "l0, l2"]),
        ((), ["l0"], ["l0 has an activation behind it"]),
        ((), [], ["1 to 4 layers"]),
        ((nn.Linear(48, 6), nn.Linear(6, 3)), ["l0", "l1"], ["l0 has no ReLU", "from l1 on"]),
        ((nn.Linear(48, 3), nn.ReLU()), ["l0"], ["l0 has an activation", "another nn.Linear"]),
        ((nn.Linear(48, 6), nn.Tanh(), nn.Linear(6, 3)), ["l0", "l2"], ["l2 does not follow l0"]),
        ((nn.Linear(48, 6), nn.Tanh(), nn.Linear(6, 3)), ["l0"], ["l0 is not the model's end"]),
    ],
)
def test_what_cannot_be_a_head_is_named(
    tail: tuple[nn.Module, ...], layers: list[str], words: list[str]
) -> None:
    with pytest.raises(NanoError) as refused:
        cut(quantized(*tail), layers)
    assert all(word in str(refused.value) for word in words), refused.value


def test_something_stays_frozen() -> None:
    builder = GraphBuilder("flat", (12,))
    builder.dense("fc", 4)
    with pytest.raises(NanoError, match="Nothing of flat is left"):
        cut(builder.graph(), ["fc"])


@pytest.mark.parametrize(("end", "way_out"), [("input", "Join them"), ("output", "alone")])
def test_models_of_several_ends_have_no_head(graph: QGraph, end: str, way_out: str) -> None:
    many: Any = {f"{end}s": (getattr(graph, f"{end}s")[0], "l0")}
    with pytest.raises(NanoError, match=f"has 2 {end}s") as refused:
        cut(replace(graph, **many), ["l2"])
    assert way_out in str(refused.value)


def test_softmax_is_left_out() -> None:
    trainable = cut(quantized(nn.Linear(48, 3), nn.Softmax(1)), ["l0"])
    assert trainable.backbone.output_tensor.size == 48
    with pytest.raises(NanoError, match="3 outputs, more than 2"):
        cut(quantized(), ["l2"], HeadOptions(classes=2))


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("optimizer=adam", "arithmetic=float32"),
        ("optimizer=lbfgs", "sgd, momentum, adam"),
        ("slots=many", "no number"),
        ("slots=-1", "out of range"),
        ("colour=red", "no such option"),
    ],
)
def test_wrong_options_say_what_is_right(text: str, word: str) -> None:
    with pytest.raises(NanoError, match=word):
        parse_options(text)


def test_options() -> None:
    options = parse_options("arithmetic=float32, optimizer=adam, slots=7,classes=9,means,batch=4")
    assert (options.slots, options.classes, options.means) == (7, 9, True)
    assert (options.recipe.batch, options.optimizer) == (4, "adam")


# --- Export ---------------------------------------------------------------------------------------


def test_the_folder_holds_the_head(graph: QGraph, tmp_path: Path) -> None:
    model = tmp_path / "toy.nano"
    qfile.save(graph, model)
    runner = CliRunner()
    command = ["export", str(model), "-o", str(tmp_path / "toy"), "--trainable", "l0,l2"]
    done = runner.invoke(app, [*command, "--head", "classes=4,slots=20"])
    assert done.exit_code == 0, done.output
    trainable = cut(graph, ["l0", "l2"], parse_options("classes=4,slots=20"))
    text = (tmp_path / "toy" / "toy_train.c").read_text()
    assert f"TOY_TRAIN_ARENA_SIZE == {arena_size(trainable.config)}u" in text
    assert f'.backbone = "{trainable.config.backbone}"' in text
    assert "#define APP_TRAIN toy_train" in (tmp_path / "toy" / "app_model.h").read_text()
    again = tmp_path / "again"
    nanotool.QuantizedModel(graph).export(
        again, trainable=["l0", "l2"], head=parse_options("classes=4,slots=20")
    )
    for path in (tmp_path / "toy").iterdir():
        assert (again / path.name).read_bytes() == path.read_bytes(), path.name
    with pytest.raises(InvalidModel, match="not this model's"):
        c.export([prepare(graph)], tmp_path / "other", head=trainable)
    assert runner.invoke(app, [*command[:4], "--head", "slots=3"]).exit_code == 2
    wrong = [*command[:3], str(tmp_path / "toy.tflite"), "--trainable", "l2"]
    assert runner.invoke(app, wrong).exit_code == 2


# --- Learning -------------------------------------------------------------------------------------


Setup = tuple[Trainable, Path]


@pytest.fixture(scope="module", params=["int16", "float32"])
def setup(graph: QGraph, request: pytest.FixtureRequest) -> Setup:
    options = f"arithmetic={request.param},classes=4,slots=60,means,batch=4"
    trainable = cut(graph, ["l0", "l2"], parse_options(options))
    return trainable, build(trainable, find_board("native")).elf


def test_the_board_learns_what_this_process_learns(setup: Setup) -> None:
    trainable, elf = setup
    x, y = samples(60)
    options = session.TrainOptions(epochs=2, rehearse=1500)
    local = session.LocalTrainer(trainable)
    mine = session.train(local, trainable, x, y, options)
    seen: list[session.Moment] = []
    with connect(find_board("native"), elf) as device:
        trainer = Trainer(device)
        theirs = session.train(trainer, trainable, x, y, options, watch=seen.append)
        right, loss = session.accuracy(trainer, trainable, x, y)
    assert theirs == mine if trainable.config.arithmetic == "int16" else True
    assert np.allclose(theirs.losses(), mine.losses(), atol=1e-3)
    assert tuple(seen) == theirs.moments and seen[-1].rehearsed == 3000
    assert right > 0.95 and loss < np.mean(theirs.losses()[:20])
    # The weights in PyTorch: a class more, and nearly the board's answers.
    model = network(nn.Linear(48, 6), nn.ReLU(), nn.Linear(6, 4))
    tensors = session.checkpoint(trainable, theirs.state)
    state = {name: torch.from_numpy(data) for name, data in tensors.items()}
    model.load_state_dict({**network().state_dict(), **state})
    with torch.no_grad():
        answers = model(torch.tensor(x)).argmax(1).numpy()
    assert (answers == y).mean() > 0.9


def test_it_refuses_what_does_not_fit(setup: Setup, graph: QGraph) -> None:
    trainable, elf = setup
    x, y = samples(4)
    local = session.LocalTrainer(trainable)
    for labels, word in ((y + 9, "classes=1"), (y - 9, "room for"), (y[:2], "2,. for 4")):
        with pytest.raises(NanoError, match=word):
            session.train(local, trainable, x, labels)
    with pytest.raises(NanoError, match="whole number"):
        session.train(local, trainable, x, y / 2)
    other = cut(graph, ["l2"])
    with connect(find_board("native"), elf) as device, pytest.raises(DeviceError, match="another"):
        session.train(Trainer(device), other, x, y % 3)


def test_bench_tells_what_learning_costs(graph: QGraph) -> None:
    trainable = cut(graph, ["l2"], parse_options("batch=4"))
    board = find_board("native")
    result = bench(build(trainable, board))
    assert result.mismatches == 0 and result.training is not None
    assert result.training.batch == 4
    assert result.training.arena_bytes == arena_size(trainable.config)
    assert result.training.ticks > result.training.update_ticks > 0


def test_train_on_the_command_line(
    graph: QGraph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NANO_STORE", str(tmp_path / "store"))
    qfile.save(graph, tmp_path / "toy.nano")
    for part, seed in (("old", 20), ("new", 40)):
        x, y = samples(seed, 3 if part == "old" else 4)
        np.save(tmp_path / f"{part}_x.npy", x)
        np.save(tmp_path / f"{part}_y.npy", y)

    def pair(part: str) -> list[str]:
        return [str(tmp_path / f"{part}_x.npy"), str(tmp_path / f"{part}_y.npy")]

    command = ["train", str(tmp_path / "toy.nano"), "--board", "native", "--trainable", "l0,l2"]
    command += ["--head", "classes=4,slots=50", "--data", *pair("new"), "--test", *pair("new")]
    checkpoint = tmp_path / "head.pt"
    rest = ["--remember", *pair("old"), "--rehearse", "4000", "--rate", "0.05", "--batch", "4"]
    keep = ["--checkpoint", str(checkpoint), "--save", "--json"]
    done = CliRunner().invoke(app, [*command, *rest, *keep])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["classes"] == 4 and told["samples"] == 4040 and len(told["losses"]) == 40
    assert told["accuracy"]["after"] > max(0.9, told["accuracy"]["before"])
    state = torch.load(checkpoint, weights_only=True)
    assert {name: tuple(t.shape) for name, t in state.items()} == {
        **{"l0.weight": (6, 48), "l0.bias": (6,), "l2.weight": (4, 6), "l2.bias": (4,)}
    }
    # The board kept it: the next session begins where this one ended.
    again = CliRunner().invoke(app, [*command, "--json"])
    assert json.loads(again.stdout)["accuracy"]["before"] == told["accuracy"]["after"]
    text = CliRunner().invoke(app, [*command, "--reset"])
    assert text.exit_code == 0 and "replay buffer" in text.stdout and "█" in text.stdout
    wrong = CliRunner().invoke(app, [*command, "--checkpoint", "head.bin"])
    assert isinstance(wrong.exception, NanoError) and ".npz" in str(wrong.exception)


@pytest.mark.parametrize("ending", [".pt", ".npz"])
def test_checkpoints_are_files_that_others_read(tmp_path: Path, ending: str) -> None:
    tensors = {"fc.weight": np.ones((2, 3), np.float32)}
    path = tmp_path / f"head{ending}"
    session.save_checkpoint(tensors, path)
    read: Callable[..., Any] = torch.load if ending == ".pt" else np.load
    assert np.array_equal(np.asarray(read(path)["fc.weight"]), tensors["fc.weight"])


def test_sparkline() -> None:
    assert session.sparkline([]) == ""
    assert session.sparkline([0.0, 1.0, 8.0]) == "▁▂█"
    assert len(session.sparkline([1.0] * 1000, 24)) == 24


# --- Did it stop short? ---------------------------------------------------------------------------


def test_a_lesson_that_stopped_short_says_so(graph: QGraph) -> None:
    """... and the rate that it proposes is better for samples never seen, too."""
    trainable = cut(graph, ["l2"], parse_options("classes=4,slots=60"))
    x, y = samples(60)

    def lesson(rate: float) -> tuple[session.Advice | None, float, session.Trained]:
        trainer = session.LocalTrainer(trainable)
        options = session.TrainOptions(rehearse=2000, rate=rate)
        trained = session.train(trainer, trainable, x, y, options)
        share, _ = session.accuracy(trainer, trainable, *samples(200))
        return session.advise(trained, trainable, options), share, trained

    advice, before, trained = lesson(0.002)
    assert len(trained.rehearsals()) <= session.LOOKS and trained.moments[-1].rehearsed == 2000
    assert advice is not None and advice.better is not None and advice.gain is not None
    assert f"--rate {advice.better:g}" in str(advice)
    again, after, _ = lesson(advice.better)
    assert after > before + 0.1
    assert again is None or again.last < session.WORTH * advice.last


def test_parts_of_a_rehearsal_are_whole_batches() -> None:
    for count, batch in ((1, 8), (2000, 8), (100000, 7), (5, 1)):
        parts = session.rehearsals(count, batch)
        assert sum(parts) == count and max(parts) <= session.MOST_RECALLED
        assert all(part % batch == 0 for part in parts[:-1])
    assert session.rehearsals(0, 8) == []


# --- Real values ----------------------------------------------------------------------------------


def test_real_values_are_learned(graph: QGraph) -> None:
    """A line through the brightness of two corners, by several passes."""
    trainable = cut(graph, ["l2"], parse_options("loss=mse,slots=0,rate=0.02"))
    trainer = session.LocalTrainer(trainable)
    x, _ = samples(80)
    y = np.stack([x[:, 0, :3].mean((1, 2)), -x[:, 1, 3:].mean((1, 2)), np.zeros(80)], axis=1) * 4
    before = session.mean_square(trainer, trainable, x[40:], y[40:])
    trained = session.fit(trainer, trainable, x[:40], y[:40], session.TrainOptions(epochs=15))
    after = session.mean_square(trainer, trainable, x[40:], y[40:])
    assert after < 0.3 * before and len(trained.losses()) == 600 and not trained.rights()
    head = session.restored(trainable, trained.state)
    features = trainer.features(session.check_targets(trainable, x[:1], y[:1])[0])
    loss = head.evaluate_target(features, y[0]).loss
    assert loss == pytest.approx(float(((head.outputs() / 2**16 - y[0]) ** 2).mean()), rel=1e-3)
    for wrong in (y[:, :2], y[:, 0], np.full_like(y, np.nan)):
        with pytest.raises(NanoError):
            session.fit(trainer, trainable, x, wrong)
    with pytest.raises(NanoError, match="more epochs"):
        session.fit(trainer, trainable, x, y, session.TrainOptions(rehearse=10))
    with pytest.raises(NanoError, match="loss=mse"):
        session.fit(trainer, cut(graph, ["l2"]), x, y)


@pytest.mark.slow
def test_real_values_over_the_line(
    graph: QGraph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A board learns them to the same bytes."""
    monkeypatch.setenv("NANO_STORE", str(tmp_path / "store"))
    trainable = cut(graph, ["l2"], parse_options("loss=mse,slots=0"))
    x, _ = samples(12)
    y = np.random.default_rng(1).normal(0, 2, (12, 3)).astype(np.float32)
    board = find_board("native")
    with connect(board, build(trainable, board).elf) as device:
        trainer = Trainer(device)
        trained = session.fit(trainer, trainable, x, y)
        told = session.mean_square(trainer, trainable, x, y)
    local = session.LocalTrainer(trainable)
    assert session.fit(local, trainable, x, y).state == trained.state
    assert session.mean_square(local, trainable, x, y) == told
