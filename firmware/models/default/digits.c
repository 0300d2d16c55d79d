/* digits.c - ops and their parameters. Made by nanotool 0.1.0; do not edit.
 *
 * model    digits, hash 8100f144369184df
 * source   torch: DigitsNet
 * options  target mac16, optimize balanced
 * options  target armv81m, optimize balanced
 * options  target scalar, optimize balanced
 * options  target armv7em, optimize balanced
 * options  target portable, optimize balanced */
/* clang-format off */
#include "digits.h"
#include "digits_weights.h"
#include "nano/ops.h"

#if NANO_ABI != 2
#error "export digits again (nanotool export): it is for NANO_ABI 2"
#endif

#if NANO_MAC16  /* target mac16 */

/* 2,164 bytes of arena for 4 tensors of 3,146 bytes; no smaller arena is possible
 *
 *                                  0                                          2,164
 *     input                        ................###################.............       784 B
 *   0 features.0 + features.2      ################%%%%%%%%%%%%%%%%%%%xxxxxxxxxxx..     2,044 B
 *   1 features.3 + features.5      %%%%%%%%%%%%%%%%%%=================xxxxxxxxxxxxx     2,164 B
 *   2 classifier                   =================#..............................       794 B
 *     output                       .................#..............................        10 B
 *
 * . free   x scratch   = read   # written   % written over what is read */

/* 0  features.0 + features.2  conv2d 3x3 stride 1 pad 1 + max pool 2x2 stride 2
 *   28x28x1 -> 14x14x8, ReLU
 *   in 0.00392157/-128  out 0.0102387/-128  56,448 MAC  296 B weights
 *   arena 756..1540 -> 0..1568  scratch 1568..2044 */
static const nano_conv2d_pool_mac16_params digits_features_2 = {
    .conv = {
        .weights = digits_features_0_weights,
        .scales = digits_features_0_scales,
        .window = {
            .in_h = 28, .in_w = 28, .in_c = 1,
            .out_h = 28, .out_w = 28, .out_c = 8,
            .kernel_h = 3, .kernel_w = 3,
            .stride_h = 1, .stride_w = 1,
            .pad_top = 1, .pad_left = 1,
            .dilation_h = 1, .dilation_w = 1,
        },
        .wide = 0,
        .unit = 0,
        .in_zero_point = -128,
        .store = {
            .zero_point = -128,
            .min = -128,
            .max = 127,
        },
    },
    .pool = {
        .window = {
            .in_h = 28, .in_w = 28, .in_c = 8,
            .out_h = 14, .out_w = 14, .out_c = 8,
            .kernel_h = 2, .kernel_w = 2,
            .stride_h = 2, .stride_w = 2,
            .pad_top = 0, .pad_left = 0,
            .dilation_h = 1, .dilation_w = 1,
        },
        .min = -128,
        .max = 127,
    },
};

/* 1  features.3 + features.5  conv2d 3x3 stride 1 pad 1 + max pool 2x2 stride 2
 *   14x14x8 -> 7x7x16, ReLU
 *   in 0.0102387/-128  out 0.0373711/-128  225,792 MAC  2,504 B weights
 *   arena 0..1568 -> 0..784  scratch 1568..2164 */
static const nano_conv2d_pool_mac16_params digits_features_5 = {
    .conv = {
        .weights = digits_features_3_weights,
        .scales = digits_features_3_scales,
        .window = {
            .in_h = 14, .in_w = 14, .in_c = 8,
            .out_h = 14, .out_w = 14, .out_c = 16,
            .kernel_h = 3, .kernel_w = 3,
            .stride_h = 1, .stride_w = 1,
            .pad_top = 1, .pad_left = 1,
            .dilation_h = 1, .dilation_w = 1,
        },
        .wide = 0,
        .unit = 0,
        .in_zero_point = -128,
        .store = {
            .zero_point = -128,
            .min = -128,
            .max = 127,
        },
    },
    .pool = {
        .window = {
            .in_h = 14, .in_w = 14, .in_c = 16,
            .out_h = 7, .out_w = 7, .out_c = 16,
            .kernel_h = 2, .kernel_w = 2,
            .stride_h = 2, .stride_w = 2,
            .pad_top = 0, .pad_left = 0,
            .dilation_h = 1, .dilation_w = 1,
        },
        .min = -128,
        .max = 127,
    },
};

