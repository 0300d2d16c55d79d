"""Armv7E-M: Cortex-M4, M7, and M33 with the DSP instructions.

Each module here registers variants of one family (see `nanotool.lower.layer.variant`). One function
decides about a layer: from its real weights it proves that a kernel is exact, and answers that
kernel with its packed arrays and its scratch; or None, and the layer takes the portable kernel.
"""

from nanotool.lower.armv7em import (  # noqa: F401  (register)
    depthwise,
    elementwise,
    int16,
    linear,
    pool,
    recurrent,
)
