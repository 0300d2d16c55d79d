/* out[o] = (ready[o] + multiplier[o] * sum over terms of in * w[o]) >> (32 + shift[o]) for all o of
 * three pixels, two o at a time.
 *
 * A word of weights has two terms of both outputs; SXTB16 takes out those of the even one, with
 * ROR 8 those of the odd one: 10 instructions for 12 products. The six sums, the inputs, the
 * weights and two pointers take every register of the core, which is why this is assembly. tile()
 * is its twin in C. */
#include "tile_int16_dsp.h"

#if NANO_SIMD

#define PIXELS NANO_TILE16_PIXELS

#if !NANO_SIMD_NATIVE

void nano_tile_int16_sums_dsp(const nano_tile_int16 *t, int32_t sums[NANO_TILE16_SUMS]) {
    for (uint32_t k = 0; k < NANO_TILE16_SUMS; k++)
        sums[k] = 0;
    for (uint32_t i = 0; i < t->words; i++) {
        const uint32_t word = nano_load_word(t->weights + 4 * i);
        for (uint32_t k = 0; k < PIXELS; k++) {
            const nano_halves x = t->inputs[PIXELS * i + k];
            sums[k] = nano_smlad(nano_sxtb16(word), x, sums[k]);
            sums[PIXELS + k] = nano_smlad(nano_sxtb16_ror8(word), x, sums[PIXELS + k]);
        }
    }
}

static void tile(const nano_tile_int16 *all, int32_t low) {
    nano_tile_int16 t = *all;
    t.inputs += NANO_TILE16_SUMS;
    for (uint32_t output = 0; t.weights != t.weights_end; output++) {
        int32_t sums[NANO_TILE16_SUMS];
        nano_tile_int16_sums_dsp(&t, sums);
        t.weights += 4 * t.words;
        for (uint32_t i = 0; i < 2; i++, t.weights += NANO_TILE16_SCALES / 2) {
            int32_t scale[4];
            for (uint32_t k = 0; k < 4; k++)
                scale[k] = (int32_t)nano_load_word(t.weights + 4 * k);
            for (uint32_t k = 0; k < PIXELS; k++) {
                const int64_t total =
                    nano_add_scaled(nano_ready_int16(scale), sums[PIXELS * i + k], scale);
                t.out[k][2 * output + i] = nano_finish_int16(total, scale, low, INT16_MAX);
            }
        }
    }
}

void nano_tile_int16_dsp(const nano_tile_int16 *t) {
    tile(t, INT16_MIN);
}

void nano_tile_int16_relu_dsp(const nano_tile_int16 *t) {
    tile(t, 0);
}

void nano_tile_int16_gather_dsp(const nano_windows_int16 *w) {
    for (uint32_t k = 0; k < PIXELS; k++) {
        const uint8_t *from = (const uint8_t *)w->windows[k];
        uint32_t *inputs = w->inputs + k;
        for (uint32_t run = 0; run < w->runs; run++, from += w->skip) {
            for (uint32_t i = 0; i < w->words; i++, from += 4, inputs += PIXELS)
                *inputs = nano_load_unaligned(from);
        }
    }
}

#else

#define NAKED __attribute__((naked))
#define UNUSED __attribute__((unused))

/* 10 instructions of 4 bytes. r0 weights, r1 inputs, r2 r3 weights, r4-r6 sums of the even and
 * r7-r9 of the odd output, r10-r12 inputs, lr rounds. */
#define WORD                                                                                       \
    "ldr.w r2, [r0], #4\n"                                                                         \
    "ldmia.w r1!, {r10-r12}\n"                                                                     \
    "sxtb16 r3, r2\n"                                                                              \
    "smlad r4, r3, r10, r4\n"                                                                      \
    "smlad r5, r3, r11, r5\n"                                                                      \
    "smlad r6, r3, r12, r6\n"                                                                      \
    "sxtb16 r2, r2, ror #8\n"                                                                      \
    "smlad r7, r2, r10, r7\n"                                                                      \
    "smlad r8, r2, r11, r8\n"                                                                      \
    "smlad r9, r2, r12, r9\n"

/* Eight words a round; the first one begins with as many of them as are left over. */
#define LOOP                                                                                       \
    ".p2align 2\n"                                                                                 \
    "2: .rept 8\n" WORD ".endr\n"                                                                  \
    "subs lr, #1\n"                                                                                \
    "bne.w 2b\n"