/* -  flatten  reshape  7x7x16 -> 784: the same bytes, nothing to do */

/* 2  classifier  dense  784 -> 10
 *   in 0.0373711/-128  out 0.192271/21  7,840 MAC  7,930 B weights  arena 0..784 -> 784..794 */
static const nano_dense_params digits_classifier = {
    .weights = digits_classifier_weights,
    .bias = digits_classifier_bias,
    .requant = {
        .multiplier = digits_classifier_multiplier,
        .shift = digits_classifier_shift,
        .per_channel = 1,
        .zero_point = 21,
        .min = -128,
        .max = 127,
    },
    .rows = 1,
    .in_features = 784,
    .out_features = 10,
};

/* Offsets are bytes from the start of the model's room in the arena. */
static const nano_op digits_ops[] = {
    {.run = nano_conv2d_max_pool_mac16, .params = &digits_features_2,
     .in = {756, NANO_NONE}, .out = 0, .scratch = 1568, .out_size = 1568},
    {.run = nano_conv2d_max_pool_mac16, .params = &digits_features_5,
     .in = {0, NANO_NONE}, .out = 0, .scratch = 1568, .out_size = 784},
    {.run = nano_dense, .params = &digits_classifier,
     .in = {0, NANO_NONE}, .out = 784, .scratch = NANO_NONE, .out_size = 10},
};

static const char *const digits_op_names[] = {
    "features.0 + features.2",
    "features.3 + features.5",
    "classifier",
};

static const nano_tensor digits_inputs[] = {
    {
        .offset = 756, .size = 784, .shape = {28, 28, 1},
        .scale = 0.00392156886f, .zero_point = -128, .type = NANO_INT8,
        .name = "input",
    },
};

static const nano_tensor digits_outputs[] = {
    {
        .offset = 784, .size = 10, .shape = {10},
        .scale = 0.192271173f, .zero_point = 21, .type = NANO_INT8,
        .name = "classifier",
    },
};

const nano_model digits_model = {
    .abi = NANO_ABI,
    .name = "digits",
    .hash = "8100f144369184df",
    .ops = digits_ops,
    .op_names = digits_op_names,
    .inputs = digits_inputs, .outputs = digits_outputs, .states = NULL,
    .op_count = 3,
    .input_count = 1, .output_count = 1, .state_count = 0,
    .arena_size = DIGITS_ARENA_SIZE,
};

#elif defined(__ARM_FEATURE_MVE) && (__ARM_FEATURE_MVE & 1)  /* target armv81m */

/* 2,192 bytes of arena for 4 tensors of 3,146 bytes; no smaller arena is possible
 *
 *                                  0                                          2,192
 *     input                        ................##################..............       784 B
 *   0 features.0 + features.2      ################%%%%%%%%%%%%%%%%%%#xxxxxxxxxxx..     2,064 B
 *   1 features.3 + features.5      %%%%%%%%%%%%%%%%%%=================xxxxxxxxxxxxx     2,192 B
 *   2 classifier                   %=================xxxxxxxxxxxxxxxxx.............     1,568 B
 *     output                       #...............................................        10 B
 *
 * . free   x scratch   = read   # written   % written over what is read */

/* 0  features.0 + features.2  conv2d 3x3 stride 1 pad 1 + max pool 2x2 stride 2
 *   28x28x1 -> 14x14x8, ReLU
 *   in 0.00392157/-128  out 0.0102387/-128  56,448 MAC  192 B weights
 *   arena 756..1540 -> 0..1568  scratch 1568..2064 */
