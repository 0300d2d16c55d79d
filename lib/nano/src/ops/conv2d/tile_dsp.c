/* out[o] = requantize(sum over terms of in * w[o]) for all o of three pixels, two o at a time.
 *
 * A half of the weights is 256 * odd + even. For each word of weights, sum `whole` takes the
 * products with the halves as they are, sum `low` those with their low bytes (SXTB16):
 *     even sum = low        odd sum = (whole - low) / 256
 * Three pixels share each word of weights: 17 instructions for 24 products. The six sums, the
 * inputs, the weights and two pointers take every register of the core, which is why this is
 * assembly: gcc 12 spills sums inside the loop. tile() is its twin in C. */
#include "tile_dsp.h"

#define PART 128 /* quads: 16 rounds of the loop */

#if NANO_SIMD && !NANO_SIMD_NATIVE

/* Two outputs of one pixel; `inputs` are the pixel's first, its others stand 3 words apart. `part`:
 * quads of the first part of the terms; others have PART. */
static void pair(const nano_tile *t, const int16_t *w, const uint32_t *inputs, uint32_t part,
                 int32_t sums[2]) {
    int32_t low = 0;
    sums[1] = 0;
    for (uint32_t i = 0, end = 2 * part; i < 2 * t->quads; end += 2 * PART) {
        int32_t whole = low;
        for (; i < 2 * t->quads && i < end; i++) {
            const nano_halves word = nano_load_word(w + 2 * i), x = inputs[NANO_TILE_PIXELS * i];
            whole = nano_smlad(word, x, whole);
            low = nano_smlad(nano_sxtb16(word), x, low);
        }
        sums[1] += (int32_t)((uint32_t)whole - (uint32_t)low) >> 8;
    }
    sums[0] = low;
}

static void tile(const nano_tile *t, int32_t (*requantize)(int32_t, const int32_t *),
                 uint32_t part) {
    uint32_t output = 0;
    for (const int16_t *w = t->weights; w != t->weights_end; output += 2) {
        const int16_t *const scales = w + 4 * t->quads;
        int32_t ready[8];
        for (uint32_t i = 0; i < 8; i++)
            ready[i] = (int32_t)nano_load_word(scales + 2 * i);
        for (uint32_t i = 0; i < NANO_TILE_PIXELS; i++) {
            int32_t sums[2];
            pair(t, w, t->inputs + NANO_TILE_SUMS + i, part, sums);
            t->out[i][output] = (int8_t)requantize(sums[0], ready);
            t->out[i][output + 1] = (int8_t)requantize(sums[1], ready + 4);
        }
        w = scales + NANO_TILE_SCALES;
    }
}

void nano_tile_dsp(const nano_tile *t) {
    tile(t, nano_requantize_ready_dsp, t->quads);
}

void nano_tile_relu_dsp(const nano_tile *t) {
    tile(t, nano_requantize_ready_relu_dsp, t->quads);
}

void nano_tile_long_dsp(const nano_tile *t) {
    tile(t, nano_requantize_ready_dsp, PART - (0u - t->quads) % 8u);
}

void nano_tile_widen_dsp(const nano_windows *w) {
    for (uint32_t i = 0; i < NANO_TILE_PIXELS; i++) {
        uint32_t *inputs = w->inputs + i, at = 0;
        for (uint32_t row = 0; row < w->rows; row++, at += w->skips[i]) {
            for (uint32_t q = 0; q < w->quads; q++, at += 4, inputs += 2 * NANO_TILE_PIXELS) {
                const uint32_t bytes = nano_load_unaligned(w->windows[i] + at);
                inputs[0] = nano_sxtb16(bytes);
                inputs[NANO_TILE_PIXELS] = nano_sxtb16_ror8(bytes);
            }
        }
    }
}

#elif NANO_SIMD

/* r0 weights, r1 inputs, r2 r3 weights, r4-r6 low and r7-r9 whole sums, r10-r12 inputs, lr count */
#define TERMS(w)                                                                                   \
    "ldmia r1!, {r10-r12}\n"                                                                       \
    "smlad r7, " w ", r10, r7\n"                                                                   \
    "smlad r8, " w ", r11, r8\n"                                                                   \
    "smlad r9, " w ", r12, r9\n"                                                                   \
    "sxtb16 " w ", " w "\n"                                                                        \
    "smlad r4, " w ", r10, r4\n"                                                                   \
    "smlad r5, " w ", r11, r5\n"                                                                   \
    "smlad r6, " w ", r12, r6\n"