/* Of `words`: the rounds in their place, and where the first one begins; r1 lr are lost. */
#define ENTRY(words, entry)                                                                        \
    "rsb r1, " words ", #0\n"                                                                      \
    "and r1, #7\n"                                                                                 \
    "add " words ", #7\n"                                                                          \
    "lsr " words ", #3\n"                                                                          \
    "adr " entry ", 2f\n"                                                                          \
    "mov lr, #40\n"                                                                                \
    "mla " entry ", r1, lr, " entry "\n"                                                           \
    "add " entry ", #1\n" /* a Thumb address */

/* The six sums as outputs: ready (r2 r3), multiplier (r10), shift (r11). */
#define SCALE(sum, saturate)                                                                       \
    "mov r12, r2\n"                                                                                \
    "mov lr, r3\n"                                                                                 \
    "smlal r12, lr, " sum ", r10\n"                                                                \
    "asr " sum ", lr, r11\n" saturate(sum)
#define SATURATE(sum) "ssat " sum ", #16, " sum "\n"
#define SATURATE_RELU(sum) "usat " sum ", #15, " sum "\n"
#define CHANNEL(a, b, c, saturate)                                                                 \
    "ldmia r0!, {r2, r3, r10, r11}\n" SCALE(a, saturate) SCALE(b, saturate) SCALE(c, saturate)

/* clang-format off */
/* The frame: out[3], inputs, rounds, entry, end of weights. */
#define TILE(saturate)                                                                             \
    __asm__("push {r4-r11, lr}\n"                                                                  \
            "sub sp, #28\n"                                                                        \
            "ldmia r0, {r4-r10}\n"                                                                 \
            "mov r0, r9\n"                                                                         \
            ENTRY("r8", "r9")                                                                      \
            "stmia sp, {r4-r10}\n"                                                                 \
            "1: ldr r1, [sp, #12]\n"                                                               \
            "ldrd lr, r12, [sp, #16]\n"                                                            \
            "ldmia r1!, {r4-r9}\n"                                                                 \
            "bx r12\n"                                                                             \
            LOOP                                                                                   \
            CHANNEL("r4", "r5", "r6", saturate)                                                    \
            CHANNEL("r7", "r8", "r9", saturate)                                                    \
            "ldmia sp, {r10-r12}\n"                                                                \
            "ldr r2, [sp, #24]\n"                                                                  \
            "strh r4, [r10], #2\n"                                                                 \
            "strh r5, [r11], #2\n"                                                                 \
            "strh r6, [r12], #2\n"                                                                 \
            "strh r7, [r10], #2\n"                                                                 \
            "strh r8, [r11], #2\n"                                                                 \
            "strh r9, [r12], #2\n"                                                                 \
            "stmia sp, {r10-r12}\n"                                                                \
            "cmp r0, r2\n"                                                                         \
            "bne.w 1b\n"                                                                           \
            "add sp, #28\n"                                                                        \
            "pop {r4-r11, pc}\n")
/* clang-format on */

NAKED void nano_tile_int16_dsp(const nano_tile_int16 *tile UNUSED) {
    TILE(SATURATE);
}

NAKED void nano_tile_int16_relu_dsp(const nano_tile_int16 *tile UNUSED) {
    TILE(SATURATE_RELU);
}

NAKED void nano_tile_int16_sums_dsp(const nano_tile_int16 *tile UNUSED,
                                    int32_t sums[NANO_TILE16_SUMS] UNUSED) {
    __asm__("push {r1, r4-r11, lr}\n"
            "ldr r4, [r0, #12]\n"      /* inputs */
            "ldrd r5, r0, [r0, #16]\n" /* words, weights */
            ENTRY("r5", "r12") "mov r1, r4\n"
                               "mov lr, r5\n"
                               "mov r4, #0\n"
                               "mov r5, #0\n"
                               "mov r6, #0\n"
                               "mov r7, #0\n"
                               "mov r8, #0\n"
                               "mov r9, #0\n"
                               "bx r12\n" LOOP "ldr r1, [sp]\n"
                               "stmia r1, {r4-r9}\n"
                               "pop {r1, r4-r11, pc}\n");
}

/* 4 instructions of 4 bytes for 6 terms. r0-r2 windows, r3 rounds of a run, r4 where its first one
 * begins, r10 runs, r11 inputs, r12 skip. Eight words a round. */