static const nano_conv2d_pool_mve_params digits_features_2 = {
    .conv = {
        .weights = digits_features_0_weights,
        .scales = digits_features_0_scales,
        .window = {
            .in_h = 28, .in_w = 28, .in_c = 1,
            .out_h = 28, .out_w = 28, .out_c = 8,
            .kernel_h = 3, .kernel_w = 3,
            .stride_h = 1, .stride_w = 1,
            .pad_top = 1, .pad_left = 1,
            .dilation_h = 1, .dilation_w = 1,
        },
        .steps = 1,
        .in_zero_point = -128,
        .store = {
            .zero_point = -128,
            .min = -128,
            .max = 127,
        },
    },
    .pool = {
        .window = {
            .in_h = 28, .in_w = 28, .in_c = 8,
            .out_h = 14, .out_w = 14, .out_c = 8,
            .kernel_h = 2, .kernel_w = 2,
            .stride_h = 2, .stride_w = 2,
            .pad_top = 0, .pad_left = 0,
            .dilation_h = 1, .dilation_w = 1,
        },
        .min = -128,
        .max = 127,
    },
};

/* 1  features.3 + features.5  conv2d 3x3 stride 1 pad 1 + max pool 2x2 stride 2
 *   14x14x8 -> 7x7x16, ReLU
 *   in 0.0102387/-128  out 0.0373711/-128  225,792 MAC  1,408 B weights
 *   arena 0..1568 -> 0..784  scratch 1568..2192 */
static const nano_conv2d_pool_mve_params digits_features_5 = {
    .conv = {
        .weights = digits_features_3_weights,
        .scales = digits_features_3_scales,
        .window = {
            .in_h = 14, .in_w = 14, .in_c = 8,
            .out_h = 14, .out_w = 14, .out_c = 16,
            .kernel_h = 3, .kernel_w = 3,
            .stride_h = 1, .stride_w = 1,
            .pad_top = 1, .pad_left = 1,
            .dilation_h = 1, .dilation_w = 1,
        },
        .steps = 5,
        .in_zero_point = -128,
        .store = {
            .zero_point = -128,
            .min = -128,
            .max = 127,
        },
    },
    .pool = {
        .window = {
            .in_h = 14, .in_w = 14, .in_c = 16,
            .out_h = 7, .out_w = 7, .out_c = 16,
            .kernel_h = 2, .kernel_w = 2,
            .stride_h = 2, .stride_w = 2,
            .pad_top = 0, .pad_left = 0,
            .dilation_h = 1, .dilation_w = 1,
        },
        .min = -128,
        .max = 127,
    },
};

/* -  flatten  reshape  7x7x16 -> 784: the same bytes, nothing to do */

/* 2  classifier  dense  784 -> 10
 *   in 0.0373711/-128  out 0.192271/21  7,840 MAC  9,504 B weights
 *   arena 0..784 -> 0..10  scratch 784..1568 */
static const nano_dense_mve_params digits_classifier = {
    .weights = digits_classifier_weights,
    .scales = digits_classifier_scales,
    .rows = 1,
    .steps = 49,
    .in_features = 784,
    .out_features = 10,
    .store = {
        .zero_point = 21,
        .min = -128,
        .max = 127,
    },
};

/* Offsets are bytes from the start of the model's room in the arena. */
static const nano_op digits_ops[] = {
    {.run = nano_conv2d_max_pool_relu_mve, .params = &digits_features_2,
     .in = {756, NANO_NONE}, .out = 0, .scratch = 1568, .out_size = 1568},
    {.run = nano_conv2d_max_pool_relu_mve, .params = &digits_features_5,
     .in = {0, NANO_NONE}, .out = 0, .scratch = 1568, .out_size = 784},
    {.run = nano_dense_mve, .params = &digits_classifier,
     .in = {0, NANO_NONE}, .out = 0, .scratch = 784, .out_size = 10},
};

