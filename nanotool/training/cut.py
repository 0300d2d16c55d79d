"""A model cut in two: a frozen backbone, and its last dense layers as a head that learns.

    quantized model:  input ─ … ─ features ─ fc1, ReLU ─ fc2 ─ softmax ─ output
    cut at fc1, fc2:  input ─ … ─ features │ HeadConfig: 2 layers, weights de-quantized

The head's outputs are logits: what follows them in the model (softmax, argmax) is left out, the
cross-entropy has it in itself.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nanotool.errors import NanoError
from nanotool.ir import (
    INT8_MAX,
    INT8_MIN,
    ArgMax,
    Dense,
    LogSoftmax,
    QGraph,
    QOp,
    QTensor,
    Quantize,
    Reshape,
    Softmax,
)
from nanotool.ops import layers_of
from nanotool.passes.lossless import drop_dead_code, simplify
from nanotool.qfile import graph_hash
from nanotool.training.config import (
    ANOMALIES,
    Alarm,
    Anomaly,
    Arithmetic,
    HeadConfig,
    Layer,
    Loss,
    Optimizer,
    Recipe,
    Replay,
)

WIDEST = 16384  # NANO_TRAIN_MAX_WIDTH
MOST_LAYERS = 4  # NANO_TRAIN_MAX_LAYERS
_BEHIND = (Softmax, LogSoftmax, ArgMax, Reshape, Quantize)  # what may follow the head's last layer
_MOST_ACTIVATION = 4095
_ROOM = 4  # times the largest weight that int16 weights have room for
_ROOM_ACTIVATION = 16  # times the largest hidden activation: 256 steps of 4096 are left for it


@dataclass(frozen=True, slots=True)
class HeadOptions:
    """How the head learns. ``classes``: the most it can ever have; None: the model's."""

    arithmetic: Arithmetic = "int16"
    optimizer: Optimizer = "momentum"
    loss: Loss = "cross_entropy"
    replay: Replay = "balanced"
    slots: int = 100  # samples of the replay buffer
    means: bool = False  # keep the mean of every class, too
    classes: int | None = None
    seed: int = 1
    recipe: Recipe = field(default_factory=Recipe)
    anomaly: Anomaly = "none"  # how far a sample is from what is normal
    alarm: Alarm = field(default_factory=Alarm)


@dataclass(frozen=True, slots=True, eq=False)
class Trainable:
    """A backbone and the head behind it."""

    backbone: QGraph  # simplified; its output is the features
    config: HeadConfig
    layers: tuple[str, ...]  # the user's modules, first to last
    # The backbone's feature i is input order[i] of the user's first layer; None: the same order.
    order: NDArray[np.intp] | None
    labels: tuple[str, ...]  # of the classes that the model has


def cut(graph: QGraph, layers: Sequence[str], options: HeadOptions | None = None) -> Trainable:
    """Make the dense ``layers`` of ``graph``, its last ones, a trainable head.

    Raises `NanoError` with the layer's name and the way out where one cannot be.
    """
    options = options or HeadOptions()
    _check_ends(graph)
    ops = _head_ops(graph, layers)
    features = graph.tensors[ops[0].inputs[0]]
    backbone = _backbone(graph, features)
    outputs = ops[-1].weight.shape[0] if ops[-1].weight is not None else 0
    most = options.classes or outputs
    if most < outputs:
        raise NanoError(
            f"{ops[-1].name} has {outputs} outputs, more than {most} classes.",
            f"Ask for classes={outputs} or more.",
        )
    config = HeadConfig(
        backbone=graph_hash(backbone),
        features=features.size,
        feature_scale=features.scale,
        feature_zero_point=features.zero_point,
        layers=tuple(_layer(graph, op, most if op is ops[-1] else None) for op in ops),
        arithmetic=options.arithmetic,
        optimizer=options.optimizer,
        loss=options.loss,
        replay=options.replay,
        replay_slots=options.slots,
        class_means=options.means,
        classes=outputs,
        seed=options.seed,
        recipe=options.recipe,
        anomaly=options.anomaly,
        alarm=options.alarm,
    )
    names = tuple(op.name for op in ops)
    labels = graph.labels if len(graph.labels) == outputs else ()
    return Trainable(backbone, config, names, _order(graph, features), labels)


