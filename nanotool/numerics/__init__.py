"""The integer arithmetic that the device does, in NumPy: the twin of lib/nano/src.

Everything follows TensorFlow Lite's reference kernels as TFLite Micro builds them (double
rounding). Functions take and return arrays (or scalars) of any shape. Values are computed in
int64 and brought back to int32 where the device's registers are 32 bits wide, so that even
arithmetic that wraps does the same here as there; `nanotool.validate` refuses graphs in which an
accumulator could wrap.

    rounding       rounding, requantization, effective multipliers
    fixed_point    exp, 1/x, logistic, tanh, log, 1/sqrt in fixed point
    normalization  softmax, log-softmax
    elementwise    add, subtract, multiply, PReLU; mean
    recurrent      gates in 16 bits; factors of LSTM and SVDF
    resize         positions for nearest and bilinear resizing
"""

from nanotool.numerics.elementwise import (
    ADD_LEFT_SHIFT,
    MEAN_MAX_COUNT,
    AddParameters,
    PReluParameters,
    add,
    add_parameters,
    div,
    div_multiplier,
    mean,
    mean_multiplier,
    mul_multiplier,
    prelu,
    prelu_parameters,
)
from nanotool.numerics.fixed_point import (
    exp_on_negative_values,
    inverse_square_root,
    leading_zeros,
    log_of_at_least_1,
    logistic,
    one_over_one_plus,
    tanh,
)
from nanotool.numerics.normalization import (
    LOG_SOFTMAX_MAX_DEPTH,
    LOG_SOFTMAX_SCALE,
    LOG_SOFTMAX_ZERO_POINT,
    SOFTMAX_INT16_OUTPUT,
    SOFTMAX_MAX_DEPTH,
    SOFTMAX_SCALE,
    SOFTMAX_ZERO_POINT,
    LogSoftmaxParameters,
    log_softmax,
    log_softmax_parameters,
    softmax,
    softmax_parameters,
)
from nanotool.numerics.recurrent import (
    LstmParameters,
    lstm_parameters,
    saturate_int16,
    shifted_thirds,
    sigmoid_of_thirds,
    svdf_multipliers,
    tanh_of_thirds,
)
from nanotool.numerics.resize import (
    BILINEAR_BITS,
    BilinearPositions,
    bilinear_positions,
    bilinear_scale,
    nearest_positions,
)
from nanotool.numerics.rounding import (
    INT32_MAX,
    INT32_MIN,
    SHIFT_MAX,
    SHIFT_MIN,
    Int64Array,
    Multiplier,
    conv_multipliers,
    dense_multipliers,
    divide_toward_zero,
    doubling_high_multiply,
    multiply_by_quantized_multiplier,
    quantize_multiplier,
    requantize,
    round_half_away,
    rounding_divide_by_pot,
    wrap_int32,
)

__all__ = [
    "ADD_LEFT_SHIFT",
    "BILINEAR_BITS",
    "INT32_MAX",
    "INT32_MIN",
    "LOG_SOFTMAX_MAX_DEPTH",
    "LOG_SOFTMAX_SCALE",
    "LOG_SOFTMAX_ZERO_POINT",
    "MEAN_MAX_COUNT",
    "SHIFT_MAX",
    "SHIFT_MIN",
    "SOFTMAX_INT16_OUTPUT",
    "SOFTMAX_MAX_DEPTH",
    "SOFTMAX_SCALE",
    "SOFTMAX_ZERO_POINT",
    "AddParameters",
    "BilinearPositions",
    "Int64Array",
    "LogSoftmaxParameters",
    "LstmParameters",
    "Multiplier",
    "PReluParameters",
    "add",
    "add_parameters",
    "bilinear_positions",
    "bilinear_scale",
    "conv_multipliers",
    "dense_multipliers",
    "div",
    "div_multiplier",
    "divide_toward_zero",
    "doubling_high_multiply",
    "exp_on_negative_values",
    "inverse_square_root",
    "leading_zeros",
    "log_of_at_least_1",
    "log_softmax",
    "log_softmax_parameters",
    "logistic",
    "lstm_parameters",
    "mean",
    "mean_multiplier",
    "mul_multiplier",
    "multiply_by_quantized_multiplier",
    "nearest_positions",
    "one_over_one_plus",
    "prelu",
    "prelu_parameters",
    "quantize_multiplier",
    "requantize",
    "round_half_away",
    "rounding_divide_by_pot",
    "saturate_int16",
    "shifted_thirds",
    "sigmoid_of_thirds",
    "softmax",
    "softmax_parameters",
    "svdf_multipliers",
    "tanh",
    "tanh_of_thirds",
    "wrap_int32",
]
