"""The trainer of lib/nano/src/train once more, in NumPy: what its tests hold it against.

Int16Twin   integers, equal bit by bit
FloatTwin   float32, equal within rounding
fixed       the integers that stand for reals, rounding by chance, the rate

docs/training.md has the formulas. Users run the library itself, by `nanotool.training.Head`.
"""

from training_twins.float32 import FloatTwin
from training_twins.int16 import Int16Twin

__all__ = ["FloatTwin", "Int16Twin"]
