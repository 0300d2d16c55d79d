"""Armv8.1-M with MVE ("Helium"): Cortex-M55 and M85.

As `nanotool.lower.armv7em`, whose kernels serve where none here does: these cores have the DSP
instructions, too (`Target.base` says so).
"""

from nanotool.lower.armv81m import depthwise, elementwise, linear  # noqa: F401  (registers)