static const char *const digits_op_names[] = {
    "features.0 + features.2",
    "features.3 + features.5",
    "classifier",
};

static const nano_tensor digits_inputs[] = {
    {
        .offset = 756, .size = 784, .shape = {28, 28, 1},
        .scale = 0.00392156886f, .zero_point = -128, .type = NANO_INT8,
        .name = "input",
    },
};

static const nano_tensor digits_outputs[] = {
    {
        .offset = 0, .size = 10, .shape = {10},
        .scale = 0.192271173f, .zero_point = 21, .type = NANO_INT8,
        .name = "classifier",
    },
};

const nano_model digits_model = {
    .abi = NANO_ABI,
    .name = "digits",
    .hash = "8100f144369184df",
    .ops = digits_ops,
    .op_names = digits_op_names,
    .inputs = digits_inputs, .outputs = digits_outputs, .states = NULL,
    .op_count = 3,
    .input_count = 1, .output_count = 1, .state_count = 0,
    .arena_size = DIGITS_ARENA_SIZE,
};

#elif defined(__XTENSA__) || defined(__riscv) || (defined(__arm__) && !defined(__ARM_FEATURE_DSP))  /* target scalar */

/* 2,160 bytes of arena for 4 tensors of 3,146 bytes; no smaller arena is possible
 *
 *                                  0                                          2,160
 *     input                        ................###################.............       784 B
 *   0 features.0 + features.2      ################%%%%%%%%%%%%%%%%%%%xxxxxxxxxxx..     2,034 B
 *   1 features.3 + features.5      %%%%%%%%%%%%%%%%%%=================xxxxxxxxxxxxx     2,160 B
 *   2 classifier                   %=================xxxxxxxxxxxxxxxxx.............     1,568 B
 *     output                       #...............................................        10 B
 *
 * . free   x scratch   = read   # written   % written over what is read */

/* 0  features.0 + features.2  conv2d 3x3 stride 1 pad 1 + max pool 2x2 stride 2
 *   28x28x1 -> 14x14x8, ReLU
 *   in 0.00392157/-128  out 0.0102387/-128  56,448 MAC  168 B weights
 *   arena 756..1540 -> 0..1568  scratch 1568..2034 */
static const nano_conv2d_pool_scalar_params digits_features_2 = {
    .conv = {
        .weights = digits_features_0_weights,
        .scales = digits_features_0_scales,
        .window = {
            .in_h = 28, .in_w = 28, .in_c = 1,
            .out_h = 28, .out_w = 28, .out_c = 8,
            .kernel_h = 3, .kernel_w = 3,
            .stride_h = 1, .stride_w = 1,
            .pad_top = 1, .pad_left = 1,
            .dilation_h = 1, .dilation_w = 1,
        },
        .wide = 0,
        .unit = 0,
        .in_zero_point = -128,
        .store = {
            .zero_point = -128,
            .min = -128,
            .max = 127,
        },
    },
    .pool = {
        .window = {
            .in_h = 28, .in_w = 28, .in_c = 8,
            .out_h = 14, .out_w = 14, .out_c = 8,
            .kernel_h = 2, .kernel_w = 2,
            .stride_h = 2, .stride_w = 2,
            .pad_top = 0, .pad_left = 0,
            .dilation_h = 1, .dilation_w = 1,
        },
        .min = -128,
        .max = 127,
    },
};

/* 1  features.3 + features.5  conv2d 3x3 stride 1 pad 1 + max pool 2x2 stride 2
 *   14x14x8 -> 7x7x16, ReLU
 *   in 0.0102387/-128  out 0.0373711/-128  225,792 MAC  1,344 B weights
 *   arena 0..1568 -> 0..784  scratch 1568..2160 */
