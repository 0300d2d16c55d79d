/* dense.c's equation, four outputs at a time. A row of inputs is widened to halves once. A half of
 * the weights is 256 * odd row + even row (tile_dsp.c of conv2d tells how both sums come out).
 *
 * The four sums are assembly: with LDM a load of four words is one instruction, and with it eight
 * terms of four outputs take 27 for 32 products. gcc 12 loads words one by one. */
#include "nano/ops.h"

#include "../../requant_dsp.h"

#if NANO_SIMD

/* What runs seldom stays out of the loop. */
#if defined(__GNUC__)
#define SELDOM __attribute__((noinline))
#else
#define SELDOM
#endif

#define ZEROS 4 /* words before the inputs: the sums begin with them */
#define PART 64 /* octets of a row that the kernel of long rows adds before it parts the sums */

/* Octets of the first part: the loop's first round begins with those left over from eights. */
#define FIRST_PART(octets) (PART - (0u - (octets)) % 8u)

/* What four outputs are made from; assembly reads this struct by position. */
typedef struct {
    const int16_t *weights; /* [blocks][2 octets][2][4] */
    const uint32_t *inputs; /* [4 + 4 * octets] */
    uint32_t octets;
    int32_t offset; /* 2 * zero_point(out) + 1 */
    const int32_t *scales;
    const int32_t *scales_end; /* behind the last four; there are four at least */
    int8_t *out;
} block;

#if NANO_SIMD_NATIVE

/* r0 weights, r1 inputs, r4 r6 low and r5 r7 whole sums, r8-r11 weights, r2 r3 r12 lr inputs */
#define PAIR(low, whole, a, b, x, y)                                                               \
    "smlad " whole ", " a ", " x ", " whole "\n"                                                   \
    "sxtb16 " a ", " a "\n"                                                                        \
    "smlad " whole ", " b ", " y ", " whole "\n"                                                   \
    "sxtb16 " b ", " b "\n"                                                                        \
    "smlad " low ", " a ", " x ", " low "\n"                                                       \
    "smlad " low ", " b ", " y ", " low "\n"
#define QUAD(x, y)                                                                                 \
    "ldmia r0!, {r8-r11}\n" PAIR("r4", "r5", "r8", "r9", x, y) PAIR("r6", "r7", "r10", "r11", x, y)
/* 27 instructions of 4 bytes */
#define OCTET "ldmia r1!, {r2, r3, r12, lr}\n" QUAD("r2", "r3") QUAD("r12", "lr")

/* One output: twice the bias (r10), round (r11), scale (r9), shift (r8); whole - low is 256 times a
 * sum, so asr #7 doubles it. */
#define SCALE(sum, doubled)                                                                        \
    "ldrd r8, r9, [r2], #8\n"                                                                      \
    "asr r10, r8, #7\n"                                                                            \
    "lsl r11, r12, r8\n"                                                                           \
    "add " sum ", r10, " sum ", " doubled "\n"                                                     \
    "add r11, r11, " sum ", asr #31\n"                                                             \
    "smmlar " sum ", " sum ", r9, r11\n"                                                           \
    "asr " sum ", r8\n"                                                                            \
    "ssat " sum ", #8, " sum ", asr #1\n"                                                          \
    "strb " sum ", [r3], #1\n"
#define SCALE_RELU(sum, doubled)                                                                   \
    "ldrd r8, r9, [r2], #8\n"                                                                      \
    "asr r10, r8, #7\n"                                                                            \
    "lsl r11, r12, r8\n"                                                                           \
    "add " sum ", r10, " sum ", " doubled "\n"                                                     \
    "smmlar " sum ", " sum ", r9, r11\n"                                                           \
    "asr " sum ", r8\n"                                                                            \
    "ssat " sum ", #8, " sum ", asr #1\n"                                                          \
    "strb " sum ", [r3], #1\n"

/* The frame: inputs, end of inputs, entry, offset, scales, scales_end, out. The loop runs over
 * eight octets; its first round begins with as many of them as are left over. */
