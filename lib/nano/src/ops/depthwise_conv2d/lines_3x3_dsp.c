/* One channel's outputs from its plane, 3 x 3 taps, two outputs at a time.
 *
 * With the words (x0, x1), (x2, x3) of each of three lines and the weights as (w0, w1), (w1, w2):
 *     stride 1:  sum  = (x0, x1) . (w0, w1) + x2 * w2,  next = x1 * w0 + (x2, x3) . (w1, w2)
 *     stride 2:  next = (x2, x3) . (w0, w1) + x4 * w2
 * so 12 instructions for 18 products. Weights are doubled and the sums begin with twice the bias:
 * they end as nano_requantize_dsp() wants them. Weights, two sums, two words, three lines and the
 * output take every register of the core, which is why this is assembly: gcc 12 spills a third of
 * them within the loop. lines() is its twin in C. */
#include "planes_dsp.h"

#if NANO_SIMD && !NANO_SIMD_NATIVE

/* The output whose window begins `at` halves into the line of `plane`. */
static int8_t output(const nano_lines *l, const uint32_t *plane, uint32_t at,
                     int32_t (*requantize)(int32_t, const int32_t *, int32_t)) {
    int32_t sum = 0;
    for (uint32_t i = 0; i < 3; i++, plane += l->pitch / 4) {
        const uint32_t word = nano_load_unaligned(l->weights + 4 * i);
        const nano_halves first = nano_sxtb16(word), last = nano_sxtb16_ror8(word);
        const nano_halves a = plane[at / 2], b = plane[at / 2 + 1];
        if (at % 2 == 0)
            sum = nano_smlabt(b, last, nano_smlad(a, first, sum));
        else
            sum = nano_smlad(b, last, nano_smlatb(a, first, sum));
    }
    return (int8_t)requantize(sum, l->scales, l->offset);
}

static void lines(const nano_lines *l, uint32_t stride,
                  int32_t (*requantize)(int32_t, const int32_t *, int32_t)) {
    const uint32_t pairs = l->pairs / (4 * stride);
    const uint32_t *plane = l->plane;
    int8_t *out = l->out;
    for (uint32_t line = 0; line < l->lines; line++) {
        uint32_t at = 0;
        for (uint32_t i = 0; i < 2 * pairs; i++, at += stride, out += l->step)
            *out = output(l, plane, at, requantize);
        if (l->odd)
            *out = output(l, plane, at, requantize);
        plane += ((int32_t)l->pairs + l->next) / 4;
        out += l->out_next;
    }
}

void nano_lines_3x3_dsp(const nano_lines *l) {
    lines(l, 1, nano_requantize_dsp);
}

void nano_lines_3x3_relu_dsp(const nano_lines *l) {
    lines(l, 1, nano_requantize_relu_dsp);
}

void nano_lines_3x3_stride2_dsp(const nano_lines *l) {
    lines(l, 2, nano_requantize_dsp);
}

void nano_lines_3x3_stride2_relu_dsp(const nano_lines *l) {
    lines(l, 2, nano_requantize_relu_dsp);
}

#elif NANO_SIMD

/* r0-r2 lines, r3 out, r4-r9 weights, r10 r11 inputs, r12 and lr the two sums. */

/* One line's part of both sums; `first` is what r12 is added to. */
#define PAIR_STRIDE1(line, w01, w12, first)                                                        \
    "ldrd r10, r11, [" line "], #4\n"                                                              \
    "smlad r12, r10, " w01 ", " first "\n"                                                         \
    "smlatb lr, r10, " w01 ", lr\n"                                                                \
    "smlabt r12, r11, " w12 ", r12\n"                                                              \
    "smlad lr, r11, " w12 ", lr\n"
#define PAIR_STRIDE2(line, w01, w12, first)                                                        \
    "ldrd r10, r11, [" line "], #8\n"                                                              \
    "smlad r12, r10, " w01 ", " first "\n"                                                         \
    "ldr r10, [" line "]\n"                                                                        \
    "smlad lr, r11, " w01 ", lr\n"                                                                 \
    "smlabt r12, r11, " w12 ", r12\n"                                                              \
    "smlabt lr, r10, " w12 ", lr\n"
#define SINGLE(line, w01, w12)                                                                     \
    "ldrd r10, r11, [" line "]\n"                                                                  \
    "smlad lr, r10, " w01 ", lr\n"                                                                 \
    "smlabt lr, r11, " w12 ", lr\n"

/* r10 the multiplier, r11 the rounding: scale both sums, or the last one. */
#define SCALE_PAIR                                                                                 \
    "add r11, r11, r12, asr #31\n"                                                                 \
    "smmlar r12, r12, r10, r11\n"                                                                  \
    "ldr r11, [sp, #4]\n"                                                                          \
    "add r11, r11, lr, asr #31\n"                                                                  \
    "smmlar lr, lr, r10, r11\n"
#define SCALE_PAIR_RELU                                                                            \
    "smmlar r12, r12, r10, r11\n"                                                                  \
    "smmlar lr, lr, r10, r11\n"
#define SCALE_SINGLE                                                                               \
    "add r11, r11, lr, asr #31\n"                                                                  \
    "smmlar lr, lr, r10, r11\n"
#define SCALE_SINGLE_RELU "smmlar lr, lr, r10, r11\n"