NAKED void nano_tile_int16_gather_dsp(const nano_windows_int16 *windows UNUSED) {
    __asm__("push {r3-r11, lr}\n"
            "ldmia r0, {r0-r3, r10-r12}\n"
            "rsb r5, r3, #0\n"
            "and r5, #7\n" /* words that a run's first round skips */
            "add r3, #7\n"
            "lsr r3, #3\n"
            "adr r4, 2f\n"
            "add r4, r4, r5, lsl #4\n"
            "add r4, #1\n" /* a Thumb address */
            "1: mov lr, r3\n"
            "bx r4\n"
            ".p2align 2\n"
            "2: .rept 8\n"
            "ldr.w r6, [r0], #4\n"
            "ldr.w r7, [r1], #4\n"
            "ldr.w r8, [r2], #4\n"
            "stmia.w r11!, {r6-r8}\n"
            ".endr\n"
            "subs lr, #1\n"
            "bne.w 2b\n"
            "add r0, r12\n"
            "add r1, r12\n"
            "add r2, r12\n"
            "subs r10, #1\n"
            "bne.w 1b\n"
            "pop {r3-r11, pc}\n");
}

#endif

void nano_tile_int16_long_dsp(const nano_tile_int16 *t) {
    nano_tile_int16 part = *t;
    for (uint32_t o = 0; part.weights != t->weights_end; o += 2) {
        const int8_t *const behind = part.weights + 4 * t->words;
        const int32_t *const scales = (const int32_t *)(const void *)behind;
        int64_t totals[NANO_TILE16_SUMS];
        for (uint32_t k = 0; k < NANO_TILE16_SUMS; k++)
            totals[k] = nano_ready_int16(scales + k / PIXELS * 4);
        part.inputs = t->inputs + NANO_TILE16_SUMS;
        for (uint32_t left = t->words; left > 0; left -= part.words) {
            int32_t sums[NANO_TILE16_SUMS];
            part.words = left < t->rows->part ? left : t->rows->part;
            nano_tile_int16_sums_dsp(&part, sums);
            for (uint32_t k = 0; k < NANO_TILE16_SUMS; k++)
                totals[k] = nano_add_scaled(totals[k], sums[k], scales + k / PIXELS * 4);
            part.weights += 4 * part.words, part.inputs += PIXELS * part.words;
        }
        for (uint32_t k = 0; k < NANO_TILE16_SUMS; k++) {
            const uint32_t i = k / PIXELS;
            t->out[k % PIXELS][o + i] =
                nano_finish_int16(totals[k], scales + 4 * i, t->rows->min, t->rows->max);
        }
        part.weights = behind + NANO_TILE16_SCALES;
    }
}

#if NANO_SIMD_NATIVE

/* 4.5 instructions for 4 products. r0 weights, r1 inputs, r2-r5 weights, r6-r9 inputs, r11 r12
 * sums, lr words. */
#define PRODUCTS(w, x)                                                                             \
    "sxtb16 r10, " w "\n"                                                                          \
    "smlad r11, r10, " x ", r11\n"                                                                 \
    "sxtb16 " w ", " w ", ror #8\n"                                                                \
    "smlad r12, " w ", " x ", r12\n"
/* clang-format off */
#define LINE                                                                                       \
    "mov r11, #0\n"                                                                                \
    "mov r12, #0\n"                                                                                \
    "subs lr, #4\n"                                                                                \
    "blt 3f\n"                                                                                     \
    "2: ldmia.w r0!, {r2-r5}\n"                                                                    \
    "ldmia.w r1!, {r6-r9}\n"                                                                       \
    PRODUCTS("r2", "r6") PRODUCTS("r3", "r7") PRODUCTS("r4", "r8") PRODUCTS("r5", "r9")            \
    "subs lr, #4\n"                                                                                \
    "bge 2b\n"                                                                                     \
    "3: adds lr, #4\n"                                                                             \
    "beq 5f\n"                                                                                     \
    "4: ldr r2, [r0], #4\n"                                                                        \
    "ldr r6, [r1], #4\n"                                                                           \
    PRODUCTS("r2", "r6")                                                                           \
    "subs lr, #1\n"                                                                                \
    "bne 4b\n"                                                                                     \
    "5:\n"
#define OUTPUT(sum)                                                                                \
    "ldmia r0!, {r2-r5}\n"                                                                         \
    "smlal r2, r3, " sum ", r4\n"                                                                  \
    "asr r3, r5\n"                                                                                 \
    "ssat r3, #16, r3\n"                                                                           \
    "strh r3, [r10], #2\n"

