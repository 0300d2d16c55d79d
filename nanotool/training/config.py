"""What is fixed when a trainable head is exported, and the memory that follows from it: the twin of
lib/nano/include/nano/train.h and lib/nano/src/train/config.c."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nanotool.errors import NanoError

Arithmetic: TypeAlias = Literal["float32", "int16"]
Loss: TypeAlias = Literal["cross_entropy", "mse"]
Optimizer: TypeAlias = Literal["sgd", "momentum", "adam"]
Schedule: TypeAlias = Literal["constant", "step", "cosine"]
Replay: TypeAlias = Literal["reservoir", "balanced"]
Anomaly: TypeAlias = Literal["none", "nearest", "gaussian"]

# In the order of the C enums.
LOSSES: tuple[Loss, ...] = ("cross_entropy", "mse")
OPTIMIZERS: tuple[Optimizer, ...] = ("sgd", "momentum", "adam")
SCHEDULES: tuple[Schedule, ...] = ("constant", "step", "cosine")
REPLAYS: tuple[Replay, ...] = ("reservoir", "balanced")
ANOMALIES: tuple[Anomaly, ...] = ("none", "nearest", "gaussian")

RECORD_SIZE = 64
MOST_SLOTS = 65535  # of a replay buffer
NO_THRESHOLD = 2**32 - 1  # no score is above it
MOST_VOTES = 32  # scores that a vote is of
BIAS_BITS = 16  # fractional bits of biases and outputs in integers


class Part(IntEnum):
    """How much of a head is saved: nano_train_part."""

    HEAD = 0
    OPTIMIZER = 1
    ALL = 2


@dataclass(frozen=True, slots=True)
class Recipe:
    """nano_train_recipe: the numbers that may change from one training to the next."""

    rate: float = 0.05
    momentum: float = 0.9
    weight_decay: float = 0.0
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    clip: float = 0.0
    schedule: Schedule = "constant"
    warmup: int = 0
    period: int = 1
    gamma: float = 1.0
    batch: int = 8


@dataclass(frozen=True, slots=True)
class Alarm:
    """nano_train_alarm: when a score is an alarm. `NanoError` for numbers out of range.

    ``threshold``: scores above it are anomalous. ``needed`` of the last ``window`` scores: an
    alarm. ``quantile`` and ``margin``, per mille: how a board takes the threshold from what it
    learned, as that quantile of the distances between recordings, times the margin.
    """

    threshold: int = NO_THRESHOLD
    quantile: int = 990
    margin: int = 1500
    needed: int = 1
    window: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.threshold <= NO_THRESHOLD:
            raise NanoError(f"The threshold {self.threshold} is none.", "Give 0 to 4,294,967,295.")
        if not (1 <= self.quantile <= 1000 and 1 <= self.margin <= 65535):
            raise NanoError(
                f"A quantile of {self.quantile} and a margin of {self.margin} per mille are none.",
                "Give a quantile of 1 to 1000 and a margin of 1 to 65535.",
            )
        if not 1 <= self.needed <= self.window <= MOST_VOTES:
            raise NanoError(
                f"{self.needed} of {self.window} scores are no vote.",
                f"Give 1 to {MOST_VOTES} scores, of which at least 1 is needed.",
            )


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """nano_train_layer: a dense layer, with its first weights in real numbers.

    ``weights`` [outputs, inputs] or None (random); ``bias`` [outputs] or None (0). ``low`` and
    ``high``: the outputs' range to begin with, as if observed, times 2^16.
    """

    outputs: int
    weights: NDArray[Any] | None = None
    bias: NDArray[Any] | None = None
    weight_bits: int = 12
    activation_bits: int = 8
    low: int = 0
    high: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class HeadConfig:
    """nano_train_config. ``classes`` active at the beginning; None: all outputs."""

    features: int
    feature_scale: float
    layers: tuple[Layer, ...]
    feature_zero_point: int = 0
    backbone: str = ""
    arithmetic: Arithmetic = "float32"
    loss: Loss = "cross_entropy"
    optimizer: Optimizer = "momentum"
    replay: Replay = "balanced"
    replay_slots: int = 0
    class_means: bool = False
    classes: int | None = None
    seed: int = 1
    recipe: Recipe = field(default_factory=Recipe)
    anomaly: Anomaly = "none"
    alarm: Alarm = field(default_factory=Alarm)

    def __post_init__(self) -> None:
        if not 0 <= self.seed < 2**32:
            raise NanoError(f"The seed {self.seed} is none.", "Seeds are 0 to 4,294,967,295.")
        if not 0 <= self.replay_slots <= MOST_SLOTS:
            raise NanoError(
                f"A replay buffer of {self.replay_slots} slots cannot be.",
                f"Give 0 to {MOST_SLOTS}.",
            )
        if self.anomaly == "nearest" and not self.replay_slots:
            raise NanoError(
                "The nearest sample is looked for in the replay buffer, and there is none.",
                "Give it slots, or take anomaly=gaussian, which needs none.",
            )

    @property
    def outputs(self) -> int:
        """Of the last layer: the most classes."""
        return self.layers[-1].outputs

    @property
    def first_classes(self) -> int:
        """Classes that are active at the beginning."""
        return self.outputs if self.classes is None else self.classes

    @property
    def element(self) -> int:
        """Bytes of a weight."""
        return 4 if self.arithmetic == "float32" else 2

    @property
    def moments(self) -> int:
        """Numbers that the optimizer keeps for each parameter."""
        return OPTIMIZERS.index(self.optimizer)

    def inputs(self, layer: int) -> int:
        """Of layer ``layer``."""
        return self.features if layer == 0 else self.layers[layer - 1].outputs

    @property
    def weight_count(self) -> int:
        """Of all layers, biases left out."""
        return sum(self.inputs(i) * layer.outputs for i, layer in enumerate(self.layers))

    @property
    def bias_count(self) -> int:
        """Of all layers."""
        return sum(layer.outputs for layer in self.layers)


def quantized_weights(layer: Layer) -> NDArray[np.int16] | None:
    """``layer.weights`` as the integer path begins with them."""
    if layer.weights is None:
        return None
    scaled = np.rint(np.asarray(layer.weights, np.float64) * 2.0**layer.weight_bits)
    return np.clip(scaled, -32767, 32767).astype(np.int16)


def quantized_bias(layer: Layer) -> NDArray[np.int32] | None:
    """``layer.bias`` as the integer path begins with it."""
    if layer.bias is None:
        return None
    scaled = np.rint(np.asarray(layer.bias, np.float64) * 2.0**BIAS_BITS)
    return np.clip(scaled, -(2**30) + 1, 2**30 - 1).astype(np.int32)


# --- Memory ---------------------------------------------------------------------------------------


def _padded(size: int) -> int:
    return (size + 3) // 4 * 4


def state_size(config: HeadConfig, part: Part = Part.ALL) -> int:
    """Bytes of what is saved: nano_train_state_size()."""
    size = RECORD_SIZE + _padded(config.element * config.weight_count)
    size += 4 * config.bias_count + 8 * len(config.layers)
    size += 4 * config.outputs * (config.features + 1) * config.class_means
    size += 8 * config.features * (config.anomaly == "gaussian")
    if part >= Part.OPTIMIZER:
        size += 4 * config.moments * (config.weight_count + config.bias_count)
    if part >= Part.ALL and config.replay_slots:
        size += _padded(config.replay_slots * (config.features + 2)) + 8 * config.outputs
        size += _padded(2 * config.replay_slots) * (config.anomaly == "nearest")
    return size


def arena_size(config: HeadConfig) -> int:
    """Bytes of arena that the head takes: nano_train_arena_size()."""
    biases, weights, element = config.bias_count, config.weight_count, config.element
    widest = max(layer.outputs for layer in config.layers)
    inputs = config.features + biases - config.outputs
    size = state_size(config) + 4 * (weights + biases) + _padded(element * inputs)
    size += 4 * widest + 2 * _padded(element * widest)
    size += _padded(weights) + 8 * biases + _padded(biases) + 2 * _padded(widest)
    if config.anomaly == "nearest":
        size += 4 * config.replay_slots
    return size + 4 * config.features * (config.anomaly == "gaussian")


def arena_size_macro(config: HeadConfig) -> str:
    """The same as a call of the C macro, for a static assertion in generated sources."""
    numbers = (
        config.element,
        config.features,
        config.bias_count - config.outputs,
        config.outputs,
        max(layer.outputs for layer in config.layers),
        len(config.layers),
        config.weight_count,
        config.moments,
        config.replay_slots,
        int(config.class_means),
    )
    size = f"NANO_TRAIN_ARENA_SIZE({', '.join(f'{number}u' for number in numbers)})"
    if config.anomaly == "none":
        return size
    kind = ANOMALIES.index(config.anomaly)
    own = f"NANO_TRAIN_ANOMALY_SIZE({kind}u, {config.features}u, {config.replay_slots}u)"
    return f"({size} + {own})"


def config_hash(config: HeadConfig) -> int:
    """What the saved bytes mean, as a number: nano_train_hash(), FNV-1a."""
    (scale,) = struct.unpack("<I", struct.pack("<f", config.feature_scale))
    numbers = [
        config.features,
        config.feature_zero_point & 0xFFFFFFFF,
        scale,
        config.element,
        config.moments,
        REPLAYS.index(config.replay),
        config.replay_slots,
        int(config.class_means),
        len(config.layers),
    ]
    for layer in config.layers:
        numbers += [layer.outputs, layer.weight_bits, layer.activation_bits]
    if config.anomaly != "none":
        numbers.append(ANOMALIES.index(config.anomaly))
    result = 2166136261
    for byte in config.backbone.encode() + struct.pack(f"<{len(numbers)}I", *numbers):
        result = (result ^ byte) * 16777619 & 0xFFFFFFFF
    return result