/* The frame: 0 multiplier, 4 rounding, 8 shift, 12 step, 16 end of the line's pairs, 20 twice the
 * bias, 24 pairs, 28 next, 32 out_next, 36 lines, 40 odd. */
#define LINES(PAIR, SCALE2, SCALE1)                                                                \
    __asm__("push {r4-r11, lr}\n"                                                                  \
            "sub sp, #44\n"                                                                        \
            "ldmia r0!, {r1, r3, r4-r7}\n"                                                         \
            "ldrd r10, r11, [r5]\n"                                                                \
            "lsl r8, r6, r10\n"                                                                    \
            "strd r11, r8, [sp]\n"                                                                 \
            "ldmia r0, {r2, r5, r6, r8, r9, r11}\n"                                                \
            "strd r10, r2, [sp, #8]\n"                                                             \
            "asr r10, r10, #7\n"                                                                   \
            "strd r10, r5, [sp, #20]\n"                                                            \
            "strd r6, r8, [sp, #28]\n"                                                             \
            "strd r9, r11, [sp, #36]\n"                                                            \
            "mov r0, r1\n"                                                                         \
            "add r1, r0, r7\n"                                                                     \
            "add r2, r1, r7\n"                                                                     \
            "ldr r5, [r4]\n"                                                                       \
            "ldr r7, [r4, #4]\n"                                                                   \
            "ldr r9, [r4, #8]\n"                                                                   \
            "sxtb16 r4, r5\n"                                                                      \
            "sxtb16 r5, r5, ror #8\n"                                                              \
            "sxtb16 r6, r7\n"                                                                      \
            "sxtb16 r7, r7, ror #8\n"                                                              \
            "sxtb16 r8, r9\n"                                                                      \
            "sxtb16 r9, r9, ror #8\n"                                                              \
            "sadd16 r4, r4, r4\n"                                                                  \
            "sadd16 r5, r5, r5\n"                                                                  \
            "sadd16 r6, r6, r6\n"                                                                  \
            "sadd16 r7, r7, r7\n"                                                                  \
            "sadd16 r8, r8, r8\n"                                                                  \
            "sadd16 r9, r9, r9\n"                                                                  \
            "1: ldrd lr, r10, [sp, #20]\n" /* a line */                                            \
            "add r10, r0\n"                                                                        \
            "str r10, [sp, #16]\n"                                                                 \
            "cmp r0, r10\n"                                                                        \
            "beq 3f\n"                                                                             \
            "2:\n" PAIR("r0", "r4", "r5", "lr") PAIR("r1", "r6", "r7", "r12")                      \
                PAIR("r2", "r8", "r9",                                                             \
                     "r12") "ldrd r10, r11, [sp]\n" SCALE2 "ldrd r10, r11, [sp, #8]\n"             \
                            "asr r12, r10\n"                                                       \
                            "asr lr, r10\n"                                                        \
                            "ssat r12, #8, r12, asr #1\n"                                          \
                            "ssat lr, #8, lr, asr #1\n"                                            \
                            "strb r12, [r3]\n"                                                     \
                            "strb lr, [r3, r11]\n"                                                 \
                            "add r3, r3, r11, lsl #1\n"                                            \
                            "ldrd r10, lr, [sp, #16]\n"                                            \
                            "cmp r0, r10\n"                                                        \
                            "bne 2b\n"                                                             \
                            "3: ldr r10, [sp, #40]\n" /* behind the pairs */                       \
                            "cmp r10, #0\n"                                                        \
                            "beq 4f\n" SINGLE("r0", "r4", "r5") SINGLE("r1", "r6", "r7")           \
                                SINGLE("r2", "r8", "r9") "ldrd r10, r11, [sp]\n" SCALE1            \
                                                         "ldr r10, [sp, #8]\n"                     \
                                                         "asr lr, r10\n"                           \
                                                         "ssat lr, #8, lr, asr #1\n"               \
                                                         "strb lr, [r3]\n"                         \
                                                         "4: ldr r12, [sp, #36]\n"                 \
                                                         "ldrd r10, r11, [sp, #28]\n"              \
                                                         "subs r12, #1\n"                          \
                                                         "str r12, [sp, #36]\n"                    \
                                                         "add r0, r10\n"                           \
                                                         "add r1, r10\n"                           \
                                                         "add r2, r10\n"                           \
                                                         "add r3, r11\n"                           \
                                                         "bne 1b\n"                                \
                                                         "add sp, #44\n"                           \
                                                         "pop {r4-r11, pc}\n")

#define NAKED __attribute__((naked))
#define UNUSED __attribute__((unused))

NAKED void nano_lines_3x3_dsp(const nano_lines *l UNUSED) {
    LINES(PAIR_STRIDE1, SCALE_PAIR, SCALE_SINGLE);
}

NAKED void nano_lines_3x3_relu_dsp(const nano_lines *l UNUSED) {
    LINES(PAIR_STRIDE1, SCALE_PAIR_RELU, SCALE_SINGLE_RELU);
}

NAKED void nano_lines_3x3_stride2_dsp(const nano_lines *l UNUSED) {
    LINES(PAIR_STRIDE2, SCALE_PAIR, SCALE_SINGLE);
}

NAKED void nano_lines_3x3_stride2_relu_dsp(const nano_lines *l UNUSED) {
    LINES(PAIR_STRIDE2, SCALE_PAIR_RELU, SCALE_SINGLE_RELU);
}

#endif
