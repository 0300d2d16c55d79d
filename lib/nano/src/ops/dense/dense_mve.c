/* dense.c's equation, four outputs at a time: VMLADAVA adds 16 products to a sum.
 *
 * The sums are assembly: they want even registers, and gcc 12 moves them to and fro. Two steps are
 * 19 instructions for 128 products. */
#include "nano/ops.h"

#include "../../requant_mve.h"

#if NANO_MVE

/* What blocks of four outputs are made from; assembly reads this struct by position. */
typedef struct {
    const int8_t *weights; /* [blocks][steps][4][16] */
    int8_t *out;
    uint32_t odd;          /* 1: a step stands between the first one and the pairs */
    uint32_t pairs;        /* of steps behind the first one, or the first two */
    const int32_t *scales; /* [blocks][2][4] */
    int32_t zero_point;
    const int32_t *scales_end; /* behind the last block; there is one at least */
    const int8_t *inputs;      /* [steps][16] */
} job;

#if NANO_MVE_NATIVE

/* r0 r2 r4 r6 sums, r1 weights, r3 inputs; `mac` sets the sums or adds to them. */
#define STEP(mac)                                                                                  \
    "vldrb.u8 q0, [r3], #16\n"                                                                     \
    "vldrb.u8 q1, [r1], #16\n" mac " r0, q0, q1\n"                                                 \
    "vldrb.u8 q2, [r1], #16\n" mac " r2, q0, q2\n"                                                 \
    "vldrb.u8 q1, [r1], #16\n" mac " r4, q0, q1\n"                                                 \
    "vldrb.u8 q2, [r1], #16\n" mac " r6, q0, q2\n"
#define SET STEP("vmladav.s8")
#define ADD STEP("vmladava.s8")
/* Where negative sums matter: q2 less 1 in these lanes. */
#define SIGN                                                                                       \
    "vshr.s32 q1, q2, #31\n"                                                                       \
    "vadd.i32 q2, q2, q1\n"

/* r5 out, r7 odd, r8 pairs, r9 scales, r10 zero point, r11 end of scales, r12 inputs */
#define BLOCKS(sign)                                                                               \
    __asm__("push {r4-r11, lr}\n"                                                                  \
            "ldmia r0, {r1, r5, r7-r12}\n"                                                         \
            "1: mov r3, r12\n" SET "cbz r7, 2f\n" ADD "2: wls lr, r8, 4f\n"                        \
            "3:\n" ADD ADD "le lr, 3b\n"                                                           \
            "4: vmov q2[2], q2[0], r0, r4\n"                                                       \
            "vmov q2[3], q2[1], r2, r6\n"                                                          \
            "vldrw.u32 q0, [r9], #16\n"                                                            \
            "vshr.s32 q1, q0, #8\n"                                                                \
            "vadd.i32 q2, q2, q1\n"                                                                \
            "vldrw.u32 q1, [r9], #16\n"                                                            \
            "vqrdmulh.s32 q2, q2, q1\n" sign "vrshl.s32 q2, q2, q0\n"                              \
            "vadd.i32 q2, q2, r10\n"                                                               \
            "vqmovnb.s32 q2, q2\n"                                                                 \
            "vqmovnb.s16 q2, q2\n"                                                                 \
            "vstrb.32 q2, [r5], #4\n"                                                              \
            "cmp r9, r11\n"                                                                        \
            "bne 1b\n"                                                                             \
            "pop {r4-r11, pc}\n")

__attribute__((naked)) static void blocks(const job *j __attribute__((unused))) {
    BLOCKS(SIGN);
}

__attribute__((naked)) static void blocks_relu(const job *j __attribute__((unused))) {
    BLOCKS("");
}

#else

static void blocks_in_c(const job *j, int relu) {
    const int8_t *w = j->weights;
    int8_t *out = j->out;
    for (const int32_t *scales = j->scales; scales != j->scales_end; scales += 8, out += 4) {
        nano_words sums = nano_fill4(0);
        for (uint32_t i = 0; i < 64 * (1 + j->odd + 2 * j->pairs); i++)
            sums.lane[i / 16 % 4] += *w++ * j->inputs[i / 64 * 16 + i % 16];
        nano_store4(out, nano_requantize_mve(sums, scales, j->zero_point, relu));
    }
}

static void blocks(const job *j) {
    blocks_in_c(j, 0);
}

static void blocks_relu(const job *j) {
    blocks_in_c(j, 1);
}

#endif

static void dense(const nano_dense_mve_params *p, const nano_io *io, void (*compute)(const job *)) {
    const uint32_t outputs = p->out_features, whole = outputs / 4u, rest = outputs % 4u;
    const int8_t *in = (const int8_t *)io->in[0];
    int8_t *const inputs = (int8_t *)io->scratch, *out = (int8_t *)io->out;
    const uint32_t more = p->steps - 1u;
    job all = {.weights = p->weights,
               .odd = more % 2,
               .pairs = more / 2,
               .scales = p->scales,
               .zero_point = p->store.zero_point,
               .scales_end = p->scales + 8 * whole,
               .inputs = inputs};
    nano_fill_mve(inputs + 16 * more, 0, 16);
    for (uint32_t r = 0; r < p->rows; r++, in += p->in_features, out += outputs) {
        nano_copy_mve(inputs, in, p->in_features);
        all.out = out;
        if (whole > 0)
            compute(&all);
        if (rest > 0) {
            int8_t few[4];
            job last = all;
            last.weights += 64 * whole * p->steps;
            last.scales = all.scales_end;
            last.scales_end = last.scales + 8;
            last.out = few;
            compute(&last);
            for (uint32_t i = 0; i < rest; i++)
                out[4 * whole + i] = few[i]; /* compute() fills it: NOLINT(*uninitialized.Assign) */
        }
    }
    if (p->store.min > -128 || p->store.max < 127)
        nano_clamp_mve((int8_t *)io->out, p->rows * outputs, p->store.min, p->store.max);
}

void nano_dense_mve(const void *params, const nano_io *io) {
    dense((const nano_dense_mve_params *)params, io, blocks);
}

void nano_dense_relu_mve(const void *params, const nano_io *io) {
    dense((const nano_dense_mve_params *)params, io, blocks_relu);
}

#endif
