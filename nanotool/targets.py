"""The targets: which compilers a lowered model's kernels are for.

A target is a set of kernel variants, not a board: several boards may share one. Every exported
source stands under its target's guard, so a folder can hold a model for several targets and the
compiler takes the one that fits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from nanotool.errors import NanoError

# What a lowering may prefer where kernels differ in speed and size. The portable target has one
# kernel an operator, so there all goals give the same code.
GOALS = ("balanced", "speed", "size")


@dataclass(frozen=True, slots=True)
class Target:
    """A set of kernel variants and the compilers they are for."""

    name: str
    title: str  # for people
    guard: str  # C preprocessor condition that holds where the kernels can be compiled; "": always


TARGETS: Mapping[str, Target] = MappingProxyType(
    {
        "portable": Target(
            name="portable",
            title="any C99 compiler",
            guard="",
        ),
        "armv7em": Target(
            name="armv7em",
            title="Cortex-M4, M7 and M33 with the DSP instructions",
            guard="defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP",
        ),
    }
)


def find_target(name: str) -> Target:
    """The target called ``name``; `NanoError` names those there are."""
    try:
        return TARGETS[name]
    except KeyError:
        raise NanoError(
            f"There is no target {name!r}.", f"Targets: {', '.join(sorted(TARGETS))}."
        ) from None
