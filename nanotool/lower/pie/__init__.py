"""The ESP32-S3: the kernels of `nanotool.lower.mac16`, but sums of products take an instruction for
sixteen."""

from nanotool.lower.pie import depthwise, linear  # noqa: F401  (register)