# --- Which layers ---------------------------------------------------------------------------------


def _check_ends(graph: QGraph) -> None:
    """A sample is one tensor, and its class is what the model answers."""
    for what, names in (("input", graph.inputs), ("output", graph.outputs)):
        if len(names) > 1:
            raise NanoError(
                f"{graph.name} has {len(names)} {what}s ({', '.join(names)}); a head learns behind "
                f"a model of one {what}.",
                "Quantize a module whose forward gives the output that shall learn alone."
                if what == "output"
                else "Join them before the model: its forward takes one tensor apart again.",
            )


def _head_ops(graph: QGraph, layers: Sequence[str]) -> list[QOp]:
    """The named layers' ops, checked: dense, one behind the other, the model's last."""
    known = {op.name: op for op in graph.ops}
    dense = [layer.name for layer in layers_of(graph, Dense)]
    if not layers or len(layers) > MOST_LAYERS:
        raise NanoError(f"A head has 1 to {MOST_LAYERS} layers.", _last(dense))
    for name in layers:
        if name not in known:
            raise NanoError(f"{graph.name} has no layer {name}.", _last(dense))
        if not isinstance(known[name].op, Dense):
            kind = type(known[name].op).__name__
            raise NanoError(f"{name} is a {kind}; only dense layers learn.", _last(dense))
    ops = [op for op in graph.ops if op.name in layers]
    for before, after in itertools.pairwise(ops):
        if after.inputs[0] != before.name or _readers(graph, before.name) != [after]:
            raise NanoError(
                f"{after.name} does not follow {before.name} alone, with at most a ReLU between.",
                _last(dense),
            )
        if not _is_relu(before, graph.tensors[before.name]):
            raise NanoError(
                f"{before.name} has no ReLU behind it, as a head's layers have.",
                f"Name only the layers from {after.name} on, or train the model with a ReLU.",
            )
    for op in ops:
        _check_size(graph, op)
    _check_end(graph, ops[-1], dense)
    return ops


def _last(dense: Sequence[str]) -> str:
    if not dense:
        return "The model needs a dense layer (nn.Linear) at its end."
    return f"Name its last dense layers; its dense layers are: {', '.join(dense)}."


def _readers(graph: QGraph, tensor: str) -> list[QOp]:
    return [op for op in graph.ops if tensor in op.inputs]


def _is_relu(op: QOp, tensor: QTensor) -> bool:
    """Whether 0 is the least and nothing else is cut off."""
    return op.clamp == (max(INT8_MIN, tensor.zero_point), INT8_MAX)


def _check_size(graph: QGraph, op: QOp) -> None:
    tensor = graph.tensors[op.inputs[0]]
    assert op.weight is not None
    if tensor.size != op.weight.shape[1] or tensor.dtype != "int8":
        raise NanoError(
            f"{op.name} is applied to {'x'.join(map(str, tensor.shape))} {tensor.dtype}, "
            f"not to one vector of {op.weight.shape[1]} int8 features.",
            "Flatten or pool before it, so that a sample has one feature vector.",
        )
    if max(op.weight.shape) > WIDEST:
        raise NanoError(
            f"{op.name} is {op.weight.shape[0]} x {op.weight.shape[1]}, wider than {WIDEST}.",
            "Pool its input, or put a narrower dense layer before it.",
        )