#define QUAD "ldrd r2, r3, [r0], #8\n" TERMS("r2") TERMS("r3") /* 17 instructions of 4 bytes */

/* One output: double the sum and add twice the bias (r10), scale (r3), round (r11), shift (r2). */
#define SCALE(sum, doubled)                                                                        \
    "add " sum ", r10, " sum ", " doubled "\n"                                                     \
    "add lr, r11, " sum ", asr #31\n"                                                              \
    "smmlar " sum ", " sum ", r3, lr\n"                                                            \
    "asr " sum ", r2\n"                                                                            \
    "ssat " sum ", #8, " sum ", asr #1\n"
#define SCALE_RELU(sum, doubled)                                                                   \
    "add " sum ", r10, " sum ", " doubled "\n"                                                     \
    "smmlar " sum ", " sum ", r3, r11\n"                                                           \
    "asr " sum ", r2\n"                                                                            \
    "ssat " sum ", #8, " sum ", asr #1\n"
/* Three pixels' outputs of one channel; whole - low is 256 times a sum, so asr #7 doubles it. */
#define CHANNEL(scale, a, b, c, doubled)                                                           \
    "ldmia r0!, {r2, r3, r10, r11}\n" scale(a, doubled) scale(b, doubled) scale(c, doubled)

/* The frame: out[3], inputs, rounds, entry, end of weights. The loop runs over eight quads; its
 * first round begins with as many of them as are left over. */
#define TILE(scale)                                                                                \
    __asm__("push {r4-r11, lr}\n"                                                                  \
            "sub sp, #28\n"                                                                        \
            "ldmia r0, {r4-r10}\n"                                                                 \
            "mov r0, r9\n"                                                                         \
            "rsb r1, r8, #0\n"                                                                     \
            "and r1, #7\n" /* quads that the first round skips */                                  \
            "add r8, #7\n"                                                                         \
            "lsr r8, #3\n" /* rounds */                                                            \
            "adr r9, 2f\n"                                                                         \
            "mov lr, #68\n"                                                                        \
            "mla r9, r1, lr, r9\n"                                                                 \
            "add r9, #1\n" /* a Thumb address */                                                   \
            "stmia sp, {r4-r10}\n"                                                                 \
            "1: ldr r1, [sp, #12]\n"                                                               \
            "ldrd lr, r12, [sp, #16]\n"                                                            \
            "ldmia r1!, {r4-r9}\n"                                                                 \
            "bx r12\n"                                                                             \
            ".p2align 2\n"                                                                         \
            "2: .rept 8\n" QUAD ".endr\n"                                                          \
            "subs lr, #1\n"                                                                        \
            "bne.w 2b\n"                                                                           \
            "sub r7, r4\n"                                                                         \
            "sub r8, r5\n"                                                                         \
            "sub r9, r6\n" CHANNEL(scale, "r4", "r5", "r6", "lsl #1")                              \
                CHANNEL(scale, "r7", "r8", "r9", "asr #7") "ldmia sp, {r10-r12}\n"                 \
                                                           "ldr r2, [sp, #24]\n"                   \
                                                           "strb r4, [r10], #1\n"                  \
                                                           "strb r5, [r11], #1\n"                  \
                                                           "strb r6, [r12], #1\n"                  \
                                                           "strb r7, [r10], #1\n"                  \
                                                           "strb r8, [r11], #1\n"                  \
                                                           "strb r9, [r12], #1\n"                  \
                                                           "stmia sp, {r10-r12}\n"                 \
                                                           "cmp r0, r2\n"                          \
                                                           "bne.w 1b\n"                            \
                                                           "add sp, #28\n"                         \
                                                           "pop {r4-r11, pc}\n")

__attribute__((naked)) void nano_tile_dsp(const nano_tile *tile __attribute__((unused))) {
    TILE(SCALE);
}

__attribute__((naked)) void nano_tile_relu_dsp(const nano_tile *tile __attribute__((unused))) {
    TILE(SCALE_RELU);
}

/* As TILE; behind its frame stand the odd sums of the parts so far and the rounds of those to come.
 * A part has 16 rounds: then the odd sums are taken out, and `whole` begins as `low` again. */
