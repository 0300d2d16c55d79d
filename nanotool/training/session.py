"""Training sessions: a board's head learns from samples; its weights come back to PyTorch.

    trainable = cut(graph, ["fc2"])
    with connect(board, build(trainable, board).elf) as device:
        outcome = train(Trainer(device), trainable, x, y, TrainOptions(epochs=2))
    save_checkpoint(checkpoint(trainable, outcome.state), Path("fc2.pt"))

`LocalTrainer` learns in this process what `Trainer` has a board learn: with integer arithmetic it
ends with the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nanotool.device.training import (
    AlarmState,
    Evaluation,
    Outcome,
    Part,
    Score,
    Status,
    Trainer,
)
from nanotool.errors import DeviceError, MissingTool, NanoError
from nanotool.files import check_writable, write_atomic
from nanotool.inputs import to_device
from nanotool.ir import FloatArray, Int8Array
from nanotool.pipeline import prepare
from nanotool.progress import Progress
from nanotool.runtime import Runtime
from nanotool.training import Head, Trainable, config_hash
from nanotool.training import Part as StatePart
from nanotool.training.config import BIAS_BITS, NO_THRESHOLD
from nanotool.training.head import LOSS_ONE

PARTS: tuple[Part, ...] = ("head", "optimizer", "all")
MOST_RECALLED = 10000  # samples of one `train step`
LOOKS = 24  # at the loss, while a buffer is rehearsed
FALLING = 0.9  # of a loss: one that fell by more in the last quarter of a lesson was not at its end
RATES = (2, 5, 10, 20, 50, 100)  # times the lesson's own, that are tried
MOST_TRIED = 20000  # samples that each of them rehearses
SMALL = 1 / 64  # a loss below is at its end
WORTH = 0.8  # of the loss: a rate that brings it below is proposed


class LocalTrainer:
    """The trainable model in this process: the C library through cffi, portable kernels."""

    def __init__(self, trainable: Trainable) -> None:
        self.trainable = trainable
        self.head = Head(trainable.config)
        self._recipe = trainable.config.recipe
        self._runtime = Runtime(*prepare(trainable.backbone))

    def features(self, x: NDArray[Any]) -> Int8Array:
        """What the backbone makes of one input."""
        return np.asarray(self._runtime.run(x[None]), np.int8).reshape(-1)

    def sample(self, x: NDArray[Any], label: int) -> Outcome:
        """Learn from one sample; it also goes to replay buffer, class means and what is normal,
        where the head has them."""
        features = self.features(x)
        self._keep(features, label)
        result = self.head.sample(features, label)
        return Outcome(label, result.predicted, result.loss, result.stepped)

    def remember(self, x: NDArray[Any], label: int) -> None:
        """To replay buffer, class means and what is normal only."""
        self._keep(self.features(x), label)

    def learn(self, x: NDArray[Any], recording: int, label: int = 0) -> None:
        """The sample is normal."""
        self._keep(self.features(x), label, recording)

    def score(self, x: NDArray[Any]) -> Score:
        """How far the sample is from what is normal."""
        told = self.head.score(self.features(x))
        return Score(told.score, told.anomalous, told.alarm, 0)

    def threshold(self, score: int | Literal["auto", "none"] | None = None) -> AlarmState:
        """Set the threshold; when a score is an alarm."""
        if score == "auto":
            self.head.calibrate()
        elif score is not None:
            value = NO_THRESHOLD if score == "none" else score
            self.head.set_alarm(replace(self.head.alarm, threshold=value))
        return self._alarm()

    def votes(self, needed: int, window: int) -> AlarmState:
        """So many of the last scores are an alarm."""
        self.head.set_alarm(replace(self.head.alarm, needed=needed, window=window))
        return self._alarm()

    def quantile(self, quantile: int, margin: int) -> AlarmState:
        """By which `threshold("auto")` goes."""
        self.head.set_alarm(replace(self.head.alarm, quantile=quantile, margin=margin))
        return self._alarm()

    def _alarm(self) -> AlarmState:
        return AlarmState(**asdict(self.head.alarm))

    def _keep(self, features: Int8Array, label: int, recording: int = 0) -> None:
        """As the console's keep() does."""
        if self.trainable.config.anomaly != "none":
            self.head.learn(features, recording, label)
        elif self.trainable.config.replay_slots:
            self.head.remember(features, label)
        if self.trainable.config.class_means:
            self.head.add_to_mean(features, label)

    def evaluate(self, x: NDArray[Any], label: int) -> Evaluation:
        """The head's opinion of one sample."""
        features = self.features(x)
        result = self.head.evaluate(features, label)
        nearest = self.head.nearest_mean(features) if self.head.has_means else None
        return Evaluation(label, result.predicted, nearest, result.loss)

    def fit(self, x: NDArray[Any], target: NDArray[Any]) -> Outcome:
        """Learn that the outputs shall be ``target``."""
        result = self.head.sample_target(self.features(x), target)
        return Outcome(-1, -1, result.loss, result.stepped)

    def loss(self, x: NDArray[Any], target: NDArray[Any]) -> float:
        """The mean square of what the outputs are away from ``target``."""
        return self.head.evaluate_target(self.features(x), target).loss

    def step(self, recalled: int = 0) -> float:
        """Learn from the replay buffer; then update the weights. The mean loss before."""
        losses = rehearse(self.head, recalled)
        self.head.flush()
        total = sum(round(loss * LOSS_ONE) for loss in losses)
        return total // max(1, len(losses)) / LOSS_ONE

    def add_class(self) -> int:
        """One class more; its label."""
        return self.head.add_class()

    def fetch(self, part: Part = "head") -> bytes:
        """That part's bytes."""
        return self.head.state(StatePart(PARTS.index(part)))

    def begin(self, rate: float | None = None, batch: int | None = None) -> None:
        """Another learning rate, another size of mini-batches."""
        if rate is not None:
            self._recipe = replace(self._recipe, rate=rate, batch=batch or self._recipe.batch)
            self.head.set_recipe(self._recipe)
        if self.trainable.config.anomaly != "none":
            self.head.set_alarm(self.head.alarm)  # votes begin anew

    def status(self) -> Status:
        """What the head itself knows: shapes and classes; counters of the line are 0."""
        config = self.trainable.config
        return Status(
            config=config_hash(config),
            origin="trained" if self.head.steps else "initial",
            parts={},
            classes=self.head.classes,
            most_classes=config.outputs,
            steps=self.head.steps,
            samples=self.head.samples,
            pending=0,
            batch=self._recipe.batch,
            replay_used=len(self.head.replay()[1]),
            replay_slots=config.replay_slots,
            replay_seen=0,
            correct=0,
            evaluated=0,
            anomaly=config.anomaly,
            learned=self.head.learned,
            alarm=None if config.anomaly == "none" else self._alarm(),
        )


