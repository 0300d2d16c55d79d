"""The trainable last layer of a sequential model: a head of nano/train.h over int8 features."""

from __future__ import annotations

import math
import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nanotool.errors import NanoError
from nanotool.ir import Int8Array
from nanotool.sequential.layers import RAW, LayerError, Trainable, Values, Weighted, values
from nanotool.training import Head, HeadConfig, Layer, Recipe


def trainable(where: str, source: Values, in_features: int, out_features: int) -> Trainable:
    """The layer, its sizes checked."""
    if in_features != source.size:
        raise LayerError(
            f"{where}: in_features is {in_features:,}.", f"Its input has {source.size:,} elements."
        )
    if not (1 <= out_features <= 16384 and in_features <= 16384):
        raise LayerError(f"{where}: {in_features} to {out_features}.", "At most 16,384 of either.")
    return Trainable("TrainableDense", source, values((out_features,)))


class TrainableHead:
    """Float32 weights that learn, and their int8 form for inference, which follows them.

    A feature is worth 1/128 a step, or what its layer says (sigmoid and tanh: 1/127).
    """

    def __init__(
        self,
        where: str,
        layer: Trainable,
        weights: Any = None,
        bias: Any = None,
        *,
        seed: int = 1,
        rate: float = 0.05,
    ) -> None:
        """``weights`` [out, in] and ``bias`` [out] in real numbers, C, H, W order; None: random
        within ±1/sqrt(in), from ``seed``; 0."""
        self._layer = layer
        self._lock = threading.Lock()
        inputs, outputs = layer.source.size, layer.target.size
        first = _reals(where, "weights", weights, (outputs, inputs))
        order = layer.source.order()
        if first is not None and order is not None:
            first = np.ascontiguousarray(first[:, order])
        scale = layer.source.scale
        config = HeadConfig(
            features=inputs,
            feature_scale=float(np.float32(scale / 128 if scale == RAW else scale)),
            layers=(Layer(outputs, first, _reals(where, "bias", bias, (outputs,))),),
            optimizer="sgd",
            seed=seed,
            recipe=Recipe(rate=rate, batch=1),
        )
        self._head = Head(config)
        self._observed = self._quantized = False

    @property
    def used(self) -> int:
        """Bytes of arena: weights, gradients, the int8 head."""
        return self._head.arena_used

    def train(self, features: Int8Array, label: int) -> float:
        """One step on one sample, its features in the device's order; the loss before it."""
        with self._lock:
            result = self._head.sample(features, label)
            self._observed, self._quantized = True, False
        return result.loss

    def run(self, features: Int8Array) -> Int8Array:
        """Outputs [n, out] for ``features`` [n, in]. Before any training the outputs' range is that
        of the first call's."""
        if not len(features):
            return np.empty((0, self._layer.target.size), np.int8)
        with self._lock:
            if not self._observed:
                for row in features:
                    self._head.evaluate(row, 0)
                self._observed = True
            self._quantize()
            return self._head.infer(features).reshape(len(features), -1)

    def frozen(self) -> Weighted:
        """The int8 head as an ordinary dense layer: the same bytes. `NanoError` where no input has
        shown yet what its outputs' range is."""
        with self._lock:
            if not self._observed:
                raise NanoError(
                    "The layer that learns has seen no input, so its outputs have no range.",
                    "Call train_step() or forward() first.",
                )
            self._quantize()
            weights, bias, multiplier, shift = self._head.int8_layer(0)
            zero_point, scale = self._head.output_zero_point, self._head.output_scale
        source = self._layer.source
        # multiplier * 2^(shift - 31) = scale(in) * weight_scale / scale(out): back to the float32
        # weight_scale of which it was made.
        factor = multiplier * 2.0 ** (shift.astype(np.float64) - 31)
        weight_scale = factor * float(np.float32(scale)) / float(np.float32(source.scale))
        target = Values(self._layer.target.shape, scale)
        kind, scales = self._layer.kind, weight_scale.astype(np.float32)
        return Weighted(kind, source, target, weights, bias, scales, zero_point=zero_point)

    def _quantize(self) -> None:
        if not self._quantized:
            self._head.quantize()
            self._quantized = True


def _reals(where: str, what: str, given: Any, shape: tuple[int, ...]) -> NDArray[np.float32] | None:
    """``given`` as float32 of ``shape``, or None."""
    if given is None:
        return None
    array = np.asarray(given, np.float32)
    if array.size != math.prod(shape) or not np.isfinite(array).all():
        raise LayerError(
            f"{where}: {array.size:,} values as {what}.",
            f"It needs {' x '.join(map(str, shape))} finite numbers.",
        )
    return np.ascontiguousarray(array.reshape(shape))
