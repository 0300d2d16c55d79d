"""The head in float32, in NumPy: the twin of lib/nano/src/train/float32.c within rounding."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nanotool.training.config import HeadConfig
from training_twins.fixed import ONE, Random, rate_factor

Float32Array = NDArray[np.float32]


class FloatTwin:
    """A head of dense layers, trained as the library's float32 arithmetic does."""

    def __init__(self, config: HeadConfig) -> None:
        """Begin with the config's weights, recipe and seed."""
        self.config, self.recipe = config, config.recipe
        self.random = Random(config.seed)
        self.classes = config.first_classes
        self.steps = self.pending = 0
        self.weights: list[Float32Array] = []
        self.biases: list[Float32Array] = []
        for index in range(len(config.layers)):
            self._start(index)
        parameters = [*self.weights, *self.biases]
        self.gradients = [np.zeros_like(p) for p in parameters]
        self._m = [np.zeros_like(p) for p in parameters]
        self._v = [np.zeros_like(p) for p in parameters]

    def _start(self, index: int) -> None:
        layer, inputs = self.config.layers[index], self.config.inputs(index)
        active = self.classes if index == len(self.config.layers) - 1 else layer.outputs
        weights = np.zeros((layer.outputs, inputs), np.float32)
        bias = np.zeros(layer.outputs, np.float32)
        if layer.weights is None:
            words = self.random.words(active * inputs).reshape(active, inputs)
            bound = np.float32(1 / np.sqrt(np.float32(inputs)))
            weights[:active] = (
                ((words >> np.uint64(8)).astype(np.int64) - 2**23).astype(np.float32)
                * np.float32(2.0**-23)
                * bound
            )
        else:
            weights[:active] = layer.weights[:active]
        if layer.bias is not None:
            bias[:active] = layer.bias[:active]
        self.weights.append(weights)
        self.biases.append(bias)

    # --- A sample ---------------------------------------------------------------------------------

    def forward(self, features: NDArray[Any]) -> list[Float32Array]:
        """Every layer's input, then the active outputs."""
        centred = features.astype(np.float32) - np.float32(self.config.feature_zero_point)
        x = np.float32(self.config.feature_scale) * centred
        values = [x]
        for index, (w, b) in enumerate(zip(self.weights, self.biases, strict=True)):
            y = w @ values[-1] + b
            last = index == len(self.weights) - 1
            values.append(y[: self.classes] if last else np.maximum(y, np.float32(0)))
        return values

    def _judge(
        self, y: Float32Array, label: int, target: NDArray[Any] | None
    ) -> tuple[float, Float32Array]:
        """Loss and error."""
        hot = (np.arange(len(y)) == label).astype(np.float32)
        if self.config.loss == "mse":
            distance = y - (hot if target is None else np.asarray(target, np.float32))
            return float(np.mean(distance**2)), np.float32(2) * distance / np.float32(len(y))
        e = np.exp(y - y.max())
        return float(np.log(e.sum()) + y.max() - y[label]), e / e.sum() - hot

    def sample(
        self, features: NDArray[Any], label: int = 0, target: NDArray[Any] | None = None
    ) -> float:
        """Learn from one sample; the loss before."""
        values = self.forward(features)
        loss, error = self._judge(values[-1], label, target)
        count = len(self.weights)
        for index in reversed(range(count)):
            rows = len(error)
            self.gradients[index][:rows] += np.outer(error, values[index])
            self.gradients[count + index][:rows] += error
            error = (self.weights[index][:rows].T @ error) * (values[index] > 0)
        self.pending += 1
        if self.pending == self.recipe.batch:
            self.flush()
        return loss

    def flush(self) -> None:
        """Update the weights from what is summed up."""
        if self.pending == 0:
            return
        recipe = self.recipe
        mean = np.float32(1 / self.pending)
        if recipe.clip:
            norm = np.sqrt(sum(float((g.astype(np.float64) ** 2).sum()) for g in self.gradients))
            mean *= np.float32(min(1.0, recipe.clip / (norm * float(mean) + 1e-6)))
        rate = recipe.rate * rate_factor(recipe, self.steps) / ONE
        t = self.steps + 1
        decay = np.float32(recipe.weight_decay)
        for w, g, m, v in zip(
            [*self.weights, *self.biases], self.gradients, self._m, self._v, strict=True
        ):
            d = g * mean + decay * w
            if self.config.optimizer == "adam":
                m[:] = np.float32(recipe.beta1) * m + np.float32(1 - recipe.beta1) * d
                v[:] = np.float32(recipe.beta2) * v + np.float32(1 - recipe.beta2) * d * d
                root = np.sqrt(v) / np.float32(np.sqrt(1 - recipe.beta2**t))
                d = m / np.float32(1 - recipe.beta1**t) / (root + np.float32(recipe.epsilon))
            elif self.config.optimizer == "momentum":
                m[:] = np.float32(recipe.momentum) * m + d
                d = m
            w[...] -= np.float32(rate) * d
            g[:] = 0
        self.pending = 0
        self.steps += 1