AnyTrainer: TypeAlias = Trainer | LocalTrainer  # alike: samples are the device's input


# --- A session ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TrainOptions:
    """How a set of samples is trained. None: as the head's recipe says."""

    epochs: int = 1  # times that every sample is sent
    rehearse: int = 0  # samples from the replay buffer, after each epoch
    rate: float | None = None
    batch: int | None = None
    seed: int = 1  # of the samples' order; every epoch has another one


@dataclass(frozen=True, slots=True)
class Moment:
    """How it goes: after each sample, and at the end of each epoch's rehearsal."""

    done: int  # samples sent
    total: int
    loss: float | None  # of this sample, before it was learned
    right: bool | None
    rehearsed: int = 0
    rehearsal: float | None = None  # mean loss of the newest portion of them, before it was learned


@dataclass(frozen=True, slots=True)
class Trained:
    """What came of it."""

    moments: tuple[Moment, ...]
    state: bytes  # all of the head: fetch("all")

    def losses(self) -> list[float]:
        """Of every sample, in the order of learning."""
        return [moment.loss for moment in self.moments if moment.loss is not None]

    def rehearsals(self) -> list[float]:
        """Mean losses of what was rehearsed, part by part."""
        return [moment.rehearsal for moment in self.moments if moment.rehearsal is not None]

    def rights(self) -> list[bool]:
        """Whether every sample was recognized before it was learned, in the same order."""
        return [moment.right for moment in self.moments if moment.right is not None]


def check_head(status: Status, trainable: Trainable) -> None:
    """`DeviceError` unless the board's head is this one."""
    if status.config != config_hash(trainable.config):
        raise DeviceError(
            f"The board's head is another one ({status.config:08x}, not "
            f"{config_hash(trainable.config):08x}).",
            "Build and flash this model with the same layers and head options.",
        )