def _check_end(graph: QGraph, last: QOp, dense: Sequence[str]) -> None:
    """What follows the last layer leaves the order of its outputs as it is."""
    if last.clamp != (INT8_MIN, INT8_MAX) or graph.tensors[last.name].zero_point == INT8_MIN:
        raise NanoError(
            f"{last.name} has an activation behind it; a head's last layer has none.",
            "Put another nn.Linear behind it, or leave the activation out.",
        )
    name = last.name
    while name != graph.output:
        readers = _readers(graph, name)
        if len(readers) != 1 or not isinstance(readers[0].op, _BEHIND):
            after = readers[0].name if readers else "nothing"
            raise NanoError(f"{last.name} is not the model's end: {after} follows.", _last(dense))
        name = readers[0].name


# --- The backbone ---------------------------------------------------------------------------------


def _backbone(graph: QGraph, features: QTensor) -> QGraph:
    """What computes ``features``, in all steps."""
    part = drop_dead_code(
        replace(
            graph,
            outputs=(features.name,),
            output_names=(),
            labels=(),
            quality=(),
            stream=None,  # its rule was of what is cut off
        )
    )
    if not part.ops:
        raise NanoError(
            f"Nothing of {graph.name} is left before the head.",
            "Name fewer layers: at least one must stay frozen, to compute the features.",
        )
    part = replace(part, quality=tuple(q for q in graph.quality if q.tensor in part.tensors))
    return simplify(part)


def _order(graph: QGraph, features: QTensor) -> NDArray[np.intp] | None:
    """PyTorch flattens C, H, W where the device has H, W, C."""
    producer = next((op for op in graph.ops if op.name == features.name), None)
    while producer is not None and isinstance(producer.op, Reshape):
        source = graph.tensors[producer.inputs[0]]
        if len(source.shape) == 3 and graph.source.startswith("torch"):
            height, width, channels = source.shape
            own = np.arange(source.size).reshape(channels, height, width)
            order = own.transpose(1, 2, 0).reshape(-1)
            return None if np.array_equal(order, np.arange(source.size)) else order
        producer = next((op for op in graph.ops if op.name == source.name), None)
    return None


# --- The head -------------------------------------------------------------------------------------


def _layer(graph: QGraph, op: QOp, most: int | None) -> Layer:
    """``op`` in real numbers; with ``most`` outputs, those that the model lacks being 0."""
    weights, bias = _real(graph, op)
    tensor = graph.tensors[op.name]
    low, high = ((end - tensor.zero_point) * tensor.scale for end in (INT8_MIN, INT8_MAX))
    if most is not None:
        weights = np.pad(weights, ((0, most - len(weights)), (0, 0)))
        bias = np.pad(bias, (0, most - len(bias)))
    return Layer(
        outputs=len(bias),
        weights=weights.astype(np.float32),
        bias=bias.astype(np.float32),
        weight_bits=_bits(32767 / _ROOM, float(np.abs(weights).max()), 12),
        activation_bits=0
        if most is not None
        else _bits(_MOST_ACTIVATION / _ROOM_ACTIVATION, high, 16),
        low=min(0, round(low * 2**16)),
        high=max(0, round(high * 2**16)),
    )