__attribute__((naked)) void nano_tile_long_dsp(const nano_tile *tile __attribute__((unused))) {
    __asm__("push {r4-r11, lr}\n"
            "sub sp, #44\n"
            "ldmia r0, {r4-r10}\n"
            "mov r0, r9\n"
            "rsb r1, r8, #0\n"
            "and r1, #7\n" /* quads that the first round skips */
            "add r8, #7\n"
            "lsr r8, #3\n" /* rounds */
            "adr r9, 2f\n"
            "mov lr, #68\n"
            "mla r9, r1, lr, r9\n"
            "add r9, #1\n" /* a Thumb address */
            "stmia sp, {r4-r10}\n"
            "1: ldr r1, [sp, #12]\n"
            "ldrd lr, r12, [sp, #16]\n"
            "ldmia r1!, {r4-r9}\n"
            "strd r7, r8, [sp, #28]\n" /* zeros */
            "subs r10, lr, #16\n"
            "it hi\n"
            "movhi lr, #16\n"
            "bic r10, r10, r10, asr #31\n"
            "strd r9, r10, [sp, #36]\n"
            "bx r12\n"
            ".p2align 2\n"
            "2: .rept 8\n" QUAD ".endr\n"
            "subs lr, #1\n"
            "bne.w 2b\n"
            "sub r7, r4\n"
            "sub r8, r5\n"
            "sub r9, r6\n"
            "ldrd r10, r11, [sp, #28]\n"
            "ldrd r12, lr, [sp, #36]\n"
            "add r7, r10, r7, asr #8\n"
            "add r8, r11, r8, asr #8\n"
            "add r9, r12, r9, asr #8\n"
            "cmp lr, #0\n"
            "beq 3f\n"
            "strd r7, r8, [sp, #28]\n"
            "subs r10, lr, #16\n"
            "it hi\n"
            "movhi lr, #16\n"
            "bic r10, r10, r10, asr #31\n"
            "strd r9, r10, [sp, #36]\n"
            "mov r7, r4\n"
            "mov r8, r5\n"
            "mov r9, r6\n"
            "b.w 2b\n"
            "3:\n" CHANNEL(SCALE, "r4", "r5", "r6", "lsl #1")
                CHANNEL(SCALE, "r7", "r8", "r9", "lsl #1") "ldmia sp, {r10-r12}\n"
                                                           "ldr r2, [sp, #24]\n"
                                                           "strb r4, [r10], #1\n"
                                                           "strb r5, [r11], #1\n"
                                                           "strb r6, [r12], #1\n"
                                                           "strb r7, [r10], #1\n"
                                                           "strb r8, [r11], #1\n"
                                                           "strb r9, [r12], #1\n"
                                                           "stmia sp, {r10-r12}\n"
                                                           "cmp r0, r2\n"
                                                           "bne.w 1b\n"
                                                           "add sp, #44\n"
                                                           "pop {r4-r11, pc}\n");
}

/* 10 instructions of 4 bytes for 12 terms: gcc does not gather six words into one STM. r0-r2
 * windows, r3 rounds of a row, r10 skips, r11 rows, r12 inputs. The loop runs over four quads; a
 * row's first round begins with as many of them as are left over. */
__attribute__((naked)) void nano_tile_widen_dsp(const nano_windows *windows
                                                __attribute__((unused))) {
    __asm__("push {r3-r11, lr}\n"
            "add r10, r0, #24\n"
            "ldmia r0, {r0-r3, r11, r12}\n"
            "rsb r4, r3, #0\n"
            "and r4, #3\n" /* quads that the first round skips */
            "add r3, #3\n"
            "lsr r3, #2\n"
            "adr r5, 2f\n"
            "mov r6, #40\n"
            "mla r5, r4, r6, r5\n"
            "add r5, #1\n" /* a Thumb address */
            "str r5, [sp]\n"
            "1: ldr r4, [sp]\n"
            "mov lr, r3\n"
            "bx r4\n"
            ".p2align 2\n"
            "2: .rept 4\n"
            "ldr.w r7, [r0], #4\n"
            "ldr.w r8, [r1], #4\n"
            "ldr.w r9, [r2], #4\n"
            "sxtb16 r4, r7\n"
            "sxtb16 r5, r8\n"
            "sxtb16 r6, r9\n"
            "sxtb16 r7, r7, ror #8\n"
            "sxtb16 r8, r8, ror #8\n"
            "sxtb16 r9, r9, ror #8\n"
            "stmia r12!, {r4-r9}\n"
            ".endr\n"
            "subs lr, #1\n"
            "bne 2b\n"
            "ldmia r10, {r4-r6}\n"
            "add r0, r4\n"
            "add r1, r5\n"
            "add r2, r6\n"
            "subs r11, #1\n"
            "bne 1b\n"
            "pop {r3-r11, pc}\n");
}

#endif