def check_samples(trainable: Trainable, x: NDArray[Any], y: NDArray[Any]) -> NDArray[Any]:
    """``x`` as the device wants it. `NanoError` unless ``y`` labels each of them with a class that
    the head can have."""
    labels, most = np.asarray(y), trainable.config.outputs
    if labels.dtype.kind not in "iu" or labels.shape != (len(x),):
        raise NanoError(
            f"The labels are {labels.dtype} {labels.shape} for {len(x)} samples.",
            "Give one whole number a sample, 0 for the first class.",
        )
    if len(labels) and not 0 <= labels.min() <= labels.max() < most:
        raise NanoError(
            f"There is a label {labels.max() if labels.min() >= 0 else labels.min()}; the head has "
            f"room for classes 0 to {most - 1}.",
            f"Export with --head classes={labels.max() + 1}."
            if labels.min() >= 0
            else "Number the classes from 0 on.",
        )
    return to_device(trainable.backbone, x)


def check_targets(trainable: Trainable, x: NDArray[Any], y: NDArray[Any]) -> NDArray[Any]:
    """``x`` as the device wants it. `NanoError` unless the head learns real values, and ``y`` has
    one for each of its outputs."""
    config = trainable.config
    if config.loss != "mse":
        raise NanoError("The head learns classes, not real values.", "Add --head loss=mse.")
    if y.dtype.kind not in "iuf" or y.shape != (len(x), config.first_classes):
        raise NanoError(
            f"The targets are {y.dtype} {y.shape} for {len(x)} samples.",
            f"Give {config.first_classes} real values a sample, in the outputs' own unit.",
        )
    if not np.isfinite(y.astype(np.float32)).all():
        raise NanoError("There are targets that are not finite.", "Leave these samples out.")
    return to_device(trainable.backbone, x)


def fit(
    trainer: AnyTrainer,
    trainable: Trainable,
    x: NDArray[Any],
    y: NDArray[Any],
    options: TrainOptions | None = None,
    *,
    watch: Callable[[Moment], None] | None = None,
) -> Trained:
    """`train` with real targets ``y`` [n, outputs], in the unit of the outputs; nothing of it goes
    to the replay buffer, so it cannot be rehearsed."""
    options = options or TrainOptions()
    if options.rehearse:
        raise NanoError(
            "The replay buffer keeps classes, no real values.", "Take more epochs instead."
        )
    data = check_targets(trainable, x, y)
    check_head(trainer.status(), trainable)
    _begin(trainer, trainable, options)
    chance = np.random.default_rng(options.seed)
    moments: list[Moment] = []
    total = options.epochs * len(data)
    for _ in range(options.epochs):
        for index in chance.permutation(len(data)):
            told = trainer.fit(data[index], y[index])
            moments.append(Moment(len(moments) + 1, total, told.loss, None))
            if watch is not None:
                watch(moments[-1])
        trainer.step()
    return Trained(tuple(moments), trainer.fetch("all"))


def mean_square(
    trainer: AnyTrainer,
    trainable: Trainable,
    x: NDArray[Any],
    y: NDArray[Any],
    progress: Progress | None = None,
) -> float:
    """Of the distances of the head's outputs from ``y``, over samples; nothing is learned."""
    told = []
    for one, target in zip(check_targets(trainable, x, y), y, strict=True):
        told.append(trainer.loss(one, target))
        if progress is not None:
            progress(len(told), len(x))
    return float(np.mean(told or [0.0]))


def _begin(trainer: AnyTrainer, trainable: Trainable, options: TrainOptions) -> None:
    """The recipe that the options ask for."""
    rate = options.rate
    if options.batch is not None and rate is None:
        rate = trainable.config.recipe.rate
    if rate is not None:
        trainer.begin(rate, options.batch)


def train(
    trainer: AnyTrainer,
    trainable: Trainable,
    x: NDArray[Any],
    y: NDArray[Any],
    options: TrainOptions | None = None,
    *,
    watch: Callable[[Moment], None] | None = None,
) -> Trained:
    """Have ``trainer`` learn the samples ``x`` [n, *input shape] with labels ``y`` [n].

    Classes that the head does not have yet are added first. ``watch`` is called after each sample.
    """
    options = options or TrainOptions()
    data = check_samples(trainable, x, y)
    check_head(trainer.status(), trainable)
    add_classes(trainer, y)
    _begin(trainer, trainable, options)
    moments = []
    for moment in _run(trainer, data, y, options):
        moments.append(moment)
        if watch is not None:
            watch(moment)
    return Trained(tuple(moments), trainer.fetch("all"))