static const nano_conv2d_pool_scalar_params digits_features_5 = {
    .conv = {
        .weights = digits_features_3_weights,
        .scales = digits_features_3_scales,
        .window = {
            .in_h = 14, .in_w = 14, .in_c = 8,
            .out_h = 14, .out_w = 14, .out_c = 16,
            .kernel_h = 3, .kernel_w = 3,
            .stride_h = 1, .stride_w = 1,
            .pad_top = 1, .pad_left = 1,
            .dilation_h = 1, .dilation_w = 1,
        },
        .wide = 0,
        .unit = 0,
        .in_zero_point = -128,
        .store = {
            .zero_point = -128,
            .min = -128,
            .max = 127,
        },
    },
    .pool = {
        .window = {
            .in_h = 14, .in_w = 14, .in_c = 16,
            .out_h = 7, .out_w = 7, .out_c = 16,
            .kernel_h = 2, .kernel_w = 2,
            .stride_h = 2, .stride_w = 2,
            .pad_top = 0, .pad_left = 0,
            .dilation_h = 1, .dilation_w = 1,
        },
        .min = -128,
        .max = 127,
    },
};

/* -  flatten  reshape  7x7x16 -> 784: the same bytes, nothing to do */

/* 2  classifier  dense  784 -> 10
 *   in 0.0373711/-128  out 0.192271/21  7,840 MAC  9,488 B weights
 *   arena 0..784 -> 0..10  scratch 784..1568 */
static const nano_dense_scalar_params digits_classifier = {
    .weights = digits_classifier_weights,
    .scales = digits_classifier_scales,
    .rows = 1,
    .in_features = 784,
    .out_features = 10,
    .wide = 1,
    .unit = 0,
    .store = {
        .zero_point = 21,
        .min = -128,
        .max = 127,
    },
};

/* Offsets are bytes from the start of the model's room in the arena. */
static const nano_op digits_ops[] = {
    {.run = nano_conv2d_max_pool_scalar, .params = &digits_features_2,
     .in = {756, NANO_NONE}, .out = 0, .scratch = 1568, .out_size = 1568},
    {.run = nano_conv2d_max_pool_scalar, .params = &digits_features_5,
     .in = {0, NANO_NONE}, .out = 0, .scratch = 1568, .out_size = 784},
    {.run = nano_dense_scalar, .params = &digits_classifier,
     .in = {0, NANO_NONE}, .out = 0, .scratch = 784, .out_size = 10},
};

static const char *const digits_op_names[] = {
    "features.0 + features.2",
    "features.3 + features.5",
    "classifier",
};

static const nano_tensor digits_inputs[] = {
    {
        .offset = 756, .size = 784, .shape = {28, 28, 1},
        .scale = 0.00392156886f, .zero_point = -128, .type = NANO_INT8,
        .name = "input",
    },
};

static const nano_tensor digits_outputs[] = {
    {
        .offset = 0, .size = 10, .shape = {10},
        .scale = 0.192271173f, .zero_point = 21, .type = NANO_INT8,
        .name = "classifier",
    },
};

const nano_model digits_model = {
    .abi = NANO_ABI,
    .name = "digits",
    .hash = "8100f144369184df",
    .ops = digits_ops,
    .op_names = digits_op_names,
    .inputs = digits_inputs, .outputs = digits_outputs, .states = NULL,
    .op_count = 3,
    .input_count = 1, .output_count = 1, .state_count = 0,
    .arena_size = DIGITS_ARENA_SIZE,
};

#elif defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP  /* target armv7em */

/* 2,688 bytes of arena for 4 tensors of 3,146 bytes; no smaller arena is possible
 *
 *                                  0                                          2,688
 *     input                        .............###############....................       784 B
 *   0 features.0 + features.2      #############%%%%%%%%%%%%%%%xxxxxxxxxxx.........     2,148 B
 *   1 features.3 + features.5      %%%%%%%%%%%%%%==============xxxxxxxxxxxxxxxxxxxx     2,688 B
 *   2 classifier                   %=============xxxxxxxxxxxxxxxxxxxxxxxxxxxxx.....     2,368 B
 *     output                       #...............................................        10 B
 *
 * . free   x scratch   = read   # written   % written over what is read */

