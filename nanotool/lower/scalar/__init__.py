"""32-bit cores without SIMD instructions: Xtensa, RISC-V, Cortex-M0, M0+ and M3.

Each module here registers variants of one family (see `nanotool.lower.layer.variant`). One function
decides about a layer: from its real weights it proves that a kernel is exact, and answers that
kernel with its packed arrays and its scratch; or None, and the layer takes the portable kernel,
which it does wherever memory is to be small.
"""

from nanotool.lower.scalar import depthwise, elementwise, linear  # noqa: F401  (register)
