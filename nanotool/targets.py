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


_RAM = "ram="


def ram_goal(size: int) -> str:
    """The goal to be as fast as ``size`` bytes of arena allow."""
    return f"{_RAM}{size}"


def ram_of(goal: str) -> int | None:
    """The bytes of a `ram_goal`; None for another goal."""
    size = goal.removeprefix(_RAM)
    return int(size) if size != goal and size.isascii() and size.isdigit() else None


def check_goal(name: str) -> None:
    """`NanoError`, which names those there are, unless ``name`` is a goal."""
    if name not in GOALS and ram_of(name) is None:
        goals = ", ".join(GOALS)
        raise NanoError(f"There is no goal {name!r}.", f"Goals: {goals}, ram=BYTES.")


@dataclass(frozen=True, slots=True)
class Target:
    """A set of kernel variants and the compilers they are for."""

    name: str
    title: str  # for people
    guard: str  # C preprocessor condition that holds where the kernels can be compiled; "": always
    # The target whose kernels serve where this one has none of its own: all of them run here, too.
    # So its guard holds, too, wherever this one's does, which therefore is asked first.
    base: str = ""
    align: int = 4  # bytes, of arrays in flash

    @property
    def lineage(self) -> tuple[str, ...]:
        """Its own name, then those of the targets whose kernels serve."""
        return (self.name, *(TARGETS[self.base].lineage if self.base else ()))


TARGETS: Mapping[str, Target] = MappingProxyType(
    {
        "portable": Target(
            name="portable",
            title="any C99 compiler",
            guard="",
        ),
        "scalar": Target(
            name="scalar",
            title="32-bit cores without SIMD: Xtensa, RISC-V, Cortex-M0 and M3",
            guard=(
                "defined(__XTENSA__) || defined(__riscv) || "
                "(defined(__arm__) && !defined(__ARM_FEATURE_DSP))"
            ),
        ),
        "mac16": Target(
            name="mac16",
            title="Xtensa cores with MAC16: ESP32 and ESP32-S3",
            guard="NANO_MAC16",
            base="scalar",
        ),
        "pie": Target(
            name="pie",
            title="ESP32-S3, with the PIE's vectors (never run on silicon)",
            guard="NANO_PIE",
            base="mac16",
            align=16,
        ),
        "armv7em": Target(
            name="armv7em",
            title="Cortex-M4, M7 and M33 with the DSP instructions",
            guard="defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP",
        ),
        "armv81m": Target(
            name="armv81m",
            title="Cortex-M55 and M85 with the vectors of MVE",
            guard="defined(__ARM_FEATURE_MVE) && (__ARM_FEATURE_MVE & 1)",
            base="armv7em",
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