/* 0  features.0 + features.2  conv2d 3x3 stride 1 pad 1 + max pool 2x2 stride 2
 *   28x28x1 -> 14x14x8, ReLU
 *   in 0.00392157/-128  out 0.0102387/-128  56,448 MAC  224 B weights
 *   arena 756..1540 -> 0..1568  scratch 1568..2148 */
static const nano_conv2d_pool_dsp_params digits_features_2 = {
    .conv = {
        .weights = digits_features_0_weights,
        .window = {
            .in_h = 28, .in_w = 28, .in_c = 1,
            .out_h = 28, .out_w = 28, .out_c = 8,
            .kernel_h = 3, .kernel_w = 3,
            .stride_h = 1, .stride_w = 1,
            .pad_top = 1, .pad_left = 1,
            .dilation_h = 1, .dilation_w = 1,
        },
        .quads = 3,
        .pitch = 4,
        .padded = 0,
        .in_zero_point = -128,
        .store = {
            .zero_point = -128,
            .min = -128,
            .max = 127,
        },
    },
    .pool = {
        .window = {
            .in_h = 28, .in_w = 28, .in_c = 8,
            .out_h = 14, .out_w = 14, .out_c = 8,
            .kernel_h = 2, .kernel_w = 2,
            .stride_h = 2, .stride_w = 2,
            .pad_top = 0, .pad_left = 0,
            .dilation_h = 1, .dilation_w = 1,
        },
        .min = -128,
        .max = 127,
    },
};

/* 1  features.3 + features.5  conv2d 3x3 stride 1 pad 1 + max pool 2x2 stride 2
 *   14x14x8 -> 7x7x16, ReLU
 *   in 0.0102387/-128  out 0.0373711/-128  225,792 MAC  1,408 B weights
 *   arena 0..1568 -> 0..784  scratch 1568..2688 */
static const nano_conv2d_pool_dsp_params digits_features_5 = {
    .conv = {
        .weights = digits_features_3_weights,
        .window = {
            .in_h = 14, .in_w = 14, .in_c = 8,
            .out_h = 14, .out_w = 14, .out_c = 16,
            .kernel_h = 3, .kernel_w = 3,
            .stride_h = 1, .stride_w = 1,
            .pad_top = 1, .pad_left = 1,
            .dilation_h = 1, .dilation_w = 1,
        },
        .quads = 18,
        .pitch = 24,
        .padded = 0,
        .in_zero_point = -128,
        .store = {
            .zero_point = -128,
            .min = -128,
            .max = 127,
        },
    },
    .pool = {
        .window = {
            .in_h = 14, .in_w = 14, .in_c = 16,
            .out_h = 7, .out_w = 7, .out_c = 16,
            .kernel_h = 2, .kernel_w = 2,
            .stride_h = 2, .stride_w = 2,
            .pad_top = 0, .pad_left = 0,
            .dilation_h = 1, .dilation_w = 1,
        },
        .min = -128,
        .max = 127,
    },
};

/* -  flatten  reshape  7x7x16 -> 784: the same bytes, nothing to do */

/* 2  classifier  dense  784 -> 10
 *   in 0.0373711/-128  out 0.192271/21  7,840 MAC  7,920 B weights
 *   arena 0..784 -> 0..10  scratch 784..2368 */
static const nano_dense_dsp_params digits_classifier = {
    .weights = digits_classifier_weights,
    .scales = digits_classifier_scales,
    .rows = 1,
    .octets = 98,
    .in_features = 784,
    .out_features = 10,
    .store = {
        .zero_point = 21,
        .min = -128,
        .max = 127,
    },
};