#define BLOCKS(scale)                                                                              \
    __asm__("push {r4-r11, lr}\n"                                                                  \
            "sub sp, #28\n"                                                                        \
            "ldmia r0, {r4-r10}\n"                                                                 \
            "mov r0, r4\n"                                                                         \
            "rsb r1, r6, #0\n"                                                                     \
            "and r1, #7\n" /* octets that the first round skips */                                 \
            "adr r3, 2f\n"                                                                         \
            "mov r2, #108\n"                                                                       \
            "mla r3, r1, r2, r3\n"                                                                 \
            "add r3, #1\n" /* a Thumb address */                                                   \
            "add r2, r5, #16\n"                                                                    \
            "add r2, r2, r6, lsl #4\n"                                                             \
            "str r5, [sp]\n"                                                                       \
            "strd r2, r3, [sp, #4]\n"                                                              \
            "strd r7, r8, [sp, #12]\n"                                                             \
            "strd r9, r10, [sp, #20]\n"                                                            \
            "1: ldr r1, [sp]\n"                                                                    \
            "ldr r2, [sp, #8]\n"                                                                   \
            "ldmia r1!, {r4-r7}\n"                                                                 \
            "bx r2\n"                                                                              \
            ".p2align 2\n"                                                                         \
            "2: .rept 8\n" OCTET ".endr\n"                                                         \
            "ldr r8, [sp, #4]\n"                                                                   \
            "cmp r1, r8\n"                                                                         \
            "bne.w 2b\n"                                                                           \
            "ldrd r12, r2, [sp, #12]\n"                                                            \
            "ldrd r1, r3, [sp, #20]\n"                                                             \
            "sub r5, r4\n"                                                                         \
            "sub r7, r6\n" scale("r4", "lsl #1") scale("r5", "asr #7") scale("r6", "lsl #1")       \
                scale("r7", "asr #7") "str r2, [sp, #16]\n"                                        \
                                      "str r3, [sp, #24]\n"                                        \
                                      "cmp r1, r2\n"                                               \
                                      "bne.w 1b\n"                                                 \
                                      "add sp, #28\n"                                              \
                                      "pop {r4-r11, pc}\n")

__attribute__((naked)) static void blocks(const block *b __attribute__((unused))) {
    BLOCKS(SCALE);
}

__attribute__((naked)) static void blocks_relu(const block *b __attribute__((unused))) {
    BLOCKS(SCALE_RELU);
}

/* As BLOCKS; behind its frame stand both odd rows' sums so far, the end of the inputs' part and
 * that of the first part. A part ends with a round. */