def _real(graph: QGraph, op: QOp) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weights [outputs, inputs] and bias [outputs], de-quantized."""
    assert op.weight is not None and op.weight_scale is not None
    scale = np.broadcast_to(op.weight_scale.astype(np.float64), len(op.weight))
    weights = op.weight * scale[:, None]
    if op.bias is None:
        return weights, np.zeros(len(weights))
    return weights, op.bias * scale * graph.tensors[op.inputs[0]].scale


def _bits(limit: float, largest: float, most: int) -> int:
    """Fractional bits, at most ``most``, with which ``largest`` stays within ``limit``."""
    return most if largest <= 0 else max(0, min(most, math.floor(math.log2(limit / largest))))


# --- Options as text ------------------------------------------------------------------------------

_RECIPE = {"rate": "rate", "batch": "batch", "decay": "weight_decay", "clip": "clip"}
_RECIPE |= {"momentum": "momentum"}
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "arithmetic": ("int16", "float32"),
    "optimizer": ("sgd", "momentum", "adam"),
    "loss": ("cross_entropy", "mse"),
    "replay": ("balanced", "reservoir"),
    "anomaly": ANOMALIES,
}
_ALARM = ("threshold", "quantile", "margin")  # and votes=NEEDED/WINDOW
_SWITCH = {"yes": True, "1": True, "": True, "no": False, "0": False}


def parse_options(text: str) -> HeadOptions:
    """``"optimizer=adam,arithmetic=float32,slots=300"`` as options. NanoError for other words."""
    options, recipe, alarm = HeadOptions(), Recipe(), Alarm()
    for item in filter(None, (part.strip() for part in text.split(","))):
        name, _, value = item.partition("=")
        if name in _RECIPE:
            recipe = replace(recipe, **{_RECIPE[name]: _number(item, value, name == "batch")})
        elif name in _ALARM:
            alarm = replace(alarm, **{name: _number(item, value, True)})
        elif name == "votes":
            needed, slash, window = value.partition("/")
            votes = (_number(item, part, True) for part in (needed, window if slash else needed))
            alarm = replace(alarm, **dict(zip(("needed", "window"), votes, strict=True)))
        else:
            options = replace(options, **{name: _choice(item, name, value)})
    if options.arithmetic == "int16" and options.optimizer == "adam":
        raise NanoError(
            "Adam needs real numbers.", "Add arithmetic=float32, or take optimizer=momentum."
        )
    if options.optimizer != "momentum" and recipe == replace(Recipe(), momentum=recipe.momentum):
        recipe = replace(recipe, rate=0.001 if options.optimizer == "adam" else recipe.rate)
    if options.anomaly == "none" and alarm != Alarm():
        raise NanoError(
            f"{text}: a head without scores has no threshold.", "Add anomaly=nearest or gaussian."
        )
    return replace(options, recipe=recipe, alarm=alarm)


def alarm_text(config: HeadConfig, alarm: Alarm, given: str = "") -> str:
    """The words of ``--head`` for ``alarm``, and what it is of, behind what else was ``given``. A
    threshold that a board takes from its own recordings is left out."""
    words = [f"anomaly={config.anomaly}", f"slots={config.replay_slots}"]
    if config.anomaly == "nearest":
        words += [f"quantile={alarm.quantile}", f"margin={alarm.margin}"]
    else:
        words.append(f"threshold={alarm.threshold}")
    words.append(f"votes={alarm.needed}/{alarm.window}")
    own = {"threshold", *(word.partition("=")[0] for word in words)}
    kept = [item for item in given.split(",") if item.strip()]
    return ",".join([*(one for one in kept if one.partition("=")[0].strip() not in own), *words])


def _choice(item: str, name: str, value: str) -> Any:
    if name in _CHOICES:
        if value not in _CHOICES[name]:
            raise NanoError(f"{item}: no such {name}.", f"One of {', '.join(_CHOICES[name])}.")
        return value
    if name == "means":
        if value not in _SWITCH:
            raise NanoError(f"{item}: that is neither yes nor no.", "Write means=yes or means=no.")
        return _SWITCH[value]
    if name in ("slots", "classes", "seed"):
        return _number(item, value, True)
    own = (f.name for f in fields(HeadOptions) if f.name not in ("recipe", "alarm"))
    known = (*own, *_RECIPE, *_ALARM, "votes")
    raise NanoError(f"{item}: a head has no such option.", f"It has {', '.join(known)}.")


def _number(item: str, value: str, whole: bool) -> Any:
    try:
        number = int(value) if whole else float(value)
    except ValueError as error:
        raise NanoError(f"{item}: {value!r} is no number.", "Write rate=0.05, batch=8.") from error
    if number < 0 or not math.isfinite(number):
        raise NanoError(f"{item}: {value} is out of range.", "Give a number of 0 or more.")
    return number