/* Offsets are bytes from the start of the model's room in the arena. */
static const nano_op digits_ops[] = {
    {.run = nano_conv2d_max_pool_relu_dsp, .params = &digits_features_2,
     .in = {756, NANO_NONE}, .out = 0, .scratch = 1568, .out_size = 1568},
    {.run = nano_conv2d_max_pool_relu_dsp, .params = &digits_features_5,
     .in = {0, NANO_NONE}, .out = 0, .scratch = 1568, .out_size = 784},
    {.run = nano_dense_dsp, .params = &digits_classifier,
     .in = {0, NANO_NONE}, .out = 0, .scratch = 784, .out_size = 10},
};

static const char *const digits_op_names[] = {
    "features.0 + features.2",
    "features.3 + features.5",
    "classifier",
};

static const nano_tensor digits_inputs[] = {
    {
        .offset = 756, .size = 784, .shape = {28, 28, 1},
        .scale = 0.00392156886f, .zero_point = -128, .type = NANO_INT8,
        .name = "input",
    },
};

static const nano_tensor digits_outputs[] = {
    {
        .offset = 0, .size = 10, .shape = {10},
        .scale = 0.192271173f, .zero_point = 21, .type = NANO_INT8,
        .name = "classifier",
    },
};

const nano_model digits_model = {
    .abi = NANO_ABI,
    .name = "digits",
    .hash = "8100f144369184df",
    .ops = digits_ops,
    .op_names = digits_op_names,
    .inputs = digits_inputs, .outputs = digits_outputs, .states = NULL,
    .op_count = 3,
    .input_count = 1, .output_count = 1, .state_count = 0,
    .arena_size = DIGITS_ARENA_SIZE,
};

#else  /* target portable */

/* 1,660 bytes of arena for 4 tensors of 3,146 bytes; no smaller arena is possible
 *
 *                                  0                                          1,660
 *     input                        ........................########################       784 B
 *   0 features.0 + features.2      ########################%%%%%%%%%%%%%%%%%%%%%%==     1,652 B
 *   1 features.3 + features.5      %%%%%%%%%%%%%%%%%%%%%%%=======================xx     1,640 B
 *   2 classifier                   ======================#.........................       794 B
 *     output                       ......................#.........................        10 B
 *
 * . free   x scratch   = read   # written   % written over what is read */

/* 0  features.0 + features.2  conv2d 3x3 stride 1 pad 1 + max pool 2x2 stride 2
 *   28x28x1 -> 14x14x8, ReLU
 *   in 0.00392157/-128  out 0.0102387/-128  56,448 MAC  144 B weights
 *   arena 844..1628 -> 8..1576  scratch 1628..1660 */
static const nano_conv2d_max_pool_params digits_features_2 = {
    .conv = {
        .weights = digits_features_0_weights,
        .bias = digits_features_0_bias,
        .requant = {
            .multiplier = digits_features_0_multiplier,
            .shift = digits_features_0_shift,
            .per_channel = 1,
            .zero_point = -128,
            .min = -128,
            .max = 127,
        },
        .window = {
            .in_h = 28, .in_w = 28, .in_c = 1,
            .out_h = 28, .out_w = 28, .out_c = 8,
            .kernel_h = 3, .kernel_w = 3,
            .stride_h = 1, .stride_w = 1,
            .pad_top = 1, .pad_left = 1,
            .dilation_h = 1, .dilation_w = 1,
        },
        .groups = 1,
        .in_zero_point = -128,
    },
    .pool = {
        .in_h = 28, .in_w = 28, .in_c = 8,
        .out_h = 14, .out_w = 14, .out_c = 8,
        .kernel_h = 2, .kernel_w = 2,
        .stride_h = 2, .stride_w = 2,
        .pad_top = 0, .pad_left = 0,
        .dilation_h = 1, .dilation_w = 1,
    },
};