__attribute__((naked)) static void blocks_long(const block *b __attribute__((unused))) {
    __asm__("push {r4-r11, lr}\n"
            "sub sp, #44\n"
            "ldmia r0, {r4-r10}\n"
            "mov r0, r4\n"
            "rsb r1, r6, #0\n"
            "and r1, #7\n" /* octets that the first round skips */
            "adr r3, 2f\n"
            "mov r2, #108\n"
            "mla r3, r1, r2, r3\n"
            "add r3, #1\n" /* a Thumb address */
            "add r2, r5, #16\n"
            "add r2, r2, r6, lsl #4\n"
            "str r5, [sp]\n"
            "strd r2, r3, [sp, #4]\n"
            "strd r7, r8, [sp, #12]\n"
            "strd r9, r10, [sp, #20]\n"
            "add r11, r5, #1040\n" /* behind the zeros and 64 octets */
            "sub r11, r11, r1, lsl #4\n"
            "cmp r11, r2\n"
            "it hi\n"
            "movhi r11, r2\n"
            "str r11, [sp, #40]\n"
            "1: ldr r1, [sp]\n"
            "ldr r2, [sp, #8]\n"
            "ldr r3, [sp, #40]\n"
            "ldmia r1!, {r4-r7}\n"
            "strd r5, r7, [sp, #28]\n" /* zeros */
            "str r3, [sp, #36]\n"
            "bx r2\n"
            ".p2align 2\n"
            "2: .rept 8\n" OCTET ".endr\n"
            "ldr r8, [sp, #36]\n"
            "cmp r1, r8\n"
            "bne.w 2b\n"
            "ldrd r9, r10, [sp, #28]\n"
            "ldr r11, [sp, #4]\n"
            "sub r5, r4\n"
            "sub r7, r6\n"
            "add r5, r9, r5, asr #8\n"
            "add r7, r10, r7, asr #8\n"
            "cmp r8, r11\n"
            "beq 3f\n"
            "strd r5, r7, [sp, #28]\n"
            "add r8, #1024\n"
            "cmp r8, r11\n"
            "it hi\n"
            "movhi r8, r11\n"
            "str r8, [sp, #36]\n"
            "mov r5, r4\n" /* whole - low begins with 0 again */
            "mov r7, r6\n"
            "b.w 2b\n"
            "3: ldrd r12, r2, [sp, #12]\n"
            "ldrd r1, r3, [sp, #20]\n" SCALE("r4", "lsl #1") SCALE("r5", "lsl #1")
                SCALE("r6", "lsl #1") SCALE("r7", "lsl #1") "str r2, [sp, #16]\n"
                                                            "str r3, [sp, #24]\n"
                                                            "cmp r1, r2\n"
                                                            "bne.w 1b\n"
                                                            "add sp, #44\n"
                                                            "pop {r4-r11, pc}\n");
}

#else

static void four(const block *b, int32_t (*requantize)(int32_t, const int32_t *, int32_t),
                 uint32_t first) {
    const int16_t *w = b->weights;
    int8_t *out = b->out;
    for (const int32_t *scales = b->scales; scales != b->scales_end; scales += 8) {
        int32_t low[2] = {0, 0}, odd[2] = {0, 0};
        for (uint32_t octet = 0, end = first; octet < b->octets; end += PART) {
            int32_t whole[2] = {low[0], low[1]};
            for (; octet < b->octets && octet < end; octet++) {
                for (uint32_t i = 0; i < 8; i++, w += 2) {
                    const uint32_t pair = i / 2 % 2, term = 4 * octet + i / 4 * 2 + i % 2;
                    const nano_halves word = nano_load_word(w), x = b->inputs[ZEROS + term];
                    whole[pair] = nano_smlad(word, x, whole[pair]);
                    low[pair] = nano_smlad(nano_sxtb16(word), x, low[pair]);
                }
            }
            for (uint32_t i = 0; i < 2; i++)
                odd[i] += (int32_t)((uint32_t)whole[i] - (uint32_t)low[i]) >> 8;
        }
        for (uint32_t i = 0; i < 2; i++) {
            *out++ = (int8_t)requantize(low[i], scales + 4 * i, b->offset);
            *out++ = (int8_t)requantize(odd[i], scales + 4 * i + 2, b->offset);
        }
    }
}

static void blocks(const block *b) {
    four(b, nano_requantize_dsp, b->octets);
}

static void blocks_relu(const block *b) {
    four(b, nano_requantize_relu_dsp, b->octets);
}

static void blocks_long(const block *b) {
    four(b, nano_requantize_dsp, FIRST_PART(b->octets));
}

#endif

/* The inputs as halves in quads, then zeros to a whole octet. */
static void widen(const int8_t *in, uint32_t n, uint32_t *out, const uint32_t *end) {
    for (; n >= 4; n -= 4, in += 4, out += 2) {
        const uint32_t bytes = nano_load_unaligned(in);
        out[0] = nano_sxtb16(bytes);
        out[1] = nano_sxtb16_ror8(bytes);
    }
    if (n != 0) {
        uint32_t bytes = 0;
        for (uint32_t i = 0; i < n; i++)
            bytes |= (uint32_t)(uint8_t)in[i] << 8 * i;
        *out++ = nano_sxtb16(bytes);
        *out++ = nano_sxtb16_ror8(bytes);
    }
    while (out != end)
        *out++ = 0;
}

