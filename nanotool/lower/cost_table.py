"""What kernels take, by target (made by python -m bench.costs --record).

Kernel -> instructions (a MAC, an output, an input of a window, a call).
"""

from collections.abc import Mapping
from types import MappingProxyType

COSTS: Mapping[str, Mapping[str, tuple[float, float, float, float]]] = MappingProxyType(
    {
        "scalar": MappingProxyType(
            {
                "nano_add_scalar": (0, 12.3, 0, 0),
                "nano_average_pool": (2.89, 39.7, 0, 94.9),
                "nano_conv2d": (7.14, 127, 0.711, 0),
                "nano_conv2d_grouped_scalar": (0.607, 46.1, 31.3, 600),
                "nano_conv2d_long_scalar": (2.99, 0, 3.12, 600),
                "nano_conv2d_scalar": (2.61, 38.9, 16.5, 406),
                "nano_conv_transpose2d": (7.55, 118, 0, 0),
                "nano_conv_transpose2d_scalar": (4.64, 0, 2.43, 0),
                "nano_dense": (5, 56.7, 0.0484, 51.5),
                "nano_dense_long_scalar": (3.28, 0, 16.1, 0),
                "nano_dense_scalar": (3.4, 35, 11.8, 251),
                "nano_depthwise_conv2d": (27.9, 0, 0, 0),
                "nano_depthwise_conv2d_3x3_scalar": (5.38, 0, 1.23, 600),
                "nano_depthwise_conv2d_scalar": (5.58, 43.2, 0.301, 600),
                "nano_max_pool": (3.58, 20.2, 0, 600),
                "nano_mul": (0, 59.2, 0, 0),
                "nano_mul_scalar": (0, 16.1, 0, 600),
                "nano_softmax": (0, 86, 0, 533),
                "nano_sub": (0, 97.1, 0, 0),
            }
        ),
        "mac16": MappingProxyType(
            {
                "nano_add_scalar": (0, 18.2, 0, 600),
                "nano_average_pool": (5.07, 32.5, 0.417, 600),
                "nano_conv2d": (7.14, 127, 0.711, 0),
                "nano_conv2d_mac16": (0.808, 33.2, 11.1, 0),
                "nano_conv_transpose2d": (7.55, 118, 0, 0),
                "nano_dense": (5, 56.7, 0.0484, 51.5),
                "nano_dense_mac16": (1.08, 22, 1.54, 327),
                "nano_depthwise_conv2d": (8.94, 104, 0, 0),
                "nano_depthwise_conv2d_3x3_scalar": (7.1, 0, 0, 600),
                "nano_max_pool": (10.9, 0, 0, 0),
                "nano_mul": (0, 59.2, 0, 0),
                "nano_softmax": (0, 157, 0, 600),
                "nano_sub": (0, 97.1, 0, 0),
            }
        ),
        "armv7em": MappingProxyType(
            {
                "nano_add_dsp": (0, 7.82, 0, 600),
                "nano_average_pool": (10.1, 0, 0, 0),
                "nano_average_pool_dsp": (1.64, 32.1, 0, 175),
                "nano_conv2d": (7.14, 127, 0.711, 0),
                "nano_conv2d_dsp": (0.68, 9.97, 3.44, 600),
                "nano_conv2d_grouped_dsp": (0, 14.5, 10.8, 600),
                "nano_conv2d_long_dsp": (0.651, 0, 5.81, 600),
                "nano_conv_transpose2d": (7.55, 118, 0, 0),
                "nano_conv_transpose2d_dsp": (1.28, 9.65, 0.358, 0),
                "nano_dense": (5, 56.7, 0.0484, 51.5),
                "nano_dense_dsp": (0.832, 11.1, 3.08, 244),
                "nano_dense_long_dsp": (0.835, 0, 4, 0),
                "nano_depthwise_conv2d": (40.1, 0, 0, 0),
                "nano_depthwise_conv2d_3x3_dsp": (1.66, 0, 0.802, 600),
                "nano_depthwise_conv2d_dsp": (2.48, 26.4, 0, 600),
                "nano_max_pool": (1.41, 0, 19.3, 600),
                "nano_max_pool_dsp": (2.75, 0, 0, 0),
                "nano_mul": (0, 59.2, 0, 0),
                "nano_mul_dsp": (0, 12.2, 0, 600),
                "nano_softmax": (0, 85, 0, 414),
                "nano_sub": (0, 97.1, 0, 0),
            }
        ),
        "armv81m": MappingProxyType(
            {
                "nano_add_mve": (0, 2.56, 0, 541),
                "nano_average_pool": (10.1, 0, 0, 0),
                "nano_average_pool_mve": (0.919, 11.4, 0, 249),
                "nano_conv2d": (7.14, 127, 0.711, 0),
                "nano_conv2d_few_mve": (0, 18.8, 0.158, 600),
                "nano_conv2d_grouped_mve": (0, 26.2, 2.06, 600),
                "nano_conv2d_mve": (0.0769, 7.06, 1.66, 600),
                "nano_conv_transpose2d": (7.55, 118, 0, 0),
                "nano_conv_transpose2d_mve": (0.225, 8.7, 0.24, 0),
                "nano_dense": (5, 56.7, 0.0484, 51.5),
                "nano_dense_mve": (0.143, 4.25, 0.686, 159),
                "nano_depthwise_conv2d": (8.94, 104, 0, 0),
                "nano_depthwise_conv2d_3x3_dsp": (1.95, 0, 0, 0),
                "nano_depthwise_conv2d_3x3_mve": (0.972, 0, 0, 600),
                "nano_depthwise_conv2d_pixel_mve": (1.39, 8.57, 0, 600),
                "nano_max_pool": (5.82, 20.8, 10.8, 600),
                "nano_max_pool_mve": (0.366, 7.57, 0, 600),
                "nano_mul": (0, 59.2, 0, 0),
                "nano_mul_mve": (0, 4.06, 0, 600),
                "nano_softmax": (0, 85.5, 0, 469),
                "nano_sub": (0, 97.1, 0, 0),
            }
        ),
    }
)
