"""Training the last layers of a model on the device: the library's trainer in this process.

    config = HeadConfig(features=64, feature_scale=0.05, layers=(Layer(10),))
    head = Head(config)                    # lib/nano/src/train, through cffi
    head.sample(features, label)

docs/training.md has the formulas.
"""

from nanotool.training.config import (
    Alarm,
    HeadConfig,
    Layer,
    Part,
    Recipe,
    arena_size,
    config_hash,
    state_size,
)
from nanotool.training.cut import HeadOptions, Trainable, cut, parse_options
from nanotool.training.head import Head, Opinion, Result

__all__ = [
    "Alarm",
    "Head",
    "HeadConfig",
    "HeadOptions",
    "Layer",
    "Opinion",
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