/* The three outputs behind the blocks of four, of which one is made and dropped. */
static SELDOM void three(const block *b, const int16_t *w, int8_t *out,
                         void (*compute)(const block *)) {
    int8_t four[4];
    block last = *b;
    last.weights = w;
    last.scales = b->scales_end;
    last.scales_end = last.scales + 8;
    last.out = four;
    compute(&last);
    for (uint32_t i = 0; i < 3; i++)
        out[i] = four[i];
}

/* The one or two outputs behind the blocks of four; `first`: octets of the rows' first part. */
static inline void rest(const block *b, const int16_t *w, uint32_t outputs, int8_t *out,
                        int32_t (*requantize)(int32_t, const int32_t *, int32_t), uint32_t first) {
#define TERMS(i)                                                                                   \
    do {                                                                                           \
        const nano_halves word = nano_load_word(w + 2 * (i));                                      \
        whole = nano_smlad(word, in[i], whole);                                                    \
        low = nano_smlad(nano_sxtb16(word), in[i], low);                                           \
    } while (0)
    const int32_t *const scales = b->scales_end;
    const uint32_t *in = b->inputs + ZEROS;
    int32_t low = 0, odd = 0;
    for (uint32_t left = b->octets, part = first; left != 0; left -= part, part = PART) {
        int32_t whole = low;
        part = part < left ? part : left;
        for (uint32_t octets = part; octets != 0; octets--, in += 4, w += 8) {
            TERMS(0);
            TERMS(1);
            TERMS(2);
            TERMS(3);
        }
        odd += (int32_t)((uint32_t)whole - (uint32_t)low) >> 8;
    }
    out[0] = (int8_t)requantize(low, scales, b->offset);
    if (outputs > 1)
        out[1] = (int8_t)requantize(odd, scales + 2, b->offset);
#undef TERMS
}

static inline void dense(const nano_dense_dsp_params *p, const nano_io *io,
                         void (*compute)(const block *),
                         int32_t (*requantize)(int32_t, const int32_t *, int32_t), uint32_t first) {
    const uint32_t outputs = p->out_features, fours = outputs / 4u;
    const int8_t *in = (const int8_t *)io->in[0];
    uint32_t *const scratch = (uint32_t *)io->scratch;
    block b = {p->weights,       scratch,
               p->octets,        2 * p->store.zero_point + 1,
               p->scales,        p->scales + 8 * fours,
               (int8_t *)io->out};
    for (uint32_t i = 0; i < ZEROS; i++)
        scratch[i] = 0;
    for (uint32_t r = 0; r < p->rows; r++, in += p->in_features, b.out += outputs) {
        widen(in, p->in_features, scratch + ZEROS, scratch + ZEROS + 4u * p->octets);
        if (fours != 0)
            compute(&b);
        const int16_t *const w = p->weights + 16 * fours * p->octets;
        if (outputs % 4 == 3)
            three(&b, w, b.out + 4 * fours, compute);
        else if (outputs % 4 != 0)
            rest(&b, w, outputs % 4, b.out + 4 * fours, requantize, first);
    }
    if (p->store.min > -128 || p->store.max < 127)
        nano_clamp_dsp((int8_t *)io->out, p->rows * outputs, p->store.min, p->store.max);
}

void nano_dense_dsp(const void *params, const nano_io *io) {
    const nano_dense_dsp_params *const p = (const nano_dense_dsp_params *)params;
    dense(p, io, blocks, nano_requantize_dsp, p->octets);
}

void nano_dense_relu_dsp(const void *params, const nano_io *io) {
    const nano_dense_dsp_params *const p = (const nano_dense_dsp_params *)params;
    dense(p, io, blocks_relu, nano_requantize_relu_dsp, p->octets);
}

void nano_dense_long_dsp(const void *params, const nano_io *io) {
    const nano_dense_dsp_params *const p = (const nano_dense_dsp_params *)params;
    dense(p, io, blocks_long, nano_requantize_dsp, FIRST_PART(p->octets));
}

#endif