/* 1  features.3 + features.5  conv2d 3x3 stride 1 pad 1 + max pool 2x2 stride 2
 *   14x14x8 -> 7x7x16, ReLU
 *   in 0.0102387/-128  out 0.0373711/-128  225,792 MAC  1,296 B weights
 *   arena 8..1576 -> 0..784  scratch 1576..1640 */
static const nano_conv2d_max_pool_params digits_features_5 = {
    .conv = {
        .weights = digits_features_3_weights,
        .bias = digits_features_3_bias,
        .requant = {
            .multiplier = digits_features_3_multiplier,
            .shift = digits_features_3_shift,
            .per_channel = 1,
            .zero_point = -128,
            .min = -128,
            .max = 127,
        },
        .window = {
            .in_h = 14, .in_w = 14, .in_c = 8,
            .out_h = 14, .out_w = 14, .out_c = 16,
            .kernel_h = 3, .kernel_w = 3,
            .stride_h = 1, .stride_w = 1,
            .pad_top = 1, .pad_left = 1,
            .dilation_h = 1, .dilation_w = 1,
        },
        .groups = 1,
        .in_zero_point = -128,
    },
    .pool = {
        .in_h = 14, .in_w = 14, .in_c = 16,
        .out_h = 7, .out_w = 7, .out_c = 16,
        .kernel_h = 2, .kernel_w = 2,
        .stride_h = 2, .stride_w = 2,
        .pad_top = 0, .pad_left = 0,
        .dilation_h = 1, .dilation_w = 1,
    },
};

/* -  flatten  reshape  7x7x16 -> 784: the same bytes, nothing to do */

/* 2  classifier  dense  784 -> 10
 *   in 0.0373711/-128  out 0.192271/21  7,840 MAC  7,930 B weights  arena 0..784 -> 784..794 */
static const nano_dense_params digits_classifier = {
    .weights = digits_classifier_weights,
    .bias = digits_classifier_bias,
    .requant = {
        .multiplier = digits_classifier_multiplier,
        .shift = digits_classifier_shift,
        .per_channel = 1,
        .zero_point = 21,
        .min = -128,
        .max = 127,
    },
    .rows = 1,
    .in_features = 784,
    .out_features = 10,
};

/* Offsets are bytes from the start of the model's room in the arena. */
static const nano_op digits_ops[] = {
    {.run = nano_conv2d_max_pool, .params = &digits_features_2,
     .in = {844, NANO_NONE}, .out = 8, .scratch = 1628, .out_size = 1568},
    {.run = nano_conv2d_max_pool, .params = &digits_features_5,
     .in = {8, NANO_NONE}, .out = 0, .scratch = 1576, .out_size = 784},
    {.run = nano_dense, .params = &digits_classifier,
     .in = {0, NANO_NONE}, .out = 784, .scratch = NANO_NONE, .out_size = 10},
};

static const char *const digits_op_names[] = {
    "features.0 + features.2",
    "features.3 + features.5",
    "classifier",
};

static const nano_tensor digits_inputs[] = {
    {
        .offset = 844, .size = 784, .shape = {28, 28, 1},
        .scale = 0.00392156886f, .zero_point = -128, .type = NANO_INT8,
        .name = "input",
    },
};

static const nano_tensor digits_outputs[] = {
    {
        .offset = 784, .size = 10, .shape = {10},
        .scale = 0.192271173f, .zero_point = 21, .type = NANO_INT8,
        .name = "classifier",
    },
};

const nano_model digits_model = {
    .abi = NANO_ABI,
    .name = "digits",
    .hash = "8100f144369184df",
    .ops = digits_ops,
    .op_names = digits_op_names,
    .inputs = digits_inputs, .outputs = digits_outputs, .states = NULL,
    .op_count = 3,
    .input_count = 1, .output_count = 1, .state_count = 0,
    .arena_size = DIGITS_ARENA_SIZE,
};

#endif
