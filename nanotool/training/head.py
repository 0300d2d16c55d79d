"""The library's trainer in this process: lib/nano/src/train through cffi."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nanotool.errors import NanoError
from nanotool.ir import Int8Array
from nanotool.runtime import load
from nanotool.runtime.arena import new_arena
from nanotool.training.config import (
    ANOMALIES,
    LOSSES,
    OPTIMIZERS,
    REPLAYS,
    SCHEDULES,
    Alarm,
    HeadConfig,
    Layer,
    Part,
    Recipe,
    quantized_bias,
    quantized_weights,
)

CData: TypeAlias = Any  # cffi objects have no static types

LOSS_ONE = 2**20  # a loss of 1, as the library tells it


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a sample: loss and prediction before the update; was there an update?"""

    loss: float
    predicted: int
    stepped: bool


@dataclass(frozen=True, slots=True)
class Opinion:
    """How far a sample is from what is normal; whether that is above the threshold; whether the
    vote of the last ones is an alarm."""

    score: int
    anomalous: bool
    alarm: bool


class Head:
    """A trainable head, byte for byte as on the device (in float32: within rounding)."""

    def __init__(self, config: HeadConfig, *, arena: int | None = None) -> None:
        """Take ``arena`` bytes (None: just enough) and begin with the config's weights.

        Raises `NanoError` for a config that the library refuses.
        """
        extension = load()
        self._ffi, self._lib = extension.ffi, extension.lib
        self.config = config
        self._keep: list[Any] = []  # what C points to, for as long as this object lives
        self._config = self._make_config(config)
        size = self._lib.nano_train_arena_size(self._config) if arena is None else arena
        self._arena = new_arena(extension, size)
        self._head = self._ffi.new("nano_train *")
        self._check(self._lib.nano_train_init(self._head, self._config, self._arena))

    # --- Training ---------------------------------------------------------------------------------

    def reset(self) -> None:
        """Begin anew; the recipe stays."""
        self._check(self._lib.nano_train_reset(self._head))

    def set_recipe(self, recipe: Recipe) -> None:
        """Other numbers from the next sample on."""
        filled = self._ffi.new("nano_train_recipe *", self._recipe(recipe))
        self._check(self._lib.nano_train_set_recipe(self._head, filled))

    def sample(self, features: Int8Array, label: int) -> Result:
        """Learn from one sample, int8 [features]."""
        return self._judge(self._lib.nano_train_sample, features, label)

    def sample_target(self, features: Int8Array, target: NDArray[Any]) -> Result:
        """The same with a real target for each active class."""
        values = self._ffi.new("float[]", [float(value) for value in target])
        return self._judge(self._lib.nano_train_sample_target, features, values)

    def evaluate(self, features: Int8Array, label: int) -> Result:
        """Loss and prediction; nothing is learnt."""
        return self._judge(self._lib.nano_train_evaluate, features, label)

    def evaluate_target(self, features: Int8Array, target: NDArray[Any]) -> Result:
        """The same with a real target for each active class."""
        values = self._ffi.new("float[]", [float(value) for value in target])
        return self._judge(self._lib.nano_train_evaluate_target, features, values)

    def flush(self) -> None:
        """Update the weights from an unfinished mini-batch."""
        self._check(self._lib.nano_train_flush(self._head))

    def add_class(self) -> int:
        """Activate one more class; its number."""
        label = self._ffi.new("uint16_t *")
        self._check(self._lib.nano_train_add_class(self._head, label))
        return int(label[0])

    # --- Replay and means -------------------------------------------------------------------------

    def remember(self, features: Int8Array, label: int) -> None:
        """Offer a sample to the replay buffer."""
        self._check(self._lib.nano_train_remember(self._head, self._features(features), label))

    def recall(self) -> tuple[Int8Array, int]:
        """A sample of the replay buffer by chance."""
        features, label = self._ffi.new("int8_t **"), self._ffi.new("uint16_t *")
        self._check(self._lib.nano_train_recall(self._head, features, label))
        return self._array(features[0], np.int8, self.config.features), int(label[0])

    def rehearse(self, count: int) -> Result:
        """Train on ``count`` recalled samples; what became of the last one."""
        result = self._ffi.new("nano_train_result *")
        self._check(self._lib.nano_train_rehearse(self._head, count, result))
        return _result(result)

    def replay(self) -> tuple[Int8Array, NDArray[np.uint16]]:
        """Features and labels that the replay buffer holds."""
        used = self._head.record.replay_used
        features = self._array(
            self._head.replay_features, np.int8, used * self.config.features
        ).reshape(used, self.config.features)
        return features, self._array(self._head.replay_labels, np.uint16, used)

    def add_to_mean(self, features: Int8Array, label: int) -> None:
        """Add a sample to its class's mean."""
        self._check(self._lib.nano_train_add_to_mean(self._head, self._features(features), label))

    def recordings(self) -> NDArray[np.uint16]:
        """Of every sample that the replay buffer holds, if the head scores by the nearest."""
        used = self._head.record.replay_used
        return self._array(self._head.recordings, np.uint16, used)

    @property
    def has_means(self) -> bool:
        """Whether any class has a mean."""
        counts = self._head.mean_counts
        return bool(counts) and any(counts[label] for label in range(self.classes))

    def nearest_mean(self, features: Int8Array) -> int:
        """The class whose mean is nearest."""
        label = self._ffi.new("uint16_t *")
        self._check(self._lib.nano_train_nearest_mean(self._head, self._features(features), label))
        return int(label[0])

    # --- Anomalies --------------------------------------------------------------------------------

    def learn(self, features: Int8Array, recording: int, label: int = 0) -> None:
        """Learn that a sample is normal."""
        given = self._features(features)
        self._check(self._lib.nano_train_learn(self._head, given, label, recording))

    def score(self, features: Int8Array) -> Opinion:
        """How far a sample is from what is normal."""
        told = self._ffi.new("nano_train_opinion *")
        self._check(self._lib.nano_train_score(self._head, self._features(features), told))
        return Opinion(int(told.score), bool(told.anomalous), bool(told.alarm))

    def set_alarm(self, alarm: Alarm) -> None:
        """Other numbers from the next score on; votes begin anew."""
        filled = self._ffi.new("nano_train_alarm *", asdict(alarm))
        self._check(self._lib.nano_train_set_alarm(self._head, filled))

    def calibrate(self) -> int:
        """Take the threshold from the replay buffer; it is returned."""
        threshold = self._ffi.new("uint32_t *")
        self._check(self._lib.nano_train_calibrate(self._head, threshold))
        return int(threshold[0])

    @property
    def alarm(self) -> Alarm:
        """As it is set."""
        alarm = self._head.record.alarm
        return Alarm(*(int(getattr(alarm, field.name)) for field in fields(Alarm)))

    @property
    def learned(self) -> int:
        """Samples that were learned as normal."""
        return int(self._head.record.learned)

    # --- The int8 head ----------------------------------------------------------------------------

    def quantize(self) -> None:
        """Make the int8 head from the weights as they are."""
        self._check(self._lib.nano_train_quantize(self._head))

    def infer(self, features: Int8Array) -> Int8Array:
        """The int8 head's outputs [n, classes] for ``features`` [n, features]."""
        outputs = self._ffi.new("int8_t **")
        rows = []
        for row in features:
            self._check(self._lib.nano_train_infer(self._head, self._features(row), outputs))
            count = self._head.dense[len(self.config.layers) - 1].out_features
            rows.append(self._array(outputs[0], np.int8, count))
        return np.array(rows, np.int8)

    @property
    def output_scale(self) -> float:
        """Of the int8 head's outputs."""
        return float(self._head.scale)

    @property
    def output_zero_point(self) -> int:
        """Of the int8 head's outputs."""
        return int(self._head.zero_point)

    # --- What it holds ----------------------------------------------------------------------------

    @property
    def arena_used(self) -> int:
        """Bytes taken."""
        return int(self._arena.used)

    @property
    def hash(self) -> int:
        """nano_train_hash()."""
        return int(self._lib.nano_train_hash(self._config))

    @property
    def steps(self) -> int:
        """Updates so far."""
        return int(self._head.record.steps)

    @property
    def samples(self) -> int:
        """Samples trained on so far."""
        return int(self._head.record.samples)

    @property
    def classes(self) -> int:
        """Active classes."""
        return int(self._head.record.classes)

    def rate_factor(self, step: int) -> int:
        """Of the learning rate, 2^-31."""
        pointer = self._ffi.addressof(self._head.recipe)
        return int(self._lib.nano_train_rate_factor(pointer, step))

    def weights(self, layer: int) -> NDArray[Any]:
        """[outputs, inputs], float32 or int16 as they lie there."""
        place = self._head.layer[layer]
        dtype = np.float32 if self.config.element == 4 else np.int16
        values = self._array(place.weights, dtype, place.outputs * place.inputs)
        return values.reshape(place.outputs, place.inputs)

    def bias(self, layer: int) -> NDArray[Any]:
        """[outputs], float32 or int32 as they lie there."""
        place = self._head.layer[layer]
        return self._array(place.bias, self._wide, place.outputs)

    def gradient(self, layer: int) -> tuple[NDArray[Any], NDArray[Any]]:
        """Sums over the mini-batch so far: of weights, of biases."""
        place = self._head.layer[layer]
        count = place.outputs * place.inputs
        values = self._array(place.gradient, self._wide, count + place.outputs)
        return values[:count].reshape(place.outputs, place.inputs), values[count:]

    def outputs(self) -> NDArray[Any]:
        """Of the last layer for the newest sample: float32, or int32 (2^-16)."""
        return self._array(self._head.outputs, self._wide, self.classes)

    def observed(self, layer: int) -> tuple[int, int]:
        """The lowest and the highest output, 2^-16."""
        place = self._head.layer[layer]
        return int(place.range[0]), int(place.range[1])

    def int8_layer(self, layer: int) -> tuple[Int8Array, NDArray[Any], NDArray[Any], Int8Array]:
        """Of the int8 head: weights, biases (zero point folded in), multipliers, shifts."""
        place = self._head.layer[layer]
        outputs, inputs = self._head.dense[layer].out_features, place.inputs
        weights = self._array(place.int8_weights, np.int8, outputs * inputs)
        return (
            weights.reshape(outputs, inputs),
            self._array(place.int8_bias, np.int32, outputs),
            self._array(place.multiplier, np.int32, outputs),
            self._array(place.shift, np.int8, outputs),
        )

    def state(self, part: Part = Part.ALL) -> bytes:
        """What has to be saved."""
        size = self._ffi.new("size_t *")
        start = self._lib.nano_train_state(self._head, int(part), size)
        return bytes(self._ffi.buffer(start, size[0]))

    def restore(self, state: bytes) -> None:
        """Take saved bytes over."""
        self._check(self._lib.nano_train_restore(self._head, state, len(state)))

    # --- Filling C structs ------------------------------------------------------------------------

    @property
    def _wide(self) -> type[np.float32] | type[np.int32]:
        return np.float32 if self.config.element == 4 else np.int32

    def _make_config(self, config: HeadConfig) -> CData:
        layers = [self._layer(config, layer) for layer in config.layers]
        backbone = self._ffi.new("char[]", config.backbone.encode())
        array = self._ffi.new("nano_train_layer[]", layers)
        self._keep += [backbone, array]
        return self._ffi.new(
            "nano_train_config *",
            {
                "backbone": backbone,
                "features": config.features,
                "feature_scale": config.feature_scale,
                "feature_zero_point": config.feature_zero_point,
                "arithmetic": self._lib.nanotool_arithmetic(config.element),
                "loss": LOSSES.index(config.loss),
                "optimizer": OPTIMIZERS.index(config.optimizer),
                "replay": REPLAYS.index(config.replay),
                "replay_slots": config.replay_slots,
                "class_means": int(config.class_means),
                "layer_count": len(layers),
                "classes": config.first_classes,
                "layers": array,
                "seed": config.seed,
                "recipe": self._recipe(config.recipe),
                "anomaly": ANOMALIES.index(config.anomaly),
                "alarm": asdict(config.alarm),
            },
        )

    def _layer(self, config: HeadConfig, layer: Layer) -> dict[str, Any]:
        weights: NDArray[Any] | None = layer.weights
        bias: NDArray[Any] | None = layer.bias
        if config.arithmetic == "int16":
            weights, bias = quantized_weights(layer), quantized_bias(layer)
        return {
            "outputs": layer.outputs,
            "weight_bits": layer.weight_bits,
            "activation_bits": layer.activation_bits,
            "weights": self._pointer(weights, np.float32, np.int16),
            "bias": self._pointer(bias, np.float32, np.int32),
            "low": layer.low,
            "high": layer.high,
        }

    def _pointer(self, values: NDArray[Any] | None, real: Any, integer: Any) -> CData:
        if values is None:
            return self._ffi.NULL
        dtype = real if self.config.element == 4 else integer
        array = self._ffi.from_buffer(np.ascontiguousarray(values, dtype))
        self._keep.append(array)
        return array

    @staticmethod
    def _recipe(recipe: Recipe) -> dict[str, Any]:
        names = (name for name in Recipe.__dataclass_fields__ if name != "schedule")
        numbers = {name: getattr(recipe, name) for name in names}
        return {**numbers, "schedule": SCHEDULES.index(recipe.schedule)}

    # --- Calls ------------------------------------------------------------------------------------

    def _judge(self, call: Any, features: Int8Array, aim: Any) -> Result:
        result = self._ffi.new("nano_train_result *")
        self._check(call(self._head, self._features(features), aim, result))
        return _result(result)

    def _features(self, features: Int8Array) -> CData:
        if features.dtype != np.int8 or features.shape != (self.config.features,):
            raise NanoError(
                f"Features are {features.dtype} {features.shape}, not int8 "
                f"({self.config.features},).",
                "Give the backbone's output for one sample.",
            )
        return self._ffi.from_buffer("int8_t[]", np.ascontiguousarray(features))

    def _array(self, pointer: CData, dtype: Any, count: int) -> NDArray[Any]:
        """A copy of ``count`` elements."""
        size = count * np.dtype(dtype).itemsize
        content = bytes(self._ffi.buffer(pointer, size)) if size else b""
        copy: NDArray[Any] = np.frombuffer(content, dtype).copy()
        return copy

    def _check(self, status: int) -> None:
        if status:
            text = self._ffi.string(self._lib.nano_status_text(status)).decode()
            raise NanoError(f"The trainer answers: {text}.", "docs/training.md says what it takes.")


def _result(result: CData) -> Result:
    return Result(result.loss / LOSS_ONE, int(result.predicted), bool(result.stepped))