/* The frame: out, its end, inputs, words. */
static NAKED void pairs(const int8_t *weights UNUSED, const uint32_t *in UNUSED,
                        uint32_t words UNUSED, int16_t *out UNUSED, int16_t *end UNUSED) {
    __asm__("push {r4-r11, lr}\n"
            "ldr r4, [sp, #36]\n"
            "push {r1, r2}\n"
            "push {r3, r4}\n"
            "1: ldrd r1, lr, [sp, #8]\n"
            LINE
            "ldr r10, [sp]\n"
            OUTPUT("r11")
            OUTPUT("r12")
            "str r10, [sp]\n"
            "ldr r2, [sp, #4]\n"
            "cmp r10, r2\n"
            "bne.w 1b\n"
            "add sp, #16\n"
            "pop {r4-r11, pc}\n");
}

/* Both sums of a pair of rows over some words. */
static NAKED void add_words(const int8_t *weights UNUSED, const uint32_t *in UNUSED,
                            uint32_t words UNUSED, int32_t sums[2] UNUSED) {
    __asm__("push {r3-r11, lr}\n"
            "mov lr, r2\n"
            LINE
            "ldr r2, [sp]\n"
            "strd r11, r12, [r2]\n"
            "pop {r3-r11, pc}\n");
}
/* clang-format on */

#else

static void add_words(const int8_t *w, const uint32_t *in, uint32_t words, int32_t sums[2]) {
    sums[0] = 0, sums[1] = 0;
    for (uint32_t i = 0; i < words; i++) {
        const uint32_t word = nano_load_word(w + 4 * i);
        sums[0] = nano_smlad(nano_sxtb16(word), in[i], sums[0]);
        sums[1] = nano_smlad(nano_sxtb16_ror8(word), in[i], sums[1]);
    }
}

static void pairs(const int8_t *w, const uint32_t *in, uint32_t words, int16_t *out, int16_t *end) {
    while (out != end) {
        int32_t sums[2];
        add_words(w, in, words, sums);
        w += 4 * words;
        for (uint32_t i = 0; i < 2; i++, w += NANO_TILE16_SCALES / 2) {
            int32_t scale[4];
            for (uint32_t k = 0; k < 4; k++)
                scale[k] = (int32_t)nano_load_word(w + 4 * k);
            const int64_t total = nano_add_scaled(nano_ready_int16(scale), sums[i], scale);
            *out++ = nano_finish_int16(total, scale, INT16_MIN, INT16_MAX);
        }
    }
}

#endif

/* Sums in parts. */
static void long_pairs(const nano_rows_int16 *rows, const uint32_t *in, const int8_t *weights,
                       int16_t *out, const int16_t *end) {
    for (; out != end; out += 2) {
        const int8_t *const behind = weights + 4u * rows->words;
        const int32_t *const scales = (const int32_t *)(const void *)behind;
        const uint32_t *x = in;
        int64_t totals[2] = {nano_ready_int16(scales), nano_ready_int16(scales + 4)};
        for (uint32_t left = rows->words, n; left > 0; left -= n) {
            int32_t sums[2];
            n = left < rows->part ? left : rows->part;
            add_words(weights, x, n, sums);
            totals[0] = nano_add_scaled(totals[0], sums[0], scales);
            totals[1] = nano_add_scaled(totals[1], sums[1], scales + 4);
            weights += 4 * n, x += n;
        }
        out[0] = nano_finish_int16(totals[0], scales, INT16_MIN, INT16_MAX);
        out[1] = nano_finish_int16(totals[1], scales + 4, INT16_MIN, INT16_MAX);
        weights = behind + NANO_TILE16_SCALES;
    }
}

void nano_line_int16_dsp(const nano_rows_int16 *rows, const uint32_t *in, const int8_t *weights,
                         uint32_t outputs, int16_t *out) {
    const int8_t *const last = weights + outputs / 2 * (4u * rows->words + NANO_TILE16_SCALES);
    int16_t two[2] = {0, 0}, *const end = out + outputs / 2 * 2;
    if (rows->part < rows->words) {
        long_pairs(rows, in, weights, out, end);
        if (outputs % 2 != 0)
            long_pairs(rows, in, last, two, two + 2);
    } else {
        if (outputs > 1)
            pairs(weights, in, rows->words, out, end);
        if (outputs % 2 != 0)
            pairs(last, in, rows->words, two, two + 2);
    }
    if (outputs % 2 != 0)
        *end = two[0];
    if (rows->min > INT16_MIN || rows->max < INT16_MAX)
        nano_clamp_halves(out, outputs, rows->min, rows->max);
}

#endif
