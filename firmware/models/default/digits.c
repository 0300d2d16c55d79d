/* digits.c - ops and their parameters. Made by nanotool 0.1.0; do not edit.
 *
 * model    digits, hash 8100f144369184df
 * source   torch: DigitsNet
 * options  target pie, optimize speed
 * options  target mac16, optimize speed
 * options  target armv81m, optimize speed
 * options  target scalar, optimize speed
 * options  target armv7em, optimize speed
 * options  target portable, optimize speed */
/* clang-format off */
#include "digits.h"
#include "digits_weights.h"
#include "nano/ops.h"

#if NANO_ABI != 2
#error "export digits again (nanotool export): it is for NANO_ABI 2"
#endif

#if NANO_PIE  /* target pie */

/* 6,324 bytes of arena for 6 tensors of 12,554 bytes; no smaller arena is possible
 *
 *                                  0                                          6,324
 *     input                        .........................................#######       784 B
 *   0 features.0                   #########################################%%%%%%%     6,324 B
 *   1 features.2                   %%%%%%%%%%%%====================================     6,272 B
 *   2 features.3                   ===========#########################x...........     4,796 B
 *   3 features.5                   ......#####%========================............     3,908 B
 *   4 classifier                   xxxxxx=====##...................................     1,590 B
 *     output                       ...........##...................................        10 B
 *
 * . free   x scratch   = read   # written   % written over what is read */

/* 0  features.0  conv2d 3x3 stride 1 pad 1  28x28x1 -> 28x28x8, ReLU
 *   in 0.00392157/-128  out 0.0102387/-128  56,448 MAC  208 B weights
 *   arena 5512..6296 -> 0..6272  scratch 6296..6324 */
static const nano_conv2d_pie_params digits_features_0 = {
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
    .in_zero_point = -128,
    .store = {
        .zero_point = -128,
        .min = -128,
        .max = 127,
    },
};

/* 1  features.2  max pool 2x2 stride 2  28x28x8 -> 14x14x8
 *   in 0.0102387/-128  out 0.0102387/-128  arena 0..6272 -> 0..1568 */
static const nano_pool_params digits_features_2 = {
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
};

/* 2  features.3  conv2d 3x3 stride 1 pad 1  14x14x8 -> 14x14x16, ReLU
 *   in 0.0102387/-128  out 0.0373711/-128  225,792 MAC  1,424 B weights
 *   arena 0..1568 -> 1568..4704  scratch 4704..4796 */
static const nano_conv2d_pie_params digits_features_3 = {
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
    .in_zero_point = -128,
    .store = {
        .zero_point = -128,
        .min = -128,
        .max = 127,
    },
};

/* 3  features.5  max pool 2x2 stride 2  14x14x16 -> 7x7x16
 *   in 0.0373711/-128  out 0.0373711/-128  arena 1568..4704 -> 796..1580 */
static const nano_pool_params digits_features_5 = {
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
};

/* -  flatten  reshape  7x7x16 -> 784: the same bytes, nothing to do */

/* 4  classifier  dense  784 -> 10
 *   in 0.0373711/-128  out 0.192271/21  7,840 MAC  7,936 B weights
 *   arena 796..1580 -> 1580..1590  scratch 0..796 */
static const nano_dense_pie_params digits_classifier = {
    .weights = digits_classifier_weights,
    .scales = digits_classifier_scales,
    .rows = 1,
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
    {.run = nano_conv2d_pie, .params = &digits_features_0,
     .in = {5512, NANO_NONE}, .out = 0, .scratch = 6296, .out_size = 6272},
    {.run = nano_max_pool, .params = &digits_features_2,
     .in = {0, NANO_NONE}, .out = 0, .scratch = NANO_NONE, .out_size = 1568},
    {.run = nano_conv2d_pie, .params = &digits_features_3,
     .in = {0, NANO_NONE}, .out = 1568, .scratch = 4704, .out_size = 3136},
    {.run = nano_max_pool, .params = &digits_features_5,
     .in = {1568, NANO_NONE}, .out = 796, .scratch = NANO_NONE, .out_size = 784},
    {.run = nano_dense_pie, .params = &digits_classifier,
     .in = {796, NANO_NONE}, .out = 1580, .scratch = 0, .out_size = 10},
};

