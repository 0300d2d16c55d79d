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
                "nano_conv2d_grouped_scalar": (0.623, 46.5, 31.3, 600),
                "nano_conv2d_int16": (7.08, 268, 8.7, 0),
                "nano_conv2d_long_scalar": (3, 0, 3.02, 600),
                "nano_conv2d_scalar": (2.74, 40.8, 11.7, 63.1),
                "nano_conv_transpose2d": (7.55, 118, 0, 0),
                "nano_conv_transpose2d_scalar": (4.75, 0, 2.34, 0),
                "nano_dense": (5, 56.7, 0.0484, 51.5),
                "nano_dense_few_scalar": (2.42, 50.9, 3.34, 600),
                "nano_dense_int16": (7.05, 72.3, 0.11, 81.1),
                "nano_dense_long_scalar": (3.2, 780, 4.58, 202),
                "nano_dense_scalar": (3.53, 33, 5.12, 341),
                "nano_depthwise_conv2d": (8.94, 104, 0, 0),
                "nano_depthwise_conv2d_3x3_scalar": (5.39, 0, 1.28, 600),
                "nano_depthwise_conv2d_scalar": (5.62, 43.9, 0, 600),
                "nano_max_pool": (3.59, 20.3, 0, 600),
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
                "nano_dense_mac16": (1.08, 22.1, 1.55, 334),
                "nano_depthwise_conv2d": (8.94, 104, 0, 0),
                "nano_depthwise_conv2d_3x3_mac16": (4.71, 0, 0, 600),
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
                "nano_conv2d_int16_dsp": (0.798, 12.9, 3.8, 0),
                "nano_conv2d_int16_long_dsp": (0.849, 17.4, 4.98, 0),
                "nano_conv2d_long_dsp": (0.651, 0, 5.81, 600),
                "nano_conv_transpose2d": (7.55, 118, 0, 0),
                "nano_conv_transpose2d_dsp": (1.28, 9.65, 0.358, 0),
                "nano_dense": (5, 56.7, 0.0484, 51.5),
                "nano_dense_dsp": (0.832, 11.1, 3.08, 244),
                "nano_dense_int16_dsp": (1.24, 20.8, 3.07, 173),
                "nano_dense_long_dsp": (0.835, 0, 4, 0),
                "nano_depthwise_conv2d": (8.94, 104, 0, 0),
                "nano_depthwise_conv2d_3x3_dsp": (1.66, 0, 0.816, 600),
                "nano_depthwise_conv2d_dsp": (2.49, 26.5, 0, 600),
                "nano_depthwise_conv2d_int16_dsp": (3.98, 44.2, 0, 600),
                "nano_max_pool": (0, 0, 14.7, 600),
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
                "nano_conv2d_grouped_mve": (0, 26.2, 2.05, 600),
                "nano_conv2d_int16_dsp": (0.781, 13.4, 3.69, 0),
                "nano_conv2d_int16_long_dsp": (0.848, 44.4, 3.37, 0),
                "nano_conv2d_mve": (0.0769, 7.06, 1.66, 600),
                "nano_conv_transpose2d": (7.55, 118, 0, 0),
                "nano_conv_transpose2d_mve": (0.225, 8.73, 0.24, 0),
                "nano_dense": (5, 56.7, 0.0484, 51.5),
                "nano_dense_int16_dsp": (1.24, 19.9, 2.58, 177),
                "nano_dense_mve": (0.143, 4.25, 0.686, 159),
                "nano_depthwise_conv2d": (8.94, 104, 0, 0),
                "nano_depthwise_conv2d_3x3_dsp": (1.73, 0, 0.676, 0),
                "nano_depthwise_conv2d_3x3_mve": (0.948, 0, 0, 600),
                "nano_depthwise_conv2d_int16_dsp": (3.98, 47, 0, 600),
                "nano_depthwise_conv2d_pixel_mve": (1.39, 8.36, 0, 600),
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
