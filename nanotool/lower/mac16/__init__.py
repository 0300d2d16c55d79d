"""Xtensa cores with MAC16, as the ESP32's LX6: the kernels of `nanotool.lower.scalar`, but sums of
products take one instruction a product here, and two bytes a weight."""

from nanotool.lower.mac16 import depthwise, linear  # noqa: F401  (register)