static const char *const digits_op_names[] = {
    "features.0",
    "features.2",
    "features.3",
    "features.5",
    "classifier",
};

static const nano_tensor digits_inputs[] = {
    {
        .offset = 5512, .size = 784, .shape = {28, 28, 1},
        .scale = 0.00392156886f, .zero_point = -128, .type = NANO_INT8,
        .name = "input",
    },
};

static const nano_tensor digits_outputs[] = {
    {
        .offset = 1580, .size = 10, .shape = {10},
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
    .op_count = 5,
    .input_count = 1, .output_count = 1, .state_count = 0,
    .arena_size = DIGITS_ARENA_SIZE,
};

#elif NANO_MAC16  /* target mac16 */

/* 6,324 bytes of arena for 6 tensors of 12,554 bytes; no smaller arena is possible
 *
 *                                  0                                          6,324
 *     input                        .........................................#######       784 B
 *   0 features.0                   #########################################%%%%%%%     6,324 B
 *   1 features.2                   %%%%%%%%%%%%====================================     6,272 B
 *   2 features.3                   ============########################x...........     4,852 B
 *   3 features.5                   ............%%%%%%==================............     3,136 B
 *   4 classifier                   #xxxxxxxxxxx======..............................     2,366 B
 *     output                       #...............................................        10 B
 *
 * . free   x scratch   = read   # written   % written over what is read */

/* 0  features.0  conv2d 3x3 stride 1 pad 1  28x28x1 -> 28x28x8, ReLU
 *   in 0.00392157/-128  out 0.0102387/-128  56,448 MAC  296 B weights
 *   arena 5512..6296 -> 0..6272  scratch 6296..6324 */
static const nano_conv2d_mac16_params digits_features_0 = {
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
};

/* 1  features.2  max pool 2x2 stride 2  28x28x8 -> 14x14x8
 *   in 0.0102387/-128  out 0.0102387/-128  arena 0..6272 -> 0..1568 */
static const nano_pool_params digits_features_2 = {
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
};

/* 2  features.3  conv2d 3x3 stride 1 pad 1  14x14x8 -> 14x14x16, ReLU
 *   in 0.0102387/-128  out 0.0373711/-128  225,792 MAC  2,504 B weights
 *   arena 0..1568 -> 1584..4720  scratch 4720..4868 */
static const nano_conv2d_mac16_params digits_features_3 = {
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
};

/* 3  features.5  max pool 2x2 stride 2  14x14x16 -> 7x7x16
 *   in 0.0373711/-128  out 0.0373711/-128  arena 1584..4720 -> 1584..2368 */
static const nano_pool_params digits_features_5 = {
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
};

/* -  flatten  reshape  7x7x16 -> 784: the same bytes, nothing to do */

/* 4  classifier  dense  784 -> 10
 *   in 0.0373711/-128  out 0.192271/21  7,840 MAC  15,768 B weights
 *   arena 1584..2368 -> 0..10  scratch 12..1584 */
static const nano_dense_mac16_params digits_classifier = {
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
    {.run = nano_conv2d_mac16, .params = &digits_features_0,
     .in = {5512, NANO_NONE}, .out = 0, .scratch = 6296, .out_size = 6272},
    {.run = nano_max_pool, .params = &digits_features_2,
     .in = {0, NANO_NONE}, .out = 0, .scratch = NANO_NONE, .out_size = 1568},
    {.run = nano_conv2d_mac16, .params = &digits_features_3,
     .in = {0, NANO_NONE}, .out = 1584, .scratch = 4720, .out_size = 3136},
    {.run = nano_max_pool, .params = &digits_features_5,
     .in = {1584, NANO_NONE}, .out = 1584, .scratch = NANO_NONE, .out_size = 784},
    {.run = nano_dense_mac16, .params = &digits_classifier,
     .in = {1584, NANO_NONE}, .out = 0, .scratch = 12, .out_size = 10},
};

static const char *const digits_op_names[] = {
    "features.0",
    "features.2",
    "features.3",
    "features.5",
    "classifier",
};

static const nano_tensor digits_inputs[] = {
    {
        .offset = 5512, .size = 784, .shape = {28, 28, 1},
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
    .op_count = 5,
    .input_count = 1, .output_count = 1, .state_count = 0,
    .arena_size = DIGITS_ARENA_SIZE,
};

#elif defined(__ARM_FEATURE_MVE) && (__ARM_FEATURE_MVE & 1)  /* target armv81m */

/* 6,336 bytes of arena for 6 tensors of 12,554 bytes; no smaller arena is possible
 *
 *                                  0                                          6,336
 *     input                        .........................................#######       784 B
 *   0 features.0                   #########################################%%%%%%%     6,336 B
 *   1 features.2                   %%%%%%%%%%%%====================================     6,272 B
 *   2 features.3                   ===========#########################x...........     4,880 B
 *   3 features.5                   ######.....=========================............     3,920 B
 *   4 classifier                   ======xxxxx#....................................     1,578 B
 *     output                       ...........#....................................        10 B
 *
 * . free   x scratch   = read   # written   % written over what is read */

/* 0  features.0  conv2d 3x3 stride 1 pad 1  28x28x1 -> 28x28x8, ReLU
 *   in 0.00392157/-128  out 0.0102387/-128  56,448 MAC  192 B weights
 *   arena 5504..6288 -> 0..6272  scratch 6288..6336 */
static const nano_conv2d_mve_params digits_features_0 = {
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
};

/* 1  features.2  max pool 2x2 stride 2  28x28x8 -> 14x14x8
 *   in 0.0102387/-128  out 0.0102387/-128  arena 0..6272 -> 0..1568 */
static const nano_pool_params digits_features_2 = {
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
};

/* 2  features.3  conv2d 3x3 stride 1 pad 1  14x14x8 -> 14x14x16, ReLU
 *   in 0.0102387/-128  out 0.0373711/-128  225,792 MAC  1,408 B weights
 *   arena 0..1568 -> 1568..4704  scratch 4704..4880 */
static const nano_conv2d_mve_params digits_features_3 = {
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
};

/* 3  features.5  max pool 2x2 stride 2  14x14x16 -> 7x7x16
 *   in 0.0373711/-128  out 0.0373711/-128  arena 1568..4704 -> 0..784 */
static const nano_pool_params digits_features_5 = {
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
};

/* -  flatten  reshape  7x7x16 -> 784: the same bytes, nothing to do */

/* 4  classifier  dense  784 -> 10
 *   in 0.0373711/-128  out 0.192271/21  7,840 MAC  9,504 B weights
 *   arena 0..784 -> 1568..1578  scratch 784..1568 */
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
    {.run = nano_conv2d_relu_mve, .params = &digits_features_0,
     .in = {5504, NANO_NONE}, .out = 0, .scratch = 6288, .out_size = 6272},
    {.run = nano_max_pool_mve, .params = &digits_features_2,
     .in = {0, NANO_NONE}, .out = 0, .scratch = NANO_NONE, .out_size = 1568},
    {.run = nano_conv2d_relu_mve, .params = &digits_features_3,
     .in = {0, NANO_NONE}, .out = 1568, .scratch = 4704, .out_size = 3136},
    {.run = nano_max_pool_mve, .params = &digits_features_5,
     .in = {1568, NANO_NONE}, .out = 0, .scratch = NANO_NONE, .out_size = 784},
    {.run = nano_dense_mve, .params = &digits_classifier,
     .in = {0, NANO_NONE}, .out = 1568, .scratch = 784, .out_size = 10},
};

static const char *const digits_op_names[] = {
    "features.0",
    "features.2",
    "features.3",
    "features.5",
    "classifier",
};

static const nano_tensor digits_inputs[] = {
    {
        .offset = 5504, .size = 784, .shape = {28, 28, 1},
        .scale = 0.00392156886f, .zero_point = -128, .type = NANO_INT8,
        .name = "input",
    },
};

static const nano_tensor digits_outputs[] = {
    {
        .offset = 1568, .size = 10, .shape = {10},
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
    .op_count = 5,
    .input_count = 1, .output_count = 1, .state_count = 0,
    .arena_size = DIGITS_ARENA_SIZE,
};

#elif defined(__XTENSA__) || defined(__riscv) || (defined(__arm__) && !defined(__ARM_FEATURE_DSP))  /* target scalar */

/* 6,308 bytes of arena for 6 tensors of 12,554 bytes; no smaller arena is possible
 *
 *                                  0                                          6,308
 *     input                        .........................................#######       784 B
 *   0 features.0                   #########################################%%%%%%%     6,306 B
 *   1 features.2                   %%%%%%%%%%%%====================================     6,272 B
 *   2 features.3                   ===========#########################x...........     4,848 B
 *   3 features.5                   ######.....=========================............     3,920 B
 *   4 classifier                   ======xxxxx##...................................     1,578 B
 *     output                       ...........##...................................        10 B
 *
 * . free   x scratch   = read   # written   % written over what is read */

/* 0  features.0  conv2d 3x3 stride 1 pad 1  28x28x1 -> 28x28x8, ReLU
 *   in 0.00392157/-128  out 0.0102387/-128  56,448 MAC  168 B weights
 *   arena 5504..6288 -> 0..6272  scratch 6288..6306 */
static const nano_conv2d_scalar_params digits_features_0 = {
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
};

/* 1  features.2  max pool 2x2 stride 2  28x28x8 -> 14x14x8
 *   in 0.0102387/-128  out 0.0102387/-128  arena 0..6272 -> 0..1568 */
static const nano_pool_params digits_features_2 = {
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
};

/* 2  features.3  conv2d 3x3 stride 1 pad 1  14x14x8 -> 14x14x16, ReLU
 *   in 0.0102387/-128  out 0.0373711/-128  225,792 MAC  1,344 B weights
 *   arena 0..1568 -> 1568..4704  scratch 4704..4848 */
static const nano_conv2d_scalar_params digits_features_3 = {
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
};

/* 3  features.5  max pool 2x2 stride 2  14x14x16 -> 7x7x16
 *   in 0.0373711/-128  out 0.0373711/-128  arena 1568..4704 -> 0..784 */
static const nano_pool_params digits_features_5 = {
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
};

/* -  flatten  reshape  7x7x16 -> 784: the same bytes, nothing to do */

/* 4  classifier  dense  784 -> 10
 *   in 0.0373711/-128  out 0.192271/21  7,840 MAC  7,920 B weights
 *   arena 0..784 -> 1568..1578  scratch 784..1568 */
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
    {.run = nano_conv2d_scalar, .params = &digits_features_0,
     .in = {5504, NANO_NONE}, .out = 0, .scratch = 6288, .out_size = 6272},
    {.run = nano_max_pool, .params = &digits_features_2,
     .in = {0, NANO_NONE}, .out = 0, .scratch = NANO_NONE, .out_size = 1568},
    {.run = nano_conv2d_scalar, .params = &digits_features_3,
     .in = {0, NANO_NONE}, .out = 1568, .scratch = 4704, .out_size = 3136},
    {.run = nano_max_pool, .params = &digits_features_5,
     .in = {1568, NANO_NONE}, .out = 0, .scratch = NANO_NONE, .out_size = 784},
    {.run = nano_dense_scalar, .params = &digits_classifier,
     .in = {0, NANO_NONE}, .out = 1568, .scratch = 784, .out_size = 10},
};

static const char *const digits_op_names[] = {
    "features.0",
    "features.2",
    "features.3",
    "features.5",
    "classifier",
};

static const nano_tensor digits_inputs[] = {
    {
        .offset = 5504, .size = 784, .shape = {28, 28, 1},
        .scale = 0.00392156886f, .zero_point = -128, .type = NANO_INT8,
        .name = "input",
    },
};

static const nano_tensor digits_outputs[] = {
    {
        .offset = 1568, .size = 10, .shape = {10},
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
    .op_count = 5,
    .input_count = 1, .output_count = 1, .state_count = 0,
    .arena_size = DIGITS_ARENA_SIZE,
};

#elif defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP  /* target armv7em */

/* 7,272 bytes of arena for 6 tensors of 12,554 bytes; no smaller arena is possible
 *
 *                                  0                                          7,272
 *     input                        ######..........................................       784 B
 *   0 features.0                   %%%%%%####################################xxxxxx     7,272 B
 *   1 features.2                   %%%%%%%%%%%===============================......     6,272 B
 *   2 features.3                   %%%%%%%%%%%##########xxxxxxxxxxxxxxxxx..........     5,644 B
 *   3 features.5                   ====================######......................     3,920 B
 *   4 classifier                   xxxxxxxxxx#.........======......................     2,378 B
 *     output                       ..........#.....................................        10 B
 *
 * . free   x scratch   = read   # written   % written over what is read */

/* 0  features.0  conv2d 3x3 stride 1 pad 1  28x28x1 -> 28x28x8, ReLU
 *   in 0.00392157/-128  out 0.0102387/-128  56,448 MAC  224 B weights
 *   arena 0..784 -> 0..6272  scratch 6272..7272 */
static const nano_conv2d_dsp_params digits_features_0 = {
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
    .padded = 1,
    .in_zero_point = -128,
    .store = {
        .zero_point = -128,
        .min = -128,
        .max = 127,
    },
};

/* 1  features.2  max pool 2x2 stride 2  28x28x8 -> 14x14x8
 *   in 0.0102387/-128  out 0.0102387/-128  arena 0..6272 -> 0..1568 */
static const nano_pool_params digits_features_2 = {
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
};

/* 2  features.3  conv2d 3x3 stride 1 pad 1  14x14x8 -> 14x14x16, ReLU
 *   in 0.0102387/-128  out 0.0373711/-128  225,792 MAC  1,408 B weights
 *   arena 0..1568 -> 0..3136  scratch 3136..5644 */
static const nano_conv2d_dsp_params digits_features_3 = {
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
    .padded = 1,
    .in_zero_point = -128,
    .store = {
        .zero_point = -128,
        .min = -128,
        .max = 127,
    },
};

/* 3  features.5  max pool 2x2 stride 2  14x14x16 -> 7x7x16
 *   in 0.0373711/-128  out 0.0373711/-128  arena 0..3136 -> 3136..3920 */
static const nano_pool_params digits_features_5 = {
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
};

/* -  flatten  reshape  7x7x16 -> 784: the same bytes, nothing to do */

/* 4  classifier  dense  784 -> 10
 *   in 0.0373711/-128  out 0.192271/21  7,840 MAC  7,920 B weights
 *   arena 3136..3920 -> 1584..1594  scratch 0..1584 */
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
    {.run = nano_conv2d_relu_dsp, .params = &digits_features_0,
     .in = {0, NANO_NONE}, .out = 0, .scratch = 6272, .out_size = 6272},
    {.run = nano_max_pool_dsp, .params = &digits_features_2,
     .in = {0, NANO_NONE}, .out = 0, .scratch = NANO_NONE, .out_size = 1568},
    {.run = nano_conv2d_relu_dsp, .params = &digits_features_3,
     .in = {0, NANO_NONE}, .out = 0, .scratch = 3136, .out_size = 3136},
    {.run = nano_max_pool_dsp, .params = &digits_features_5,
     .in = {0, NANO_NONE}, .out = 3136, .scratch = NANO_NONE, .out_size = 784},
    {.run = nano_dense_dsp, .params = &digits_classifier,
     .in = {3136, NANO_NONE}, .out = 1584, .scratch = 0, .out_size = 10},
};

static const char *const digits_op_names[] = {
    "features.0",
    "features.2",
    "features.3",
    "features.5",
    "classifier",
};

static const nano_tensor digits_inputs[] = {
    {
        .offset = 0, .size = 784, .shape = {28, 28, 1},
        .scale = 0.00392156886f, .zero_point = -128, .type = NANO_INT8,
        .name = "input",
    },
};

static const nano_tensor digits_outputs[] = {
    {
        .offset = 1584, .size = 10, .shape = {10},
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
    .op_count = 5,
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
