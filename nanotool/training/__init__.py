"""Training the last layers of a model on the device: the library's trainer in this process, and its
twins in NumPy.

    config = HeadConfig(features=64, feature_scale=0.05, layers=(Layer(10),))
    head = Head(config)                    # lib/nano/src/train, through cffi
    head.sample(features, label)
    twin = Int16Twin(config)               # the same bytes, or FloatTwin: the same within rounding

docs/training.md has the formulas.
"""

from nanotool.training.config import (
    HeadConfig,
    Layer,
    Part,
    Recipe,
    arena_size,
    config_hash,
    state_size,
)
from nanotool.training.cut import HeadOptions, Trainable, cut, parse_options
from nanotool.training.float32 import FloatTwin
from nanotool.training.head import Head, Result
from nanotool.training.int16 import Int16Twin

__all__ = [
    "FloatTwin",
    "Head",
    "HeadConfig",
    "HeadOptions",
    "Int16Twin",
    "Layer",
    "Part",
    "Recipe",
    "Result",
    "Trainable",
    "arena_size",
    "config_hash",
    "cut",
    "parse_options",
    "state_size",
]
