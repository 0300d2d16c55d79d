"""The head in integers, in NumPy: the twin of lib/nano/src/train/int16.c, bit by bit."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nanotool.numerics import Int64Array, divide_toward_zero
from nanotool.training.config import BIAS_BITS, HeadConfig, quantized_bias, quantized_weights
from training_twins import fixed
from training_twins.fixed import Factor, Random

ERROR_BITS = 12  # of a hidden layer, and of squares
PROBABILITY_BITS = 15  # of cross-entropy's errors
LARGEST_HIDDEN = 4095
INT16_MAX = 2**15 - 1
MOST_POINT, MOST_RIGHT = 30, 62  # of an update's multipliers


class Int16Twin:
    """A head of dense layers, trained as the library's int16 arithmetic does.

    ``weights`` (2^-weight_bits) and ``biases`` (2^-16) per layer, all integers in int64 arrays.
    """

    def __init__(self, config: HeadConfig) -> None:
        """Begin with the config's weights, recipe and seed."""
        self.config, self.recipe = config, config.recipe
        self.random = Random(config.seed)
        self.classes = config.first_classes
        self.steps = self.pending = 0
        self.weights: list[Int64Array] = []
        self.biases: list[Int64Array] = []
        for index in range(len(config.layers)):
            self._start(index)
        self.gradients = [np.zeros_like(w) for w in self.weights]
        self.bias_gradients = [np.zeros_like(b) for b in self.biases]
        self.moments = [np.zeros_like(w) for w in self.weights]
        self.bias_moments = [np.zeros_like(b) for b in self.biases]
        self.ranges = np.zeros((len(config.layers), 2), np.int64)

    def _active(self, index: int) -> int:
        last = index == len(self.config.layers) - 1
        return self.classes if last else self.config.layers[index].outputs

    def _start(self, index: int) -> None:
        layer, inputs = self.config.layers[index], self.config.inputs(index)
        active = self._active(index)
        weights = np.zeros((layer.outputs, inputs), np.int64)
        bias = np.zeros(layer.outputs, np.int64)
        given, given_bias = quantized_weights(layer), quantized_bias(layer)
        if given is None:
            bound = Factor.of(1, layer.weight_bits - 31) / Factor.of(inputs).root()
            words = self.random.words(active * inputs).reshape(active, inputs)
            bits = (words ^ np.uint64(2**31)).astype(np.uint32).astype(np.int32).astype(np.int64)
            drawn = fixed.scale(bits, bound)
            weights[:active] = np.clip(drawn, -INT16_MAX, INT16_MAX)
        else:
            weights[:active] = given[:active]
        if given_bias is not None:
            bias[:active] = given_bias[:active]
        self.weights.append(weights)
        self.biases.append(bias)

    # --- Forward ----------------------------------------------------------------------------------

    def _input_unit(self, index: int) -> Factor:
        if index == 0:
            return Factor.of_float(self.config.feature_scale)
        return Factor.of(1, -self.config.layers[index - 1].activation_bits)

    def _outputs(self, index: int, x: Int64Array) -> Int64Array:
        """Of layer ``index``, 2^-16."""
        layer, active = self.config.layers[index], self._active(index)
        block = 128 if index == 0 else 8
        blocks = -(-len(x) // block)
        shift = fixed.log2_ceiling(blocks)
        products = np.zeros((active, blocks * block), np.int64)
        products[:, : len(x)] = self.weights[index][:active] * x
        sums = products.reshape(active, blocks, block).sum(axis=2)
        total = fixed.rounded(sums, shift).sum(axis=1)
        unit = self._input_unit(index).shifted(shift + BIAS_BITS - layer.weight_bits)
        y = fixed.add(fixed.scale(total, unit), self.biases[index][:active])
        self.ranges[index, 0] = min(self.ranges[index, 0], y.min())
        self.ranges[index, 1] = max(self.ranges[index, 1], y.max())
        return y

    def forward(self, features: NDArray[Any]) -> list[Int64Array]:
        """Every layer's input, then the active outputs (2^-16)."""
        values = [features.astype(np.int64) - self.config.feature_zero_point]
        for index, layer in enumerate(self.config.layers):
            y = self._outputs(index, values[-1])
            if index < len(self.config.layers) - 1:
                a = fixed.rounded(y, BIAS_BITS - layer.activation_bits)
                y = np.asarray(np.where(y <= 0, 0, np.minimum(a, LARGEST_HIDDEN)), np.int64)
            values.append(y)
        return values

    # --- Loss and backward ------------------------------------------------------------------------

    def _error_bits(self, index: int) -> int:
        last = index == len(self.config.layers) - 1
        return PROBABILITY_BITS if last and self.config.loss == "cross_entropy" else ERROR_BITS

    def _cross_entropy(self, y: Int64Array, label: int) -> tuple[int, Int64Array]:
        lost = fixed.log2_ceiling(len(y))
        e = fixed.exp(y.max() - y) >> lost
        total, less = int(e.sum()), 14 - lost
        divisor = total >> less
        p = (((e >> less) << 15) + divisor // 2) // divisor
        error = p - (np.arange(len(y)) == label) * 2**15
        behind = int(y.max() - y[label])
        loss = min(behind * 16 + fixed.log(total, 30 - lost), fixed.INT32_MAX)
        return loss, np.clip(error, -INT16_MAX, INT16_MAX)

    def _squares(self, y: Int64Array, target: Int64Array) -> tuple[int, Int64Array]:
        classes, distance = len(y), y - target
        half = np.where(distance < 0, -4 * classes, 4 * classes)
        error = divide_toward_zero(fixed.add(distance, 0) + half, 8 * classes)
        squares = [int(d) ** 2 >> 12 for d in distance]
        loss = 0
        for square in squares:
            bounded = square if square < 2**31 else fixed.INT32_MAX
            loss = min(loss + bounded // classes, fixed.INT32_MAX)
        return loss, np.clip(error, -INT16_MAX, INT16_MAX)

    def _targets(self, label: int, target: NDArray[Any] | None) -> Int64Array:
        if target is None:
            hot = np.arange(self.classes) == label
            return np.asarray(hot.astype(np.int64) << BIAS_BITS, np.int64)
        magnitudes = [int(fixed.scale(1 << BIAS_BITS, Factor.of_float(float(t)))) for t in target]
        signed = np.where(np.asarray(target) < 0, -1, 1) * np.array(magnitudes, np.int64)
        return fixed.add(signed, 0)

    def _gradient_shift(self, index: int) -> int:
        bits = (23 if index == 0 else 27) + fixed.log2_ceiling(self.recipe.batch)
        return max(bits - 30, 0)

    def _pass_down(self, index: int, error: Int64Array, x: Int64Array) -> Int64Array:
        """The error at the inputs ``x`` of layer ``index``."""
        total = (self.weights[index][: len(error)] * error[:, None]).sum(axis=0)
        bits = self.config.layers[index].weight_bits + self._error_bits(index) - ERROR_BITS
        below = fixed.by_chance(total, bits, self.random.words(len(x)))
        return np.asarray(np.where(x > 0, np.clip(below, -INT16_MAX, INT16_MAX), 0), np.int64)

    def sample(
        self, features: NDArray[Any], label: int = 0, target: NDArray[Any] | None = None
    ) -> int:
        """Learn from one sample; the loss before, 2^-20."""
        values = self.forward(features)
        if self.config.loss == "mse":
            loss, error = self._squares(values[-1], self._targets(label, target))
        else:
            loss, error = self._cross_entropy(values[-1], label)
        for index in reversed(range(len(self.weights))):
            rows, x = len(error), values[index]
            products = fixed.rounded(error[:, None] * x, self._gradient_shift(index))
            self.gradients[index][:rows] += products
            self.bias_gradients[index][:rows] += error
            if index > 0:
                error = self._pass_down(index, error, x)
        self.pending += 1
        if self.pending == self.recipe.batch:
            self.flush()
        return loss

    # --- Step -------------------------------------------------------------------------------------

    def _gradient_unit(self, index: int, biases: bool) -> Factor:
        bits = self._error_bits(index)
        if biases:
            return Factor.of(1, -bits)
        return self._input_unit(index).shifted(self._gradient_shift(index) - bits)

    def _norm(self) -> Factor:
        total = Factor(0, 0)
        for index in range(len(self.weights)):
            for biases, g in enumerate((self.gradients[index], self.bias_gradients[index])):
                unit = self._gradient_unit(index, bool(biases))
                total += _square_sum(g) * (unit * unit)
        return total.root()

    def _mean_factor(self) -> Factor:
        one, count = Factor.of(1), Factor.of(self.pending)
        clip = Factor.of_float(self.recipe.clip)
        if clip.mantissa == 0:
            return one / count
        sums = self._norm()
        return clip / sums if clip * count < sums else one / count

    def flush(self) -> None:
        """Update the weights from what is summed up."""
        if self.pending == 0:
            return
        mean = self._mean_factor()
        for index in range(len(self.weights)):
            rows = self._active(index)
            self._step(index, mean, rows, biases=False)
            self._step(index, mean, rows, biases=True)
        self.ranges -= np.sign(self.ranges) * (np.abs(self.ranges) // 64)
        self.pending = 0
        self.steps += 1

    def _step(self, index: int, mean: Factor, rows: int, *, biases: bool) -> None:
        recipe, unit = self.recipe, self._gradient_unit(index, biases)
        bits = BIAS_BITS if biases else self.config.layers[index].weight_bits
        w = (self.biases if biases else self.weights)[index][:rows]
        g = (self.bias_gradients if biases else self.gradients)[index][:rows]
        v = (self.bias_moments if biases else self.moments)[index][:rows]
        words = self.random.words(w.size).reshape(w.shape)
        decay = Factor.of_float(recipe.weight_decay).shifted(-bits) / unit
        factor = Factor.of(fixed.rate_factor(recipe, self.steps), -31)
        rate = (Factor.of_float(recipe.rate) * factor * unit).shifted(bits)
        point = min(max(31 - decay.exponent, 2), MOST_POINT)
        right = min(max(31 - rate.exponent, 0), MOST_RIGHT)
        total = g * fixed.multiplier(mean, point) + w * fixed.multiplier(decay, point)
        if self.config.optimizer == "momentum":
            total += v * fixed.multiplier(Factor.of_float(recipe.momentum), point)
        d = np.clip(fixed.by_chance(total, point, words), -(2**30), 2**30 - 1)
        if self.config.optimizer == "momentum":
            v[...] = d
        swapped = (words << np.uint64(16) | words >> np.uint64(16)) & np.uint64(2**32 - 1)
        gained = fixed.by_chance(-d * fixed.multiplier(rate, right), right, swapped)
        moved = fixed.add(w, np.clip(gained, -(2**31), 2**31 - 1))
        w[...] = moved if biases else np.clip(moved, -INT16_MAX - 1, INT16_MAX)
        g[...] = 0


def _square_sum(values: Int64Array) -> Factor:
    """Of whole numbers; of each the highest 16 bits of the largest count."""
    flat = np.abs(values.ravel())
    shift = max(int(np.bitwise_or.reduce(flat, initial=0)).bit_length() - 16, 0)
    total = int(((flat >> shift) ** 2).sum())
    return (Factor.of(total >> 32, 32) + Factor.of(total & 0xFFFFFFFF)).shifted(2 * shift)