# --- Did it stop short? ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Advice:
    """What a lesson's own loss says: it ended before it was at its end."""

    before: float  # mean loss of the last but one quarter
    last: float  # and of the last one
    rate: float
    better: float | None  # the rate, of those tried, that ended lowest from the same samples
    gain: float | None  # its loss at the end, over that of the lesson's own rate

    def __str__(self) -> str:
        falling = self.last < FALLING * self.before
        told = f"in its last quarter the loss {'still fell' if falling else 'stayed'}, from "
        told += f"{self.before:.3g} to {self.last:.3g}"
        if self.better is None:
            return f"{told}: rehearse longer, or take more epochs"
        return (
            f"{told}: with --rate {self.better:g} the same samples end at {self.gain:.0%} of that "
            "(tried in this process)"
        )


def advise(trained: Trained, trainable: Trainable, options: TrainOptions) -> Advice | None:
    """None where the lesson was at its end. Other rates are tried: the head as it was in the
    beginning rehearses what the replay buffer holds, as long as the lesson did."""
    losses = trained.rehearsals() or trained.losses()
    quarter = len(losses) // 4
    if quarter == 0:
        return None
    before, last = (
        float(np.mean(part)) for part in (losses[-2 * quarter : -quarter], losses[-quarter:])
    )
    if last < SMALL:
        return None
    rate = trainable.config.recipe.rate if options.rate is None else options.rate
    ends = _tried(trained, trainable, options, rate)
    better = min(ends, key=lambda one: ends[one]) if ends else rate
    if ends and ends[rate] > 0 and ends[better] <= WORTH * ends[rate]:
        return Advice(before, last, rate, better, ends[better] / ends[rate])
    return Advice(before, last, rate, None, None) if last < FALLING * before else None


