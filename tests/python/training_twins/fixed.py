"""Integers that stand for reals, and rounding by chance: the twin of lib/nano/src/train/fixed.c and
rate.c, bit by bit."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nanotool.numerics import Int64Array, doubling_high_multiply, rounding_divide_by_pot
from nanotool.training.config import Recipe

Words: TypeAlias = NDArray[np.uint64]  # of 32 bits

INT32_MAX = 2**31 - 1
LIMIT = 2**30 - 1  # of sums: nano_train_add()
ONE = 1 << 31  # of a rate's factor
_MASK = (1 << 32) - 1
_GOLDEN = 0x9E3779B9


@dataclass
class Random:
    """The generator: state += golden ratio, mixed."""

    state: int

    def words(self, count: int) -> Words:
        """The next ``count`` words."""
        x = (self.state + _GOLDEN * np.arange(1, count + 1, dtype=np.uint64)) & _MASK
        self.state = (self.state + _GOLDEN * count) & _MASK
        x = ((x ^ (x >> np.uint64(16))) * np.uint64(0x7FEB352D)) & np.uint64(_MASK)
        x = ((x ^ (x >> np.uint64(15))) * np.uint64(0x846CA68B)) & np.uint64(_MASK)
        return np.asarray(x ^ (x >> np.uint64(16)), np.uint64)

    def below(self, count: int) -> int:
        """A number of 0 .. count - 1."""
        return int(self.words(1)[0]) * count >> 32


@dataclass(frozen=True, slots=True)
class Factor:
    """mantissa · 2^(exponent - 32), the mantissa's top bit set; or 0, 0. Results are cut off."""

    mantissa: int
    exponent: int

    @staticmethod
    def of(mantissa: int, exponent: int = 0) -> Factor:
        """mantissa · 2^exponent."""
        if mantissa == 0:
            return Factor(0, 0)
        bits = mantissa.bit_length()
        shifted = mantissa << (32 - bits) if bits <= 32 else mantissa >> (bits - 32)
        return Factor(shifted, exponent + bits)

    @staticmethod
    def of_float(value: float) -> Factor:
        """The magnitude of a float32."""
        (bits,) = struct.unpack("<I", struct.pack("<f", value))
        field, fraction = bits >> 23 & 0xFF, bits & 0x7FFFFF
        return Factor.of(fraction | (field > 0) << 23, (field or 1) - 150)

    def __mul__(self, other: Factor) -> Factor:
        return Factor.of(self.mantissa * other.mantissa, self.exponent + other.exponent - 64)

    def __truediv__(self, other: Factor) -> Factor:
        if not self.mantissa or not other.mantissa:
            return Factor(0, 0)
        return Factor.of(
            (self.mantissa << 33) // other.mantissa, self.exponent - other.exponent - 33
        )

    def __add__(self, other: Factor) -> Factor:
        a, b = (other, self) if self < other else (self, other)
        distance = a.exponent - b.exponent
        if b.mantissa == 0 or distance > 31:
            return a
        return Factor.of(a.mantissa + (b.mantissa >> distance), a.exponent - 32)

    def __lt__(self, other: Factor) -> bool:
        if not self.mantissa or not other.mantissa:
            return other.mantissa != 0
        return (self.exponent, self.mantissa) < (other.exponent, other.mantissa)

    def shifted(self, exponent: int) -> Factor:
        """Times 2^exponent."""
        return Factor(self.mantissa, self.exponent + exponent)

    def root(self) -> Factor:
        """The square root."""
        if not self.mantissa:
            return self
        odd = self.exponent & 1
        target = (self.mantissa >> odd) << 32
        mantissa, bit = 0, ONE
        while bit:
            if (mantissa | bit) ** 2 <= target:
                mantissa |= bit
            bit >>= 1
        return Factor(mantissa, (self.exponent + odd) // 2)


def scale(values: NDArray[Any] | int, factor: Factor) -> Int64Array:
    """``values`` (int32) times ``factor`` to nearest, halves away from zero. Saturates at
    ±(2^31 - 1)."""
    x = np.asarray(values, np.int64)
    product = np.abs(x).astype(np.uint64) * np.uint64(factor.mantissa)
    whole, fraction = _split(product, factor.exponent)
    up = (fraction >> np.uint64(31)).astype(np.int64)
    magnitude = np.where(whole >= INT32_MAX, INT32_MAX, whole.astype(np.int64) + up)
    return np.asarray(np.where(x < 0, -magnitude, magnitude), np.int64)


def _split(product: Words, left: int) -> tuple[Words, Words]:
    """product · 2^(left - 32): whole part (at most INT32_MAX) and fraction · 2^32."""
    high = product >> np.uint64(32)
    zero = np.zeros_like(product)
    if left > 0:
        small = product == 0 if left > 31 else high >> np.uint64(31 - left) == 0
        moved = np.where(small, product, 0).astype(np.uint64) << np.uint64(min(left, 31))
        whole = np.where(small, moved >> np.uint64(32), INT32_MAX).astype(np.uint64)
        return whole, np.where(small, moved & np.uint64(_MASK), 0).astype(np.uint64)
    if left > -64:
        moved = product >> np.uint64(-left)
        return moved >> np.uint64(32), moved & np.uint64(_MASK)
    return zero, zero


def multiplier(factor: Factor, point: int) -> int:
    """factor · 2^point, cut off, at most 2^31 - 1."""
    bits = factor.exponent + point
    if not factor.mantissa or bits <= 0:
        return 0
    return INT32_MAX if bits > 31 else factor.mantissa >> (32 - bits)


def by_chance(sums: Int64Array, bits: int, words: Words) -> Int64Array:
    """``sums`` / 2^bits, up with the probability of what is cut off: as the words decide."""
    part = words << np.uint64(bits - 32) if bits > 32 else words >> np.uint64(32 - bits)
    return np.asarray((sums + part.astype(np.int64)) >> bits, np.int64)


def add(a: NDArray[Any] | int, b: NDArray[Any] | int) -> Int64Array:
    """a + b, operands and sum within ±(2^30 - 1)."""
    total = np.clip(a, -LIMIT, LIMIT).astype(np.int64) + np.clip(b, -LIMIT, LIMIT)
    return np.asarray(np.clip(total, -LIMIT, LIMIT), np.int64)


def rounded(values: NDArray[Any], bits: int) -> Int64Array:
    """``values`` / 2^bits, halves away from zero."""
    return rounding_divide_by_pot(values, bits)


def log2_ceiling(count: int) -> int:
    """Least n with 2^n >= count."""
    return (count - 1).bit_length()


# --- Exponential and logarithm --------------------------------------------------------------------

_EXP_TAYLOR = (759250125, -526272083, 182392005, -42141501, 7302566, -1012351, 116951)


def exp(distance: NDArray[Any]) -> Int64Array:
    """exp(-distance / 2^16) · 2^30."""
    d = np.asarray(distance, np.uint64)
    product = d * np.uint64(1549082005)  # log2 e, 2^-30
    n = (product >> np.uint64(46)).astype(np.int64)
    f = ((product >> np.uint64(14)) & np.uint64(_MASK)).astype(np.int64)
    g = (f >> 1) - 2**30
    total = np.full(d.shape, _EXP_TAYLOR[6], np.int64)
    for term in _EXP_TAYLOR[5::-1]:
        total = doubling_high_multiply(total, g) + term
    result = rounding_divide_by_pot(total, np.minimum(n, 31))
    return np.asarray(np.where(d == 0, 2**30, np.where(n > 30, 0, result)), np.int64)


def log(value: int, bits: int) -> int:
    """log(value / 2^bits) · 2^20."""
    logarithm = value.bit_length() - 1 - bits
    m = value << (32 - value.bit_length())
    for _ in range(24):
        square = m * m
        doubled = square >> 63
        logarithm = logarithm << 1 | doubled
        m = square >> 32 if doubled else square >> 31
    return ((logarithm * 2977044472 >> 32) + 8) >> 4


# --- Learning rate --------------------------------------------------------------------------------

_SINE_TAYLOR = (1686629713, 693598668, 85569306, 5026995, 172272, 3864, 61)


def _product(a: int, b: int) -> int:
    return (a * b + 2**30) >> 31


def _power(base: int, exponent: int) -> int:
    result = ONE
    while exponent:
        if exponent & 1:
            result = _product(result, base)
        base = _product(base, base)
        exponent >>= 1
    return result


def _cosine(t: int, period: int) -> int:
    """(1 + cos(π t / period)) / 2."""
    if t >= period:
        return 0
    x = (t << 31) // period
    square, total = _product(x, x), _SINE_TAYLOR[6]
    for term in _SINE_TAYLOR[5::-1]:
        total = term - _product(total, square)
    sine = min(2 * _product(total, x), ONE)
    return ONE - _product(sine, sine)


def rate_factor(recipe: Recipe, step: int) -> int:
    """Of the learning rate in step ``step``; 2^31 is 1: nano_train_rate_factor()."""
    if step < recipe.warmup:
        return ((step + 1) << 31) // recipe.warmup
    t = step - recipe.warmup
    if recipe.schedule == "step":
        gamma = Factor.of_float(recipe.gamma)
        return _power(gamma.mantissa >> (1 - gamma.exponent), t // recipe.period)
    return _cosine(t, recipe.period) if recipe.schedule == "cosine" else ONE