def _tried(
    trained: Trained, trainable: Trainable, options: TrainOptions, rate: float
) -> dict[float, float]:
    """The loss at the end by the rate; empty where the replay buffer holds less than was learned,
    so that another rate there says little of a lesson."""
    known = restored(trainable, trained.state)
    features, labels = known.replay()
    sent = 0 if options.rehearse else len(trained.losses())
    if not len(labels) or len(labels) * options.epochs < sent:
        return {}
    own = options.epochs * options.rehearse or len(trained.losses())
    count = min(own, MOST_TRIED)
    recipe = trainable.config.recipe
    ends = {}
    for factor in (1, *RATES):
        head = Head(trainable.config)
        while head.classes < known.classes:
            head.add_class()
        for row, label in zip(features, labels, strict=True):
            head.remember(row, int(label))
        batch = options.batch or recipe.batch
        try:
            head.set_recipe(replace(recipe, rate=rate * factor, batch=batch))
        except NanoError:  # no rate is that large
            continue
        losses = rehearse(head, count)
        ends[rate * factor] = float(np.mean(losses[-max(1, count // 4) :]))
    return ends


def rehearse(head: Head, count: int) -> list[float]:
    """Learn from the replay buffer, sample by sample; the losses before."""
    return [head.rehearse(1).loss for _ in range(count)]


def add_classes(trainer: AnyTrainer, y: NDArray[Any]) -> None:
    """Make sure that the head has all classes of ``y``."""
    for _ in range(trainer.status().classes, int(np.max(y, initial=0)) + 1):
        trainer.add_class()


def remember(
    trainer: AnyTrainer,
    trainable: Trainable,
    x: NDArray[Any],
    y: NDArray[Any],
    progress: Progress | None = None,
) -> None:
    """Put samples into the replay buffer, without learning."""
    data = check_samples(trainable, x, y)
    add_classes(trainer, y)
    for number, (one, label) in enumerate(zip(data, y, strict=True), start=1):
        trainer.remember(one, int(label))
        if progress is not None:
            progress(number, len(data))


def _run(
    trainer: AnyTrainer, x: NDArray[Any], y: NDArray[Any], options: TrainOptions
) -> Iterator[Moment]:
    chance, batch = np.random.default_rng(options.seed), trainer.status().batch
    total = options.epochs * len(x)
    for epoch in range(options.epochs):
        for number, index in enumerate(chance.permutation(len(x)), start=epoch * len(x) + 1):
            told = trainer.sample(x[index], int(y[index]))
            yield Moment(number, total, told.loss, told.predicted == told.label)
        rehearsed = epoch * options.rehearse
        for count in rehearsals(options.rehearse, batch):
            loss, rehearsed = trainer.step(count), rehearsed + count
            yield Moment((epoch + 1) * len(x), total, None, None, rehearsed, loss)
        trainer.step()
        yield Moment((epoch + 1) * len(x), total, None, None, rehearsed)


def rehearsals(count: int, batch: int) -> list[int]:
    """``count`` in some `LOOKS` parts of whole mini-batches, the last one but for its end."""
    whole = -(-count // (LOOKS * batch)) * batch
    return portions(count, min(whole, MOST_RECALLED // batch * batch)) if count else []


def portions(count: int, most: int) -> list[int]:
    """``count`` in parts of at most ``most``."""
    return [min(most, count - done) for done in range(0, count, most)]


def accuracy(
    trainer: AnyTrainer,
    trainable: Trainable,
    x: NDArray[Any],
    y: NDArray[Any],
    progress: Progress | None = None,
) -> tuple[float, float]:
    """(share of right answers, mean loss) of the head, in the arithmetic that it learns with, over
    samples; nothing is learned. The head must have all classes of ``y``."""
    told = []
    for one, label in zip(check_samples(trainable, x, y), y, strict=True):
        told.append(trainer.evaluate(one, int(label)))
        if progress is not None:
            progress(len(told), len(x))
    right = sum(answer.predicted == answer.label for answer in told)
    return right / max(1, len(told)), float(np.mean([answer.loss for answer in told] or [0.0]))


# --- Back to PyTorch ------------------------------------------------------------------------------


def restored(trainable: Trainable, state: bytes) -> Head:
    """The head that ``state`` (of any part) is of, in this process."""
    head = Head(trainable.config)
    head.restore(state)
    return head


def checkpoint(trainable: Trainable, state: bytes) -> dict[str, FloatArray]:
    """The head's weights in real numbers, named and laid out as the modules' state_dict: those of
    the active classes, inputs in PyTorch's order."""
    head = restored(trainable, state)
    result: dict[str, FloatArray] = {}
    for index, name in enumerate(trainable.layers):
        weights, bias = head.weights(index), head.bias(index)
        if trainable.config.arithmetic == "int16":
            weights = weights * 2.0 ** -trainable.config.layers[index].weight_bits
            bias = bias * 2.0**-BIAS_BITS
        if index == len(trainable.layers) - 1:
            weights, bias = weights[: head.classes], bias[: head.classes]
        if index == 0 and trainable.order is not None:
            turned = np.empty_like(weights)
            turned[:, trainable.order] = weights
            weights = turned
        result[f"{name}.weight"] = np.ascontiguousarray(weights, np.float32)
        result[f"{name}.bias"] = np.ascontiguousarray(bias, np.float32)
    return result


def save_checkpoint(tensors: dict[str, FloatArray], path: Path) -> None:
    """Write a state_dict (.pt, as torch.load reads) or NumPy arrays (.npz)."""
    import io  # noqa: PLC0415

    file = io.BytesIO()
    if path.suffix == ".npz":
        np.savez(file, **tensors)  # type: ignore[arg-type]  # arrays by name
    else:
        check_checkpoint(path)
        import torch  # noqa: PLC0415

        torch.save({name: torch.from_numpy(data) for name, data in tensors.items()}, file)
    write_atomic(path, file.getvalue())


def check_checkpoint(path: Path) -> None:
    """`NanoError` unless a checkpoint can be written at ``path``: said before the work begins."""
    if path.suffix not in (".pt", ".npz"):
        raise NanoError(
            f"{path} is no checkpoint's name.", "Name it .pt (PyTorch) or .npz (NumPy)."
        )
    check_writable(path)
    if path.suffix == ".pt":
        try:
            import torch  # noqa: F401, PLC0415
        except ImportError as error:
            raise MissingTool(
                "A .pt file needs PyTorch, which is not installed.",
                "Write .npz, or run: pip install 'nanotool[torch]'",
            ) from error


def sparkline(values: Sequence[float], width: int = 40) -> str:
    """``values`` as a line of block characters from 0 to their maximum, means of equal parts."""
    if not values:
        return ""
    count = min(width, len(values))
    parts = [float(np.mean(part)) for part in np.array_split(np.asarray(values, float), count)]
    top = max(*parts, 1e-9) if len(parts) > 1 else max(parts[0], 1e-9)
    return "".join("▁▂▃▄▅▆▇█"[min(7, int(8 * max(0.0, part) / top))] for part in parts)
