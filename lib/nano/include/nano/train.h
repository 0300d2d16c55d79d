/* nano/train.h - train the last layers of a model on the device.
 *
 * A frozen int8 model (the backbone) computes features; a head of dense layers, with ReLU between
 * them, learns from them in RAM. Float32 arithmetic, or int16 weights in integers alone, which end
 * with the same bytes on every target. docs/training.md has the formulas.
 *
 *     NANO_ALIGNED static uint8_t bytes[DIGITS_TRAIN_ARENA_SIZE];   // from the generated source
 *     nano_arena_init(&arena, bytes, sizeof bytes);
 *     nano_train_init(&head, &digits_train, &arena);
 *     nano_train_sample(&head, nano_output(&backbone), label, &result);   // again and again
 *     nano_train_flush(&head);                      // the last mini-batch, if it is not full
 *     nano_train_quantize(&head);                   // int8, for the ordinary dense kernel
 *     nano_train_infer(&head, nano_output(&backbone), &logits);
 *
 * Beside the head, or without ever training it, the same features tell what is unlike all that was
 * learned as normal:
 *
 *     nano_train_learn(&head, nano_output(&backbone), 0, recording);      // again and again
 *     nano_train_calibrate(&head, &threshold);
 *     nano_train_score(&head, nano_output(&backbone), &opinion);          // opinion.alarm
 *
 * A call that fails has changed nothing, except nano_train_quantize(). */
#ifndef NANO_TRAIN_H
#define NANO_TRAIN_H

#include <stddef.h>
#include <stdint.h>

#include "nano/arena.h"
#include "nano/config.h"
#include "nano/ops/linear.h"
#include "nano/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Most layers of a head, and most features or outputs of one of its layers: then no sum of
 * products can leave int32. */
#define NANO_TRAIN_MAX_LAYERS 4
#define NANO_TRAIN_MAX_WIDTH 16384

/* Most weights of all layers: then no size can leave 32 bits. */
#define NANO_TRAIN_MAX_WEIGHTS ((uint32_t)1 << 26)

/* Most samples of one mini-batch. */
#define NANO_TRAIN_MAX_BATCH 1024

/* Most samples that NANO_TRAIN_GAUSSIAN learns from: then no sum can leave 32 bits. */
#define NANO_TRAIN_MAX_LEARNED 262143

/* Most scores that a vote is of. */
#define NANO_TRAIN_MAX_VOTES 32

/* The threshold that no score is above. */
#define NANO_TRAIN_NO_THRESHOLD UINT32_MAX

/* Version of the saved bytes (nano_train_record and what follows it). */
#define NANO_TRAIN_LAYOUT 1

/* --- What is fixed when the model is exported --------------------------------------------------
 */

typedef enum {
    NANO_TRAIN_CROSS_ENTROPY = 0, /* softmax cross-entropy of the active classes */
    NANO_TRAIN_MSE = 1            /* mean over the active outputs of (output - target)^2 */
} nano_train_loss;

typedef enum {
    NANO_TRAIN_SGD = 0,      /* no memory of its own */
    NANO_TRAIN_MOMENTUM = 1, /* SGD with momentum: 4 bytes a parameter */
    NANO_TRAIN_ADAM = 2      /* 8 bytes a parameter; float32 only */
} nano_train_optimizer;

typedef enum {
    NANO_TRAIN_CONSTANT = 0, /* the rate as it is */
    NANO_TRAIN_STEP = 1,     /* rate * gamma^(t / period), integer division */
    NANO_TRAIN_COSINE = 2    /* rate * (1 + cos(pi * t / period)) / 2; 0 from t = period on */
} nano_train_schedule;

typedef enum {
    NANO_TRAIN_RESERVOIR = 0, /* every sample ever remembered is there with the same probability */
    NANO_TRAIN_BALANCED = 1   /* all classes get as many slots; a reservoir within each class */
} nano_train_replay;

/* How far a sample is from what was learned as normal, a whole number. */
typedef enum {
    NANO_TRAIN_NO_ANOMALY = 0, /* no scores */
    NANO_TRAIN_NEAREST = 1,    /* least sum of (q - q')^2 over the samples in the replay buffer */
    NANO_TRAIN_GAUSSIAN = 2    /* sum of (q - mean)^2 / variance, in 1/16, each at most 131071 */
} nano_train_anomaly;

/* When a score is an alarm. */
typedef struct {
    uint32_t threshold; /* scores above it are anomalous; NANO_TRAIN_NO_THRESHOLD: none is */
    uint16_t quantile;  /* 1..1000, per mille: nano_train_calibrate() */
    uint16_t margin;    /* > 0, per mille: nano_train_calibrate() */
    uint8_t needed;     /* 1..window: so many of the last `window` scores anomalous: an alarm */
    uint8_t window;     /* 1..NANO_TRAIN_MAX_VOTES */
    uint16_t reserved;  /* 0 */
} nano_train_alarm;

/* The numbers that may change from one training to the next; they do not change any memory. */
typedef struct {
    float rate;         /* learning rate, > 0 */
    float momentum;     /* 0..1, below 1; v = momentum * v + g; NANO_TRAIN_MOMENTUM only */
    float weight_decay; /* >= 0; g += weight_decay * w, for weights and biases */
    float beta1, beta2; /* 0..1, below 1; NANO_TRAIN_ADAM only */
    float epsilon;      /* > 0; NANO_TRAIN_ADAM only */
    float clip;         /* most global norm of a mini-batch's gradient; 0: no limit */
    nano_train_schedule schedule;
    uint32_t warmup; /* steps in which the rate rises, rate * (t + 1) / warmup; the schedule's t
                        counts from there; 0: none */
    uint32_t period; /* steps, > 0; NANO_TRAIN_STEP and _COSINE only */
    float gamma;     /* 0..1; NANO_TRAIN_STEP only */
    uint16_t batch;  /* samples of a mini-batch, 1..NANO_TRAIN_MAX_BATCH; a step follows each */
} nano_train_recipe;

/* One dense layer: outputs[o] = bias[o] + sum_i weights[o][i] * inputs[i], then ReLU in all but the
 * last. In integers a weight is W / 2^weight_bits, a bias B / 2^16, a hidden activation
 * A / 2^activation_bits with A <= 4095. */
typedef struct {
    uint16_t outputs;        /* 1..NANO_TRAIN_MAX_WIDTH; of the last layer: the most classes */
    uint8_t weight_bits;     /* 0..15; int16 only */
    uint8_t activation_bits; /* 0..16; int16 only, not of the last layer */
    const void *weights;     /* [outputs][inputs], float or int16_t, where training begins;
                                NULL: uniform in +-1/sqrt(inputs), from the seed */
    const void *bias;        /* [outputs], float or int32_t; NULL: 0 */
    int32_t low, high;       /* range of the outputs to begin with, as if observed, real * 2^16;
                                low <= 0 <= high */
} nano_train_layer;

typedef struct nano_train nano_train;
typedef struct nano_train_arithmetic nano_train_arithmetic;

/* The numbers that a head computes with. A program links the one that its config names. */
extern const nano_train_arithmetic nano_train_float32; /* for cores with an FPU, or patience */
extern const nano_train_arithmetic nano_train_int16;   /* integers alone, stochastic rounding */

/* A trainable head. The generated source defines it `const`. */
typedef struct {
    const char *backbone;       /* the backbone's nano_model.hash: which features these are */
    uint16_t features;          /* 1..NANO_TRAIN_MAX_WIDTH */
    int16_t feature_zero_point; /* -128..127 */
    float feature_scale;        /* > 0; real = scale * (q - zero_point) */
    const nano_train_arithmetic *arithmetic;
    nano_train_loss loss;
    nano_train_optimizer optimizer;
    nano_train_replay replay;
    uint16_t replay_slots; /* samples that the replay buffer holds; 0: none */
    uint8_t class_means;   /* 1: keep the sums of every class's features; 0: no */
    uint8_t layer_count;   /* 1..NANO_TRAIN_MAX_LAYERS */
    uint16_t classes;      /* active at the beginning, 1..outputs of the last layer */
    const nano_train_layer *layers;
    uint32_t seed; /* of everything random */
    nano_train_recipe recipe;
    nano_train_anomaly anomaly; /* NANO_TRAIN_NEAREST takes replay_slots > 0 */
    nano_train_alarm alarm;     /* to begin with; not read without scores */
} nano_train_config;

/* --- Memory -----------------------------------------------------------------------------------
 *
 * All of it is one piece of the arena, without pointers in it and thus of the same size on every
 * target. In this order, each part a multiple of 4 bytes: record, weights, biases, ranges, class
 * means, a Gaussian's sums (the "head"); moments (the "optimizer"); replay buffer, its recordings;
 * gradients, activations, int8 head, what scores are computed with. */

#define NANO_TRAIN_PAD(bytes) (((uint32_t)(bytes) + 3u) & ~(uint32_t)3u)
#define NANO_TRAIN_RECORD_SIZE 64u

/* Bytes of arena, a constant expression.
 * element: 4 (float32) or 2 (int16); features; hidden: sum of all layers' outputs but the last;
 * outputs: of the last layer; widest: the most outputs of any layer; layers; weights: sum of
 * inputs * outputs; moments: 0 (SGD), 1 (momentum), 2 (Adam); slots: of the replay buffer; means:
 * 0 or 1. */
#define NANO_TRAIN_ARENA_SIZE(element, features, hidden, outputs, widest, layers, weights,         \
                              moments, slots, means)                                               \
    (NANO_TRAIN_HEAD_SIZE(element, features, hidden, outputs, layers, weights, means) +            \
     4u * (moments) * ((weights) + (hidden) + (outputs)) +                                         \
     NANO_TRAIN_REPLAY_SIZE(features, outputs, slots) +                                            \
     4u * ((weights) + (hidden) + (outputs)) +               /* gradients */                       \
     NANO_TRAIN_PAD((element) * ((features) + (hidden))) +   /* inputs of every layer */           \
     4u * (widest) +                                         /* outputs of the newest layer */     \
     2u * NANO_TRAIN_PAD((element) * (widest)) +             /* errors, of two layers */           \
     NANO_TRAIN_PAD(weights) + 8u * ((hidden) + (outputs)) + /* int8 head */                       \
     NANO_TRAIN_PAD((hidden) + (outputs)) + 2u * NANO_TRAIN_PAD(widest))

/* Of them, what is saved of the head, and the replay buffer. Of scores in addition 8 * features
 * (NANO_TRAIN_GAUSSIAN, of the head) or NANO_TRAIN_PAD(2 * slots) (NANO_TRAIN_NEAREST, of the
 * replay buffer). */
#define NANO_TRAIN_HEAD_SIZE(element, features, hidden, outputs, layers, weights, means)           \
    (NANO_TRAIN_RECORD_SIZE + NANO_TRAIN_PAD((element) * (weights)) +                              \
     4u * ((hidden) + (outputs)) + 8u * (layers) + 4u * (means) * (outputs) * ((features) + 1u))
#define NANO_TRAIN_REPLAY_SIZE(features, outputs, slots)                                           \
    ((slots) == 0 ? 0u : NANO_TRAIN_PAD((slots) * ((features) + 2u)) + 8u * (outputs))

/* Bytes of arena in addition, of a config with scores: of NANO_TRAIN_NEAREST a recording and a
 * distance a slot, of NANO_TRAIN_GAUSSIAN 12 a feature. */
#define NANO_TRAIN_ANOMALY_SIZE(anomaly, features, slots)                                          \
    ((anomaly) == 1   ? NANO_TRAIN_PAD(2u * (slots)) + 4u * (slots)                                \
     : (anomaly) == 2 ? 12u * (features)                                                           \
                      : 0u)

/* The beginning of the head's memory, and of the saved bytes; in the machine's byte order. */
typedef struct {
    uint32_t layout;        /* NANO_TRAIN_LAYOUT */
    uint32_t config;        /* nano_train_hash() of the config */
    uint32_t size;          /* bytes of the newest view: nano_train_state() */
    uint32_t random;        /* state of the generator */
    uint32_t steps;         /* updates of the weights so far */
    uint32_t samples;       /* samples trained on so far */
    uint32_t classes;       /* active */
    uint32_t replay_used;   /* slots in use */
    uint32_t replay_seen;   /* samples ever offered to the replay buffer */
    uint32_t learned;       /* samples that nano_train_learn() took */
    nano_train_alarm alarm; /* as set, all 0 of a config without scores */
    uint32_t reserved[3];   /* 0 */
} nano_train_record;

/* A layer at work: where its numbers are. Element types are float, or the integers in brackets. */
typedef struct {
    uint16_t inputs, outputs;
    void *weights;        /* [outputs][inputs], float (int16_t) */
    void *bias;           /* [outputs], float (int32_t, 2^-16) */
    void *moment[2];      /* weights, then biases: float (int32_t); NULL if there is none */
    void *gradient;       /* weights, then biases: float (int32_t), sums over the mini-batch */
    void *input;          /* [inputs], float (int16_t): of the newest sample */
    int32_t *range;       /* lowest and highest output observed, 2^-16 */
    int8_t *int8_weights; /* as quantized: [outputs][inputs] */
    int32_t *int8_bias;   /* [outputs], the zero point folded in */
    int32_t *multiplier;  /* [outputs] */
    int8_t *shift;        /* [outputs] */
} nano_train_place;

/* A head at work. The fields are the library's; read them, write them only through calls. */
struct nano_train {
    const nano_train_config *config;
    nano_train_recipe recipe;
    nano_train_record *record;
    nano_train_place layer[NANO_TRAIN_MAX_LAYERS];
    int32_t *mean_sums;       /* [outputs][features] sums of q; NULL if there are none */
    uint32_t *mean_counts;    /* [outputs] */
    int8_t *replay_features;  /* [slots][features]; NULL if there are none */
    uint16_t *replay_labels;  /* [slots] */
    uint32_t *replay_held;    /* [outputs] slots that each class has */
    uint32_t *replay_offered; /* [outputs] samples of each class ever offered */
    uint16_t *recordings;     /* [slots]; NANO_TRAIN_NEAREST */
    uint32_t *distances;      /* [slots]; NANO_TRAIN_NEAREST */
    int32_t *normal_sums;     /* [features] sums of q; NANO_TRAIN_GAUSSIAN */
    uint32_t *normal_squares; /* [features] sums of q^2 */
    int16_t *normal_means;    /* [features] 16 * mean of q */
    uint16_t *normal_weights; /* [features] 2^16 / variance, a variance being 1 at least */
    uint32_t votes;           /* bit 0: was the newest score anomalous? Bit 1: the one before */
    void *outputs;            /* of the last layer for the newest sample: float (int32_t, 2^-16) */
    void *errors[2];          /* d loss / d outputs, of two layers by turns: float (int16_t) */
    int8_t *int8_outputs[2];  /* of the int8 head's layers, by turns */
    nano_dense_params dense[NANO_TRAIN_MAX_LAYERS]; /* the int8 head */
    float scale;                                    /* of the int8 head's outputs */
    int16_t zero_point;
    uint8_t quantized; /* 1: the int8 head exists (it is of the last nano_train_quantize()) */
    uint8_t fitted;    /* 1: normal_means and normal_weights are of the newest sums */
    uint16_t pending;  /* samples in the gradients, below recipe.batch between calls */
};

/* Bytes of arena that a head takes, the value of NANO_TRAIN_ARENA_SIZE plus that of
 * NANO_TRAIN_ANOMALY_SIZE; 0 if the config is refused. */
size_t nano_train_arena_size(const nano_train_config *config);

/* A number that differs where saved bytes mean something else: backbone, shapes, arithmetic,
 * optimizer, replay buffer; not recipe, seed or initial weights. Of a config that nano_train_init()
 * takes. */
uint32_t nano_train_hash(const nano_train_config *config);

/* --- Life --------------------------------------------------------------------------------------
 */

/* Take the memory and begin with the config's weights, recipe and seed. `config` and the arena's
 * bytes must outlive `head`. NANO_ERR_ARGUMENT (a NULL, a number out of range, Adam in int16),
 * NANO_ERR_RANGE (a scale that is not positive and finite), NANO_ERR_SHAPE (a width, or
 * too many weights), NANO_ERR_MEMORY. */
nano_status nano_train_init(nano_train *head, const nano_train_config *config, nano_arena *arena);

/* All as after nano_train_init(), replay buffer and class means empty; the recipe stays. */
nano_status nano_train_reset(nano_train *head);

/* Use other numbers from the next sample on. NANO_ERR_ARGUMENT for numbers out of range,
 * NANO_ERR_STATE in the middle of a mini-batch (nano_train_flush() it). In integers the gradients'
 * unit depends on `batch`, and the momentum keeps its integers: another `batch` may multiply what
 * has been gathered by a power of two, once. */
nano_status nano_train_set_recipe(nano_train *head, const nano_train_recipe *recipe);

/* --- Training ----------------------------------------------------------------------------------
 */

/* What became of a sample. */
typedef struct {
    int32_t loss;       /* before the update, 2^-20: loss / 1048576. 2^31 - 1: 2048 or more, or
                           float32 numbers that are none any more. In integers each square of
                           NANO_TRAIN_MSE is at most that */
    uint16_t predicted; /* the largest output before the update; the first of equals */
    uint8_t stepped;    /* 1: the mini-batch was full and the weights were updated */
} nano_train_result;

/* Add one sample's gradient; with the mini-batch's last one, update the weights. `features`:
 * config->features bytes, the backbone's output. With NANO_TRAIN_MSE the target is 1 for `label`
 * and 0 for the others. `result` may be NULL. NANO_ERR_ARGUMENT for a label that is no active
 * class. */
nano_status nano_train_sample(nano_train *head, const int8_t *features, uint16_t label,
                              nano_train_result *result);

/* The same with real targets, one for each active output, NANO_ERR_ARGUMENT for one that is not
 * finite; NANO_TRAIN_MSE only, else NANO_ERR_STATE. In integers a target is taken to 2^-16 within
 * +-16384. */
nano_status nano_train_sample_target(nano_train *head, const int8_t *features, const float *target,
                                     nano_train_result *result);

/* Update the weights from an unfinished mini-batch; nothing if there is none. */
nano_status nano_train_flush(nano_train *head);

/* Loss and prediction of the head as it is now; nothing is learnt but the outputs' range. */
nano_status nano_train_evaluate(nano_train *head, const int8_t *features, uint16_t label,
                                nano_train_result *result);

/* The same with real targets, as nano_train_sample_target() takes them. */
nano_status nano_train_evaluate_target(nano_train *head, const int8_t *features,
                                       const float *target, nano_train_result *result);

/* The learning rate's factor of step `step`, 2^-31 (2^31 is 1): schedule and warm-up of a recipe
 * that nano_train_set_recipe() takes. */
uint32_t nano_train_rate_factor(const nano_train_recipe *recipe, uint32_t step);

/* Activate one more class, whose weights, bias and moments are 0. `label` gets its number; may be
 * NULL. NANO_ERR_MEMORY if the last layer's outputs are all in use, NANO_ERR_STATE in the middle
 * of a mini-batch. */
nano_status nano_train_add_class(nano_train *head, uint16_t *label);

/* --- Replay ------------------------------------------------------------------------------------
 */

/* Offer a sample to the replay buffer, which takes it or not. NANO_ERR_STATE without a buffer. */
nano_status nano_train_remember(nano_train *head, const int8_t *features, uint16_t label);

/* One sample of the replay buffer by chance: its features (valid until the next
 * nano_train_remember()) and label. NANO_ERR_STATE if it is empty. */
nano_status nano_train_recall(nano_train *head, const int8_t **features, uint16_t *label);

/* Train on `count` recalled samples, each as nano_train_sample() does. `result`, of the last one,
 * may be NULL. NANO_ERR_STATE if the buffer is empty. */
nano_status nano_train_rehearse(nano_train *head, uint16_t count, nano_train_result *result);

/* --- The int8 head -----------------------------------------------------------------------------
 */

/* Quantize weights per output channel, as nanotool's quantizer does. The outputs' ranges are those
 * observed (they shrink by 1/64 a step, so that old extremes fade) and those over the replay
 * buffer, with 1/16 of headroom at the last layer. Integers alone. NANO_ERR_RANGE if outputs are so
 * small, as to their weights, that no multiplier fits: then there is no int8 head until the next
 * call succeeds. */
nano_status nano_train_quantize(nano_train *head);

/* Run the int8 head. `outputs` is set to its int8 outputs, one for each class active when it was
 * quantized, real = head->scale * (q - head->zero_point), valid until the next call. NANO_ERR_STATE
 * before nano_train_quantize(). */
nano_status nano_train_infer(nano_train *head, const int8_t *features, const int8_t **outputs);

/* --- Nearest class mean ------------------------------------------------------------------------
 *
 * Another head, without gradients: integers, exact whatever the order of the samples. */

/* Add a sample to its class's mean. NANO_ERR_STATE without class means or with a full count
 * (2^19 samples). */
nano_status nano_train_add_to_mean(nano_train *head, const int8_t *features, uint16_t label);

/* The active class whose mean (to 1/16 of a step of q) is nearest, the first of equals.
 * NANO_ERR_STATE if no class has a sample. */
nano_status nano_train_nearest_mean(const nano_train *head, const int8_t *features,
                                    uint16_t *label);

/* --- Anomalies ---------------------------------------------------------------------------------
 *
 * In integers, the same on every target. All of these answer NANO_ERR_STATE for a config without
 * scores. */

/* Learn that a sample is normal: into the replay buffer, where there is one, and into a Gaussian's
 * sums. `recording` tells which samples were taken in one go, and are thus more alike than others;
 * what comes by nano_train_remember() is of recording 0. `label`: for the head, if it rehearses.
 * NANO_ERR_STATE, too, after NANO_TRAIN_MAX_LEARNED samples of a Gaussian. */
nano_status nano_train_learn(nano_train *head, const int8_t *features, uint16_t label,
                             uint16_t recording);

typedef struct {
    uint32_t score;    /* below 2^31 */
    uint8_t anomalous; /* 1: above the threshold */
    uint8_t alarm;     /* 1: so were alarm.needed of the last alarm.window scores, this one among
                          them */
} nano_train_opinion;

/* Score a sample and vote. Nothing is learned. NANO_ERR_STATE, too, before anything was learned (of
 * a Gaussian: two samples). */
nano_status nano_train_score(nano_train *head, const int8_t *features, nano_train_opinion *opinion);

/* Other numbers from the next score on; votes begin anew. NANO_ERR_ARGUMENT for numbers out of
 * range. */
nano_status nano_train_set_alarm(nano_train *head, const nano_train_alarm *alarm);

/* Set the threshold from the replay buffer: each sample's distance to the nearest one of another
 * recording; of these the least that `quantile` per mille of them do not exceed; times `margin` per
 * mille, cut off, at most 2^32 - 2. Votes begin anew. `threshold` may be NULL. NANO_ERR_STATE, too,
 * unless the buffer holds two recordings, and for a Gaussian, whose sums do not tell them apart. */
nano_status nano_train_calibrate(nano_train *head, uint32_t *threshold);

/* --- Saving ------------------------------------------------------------------------------------
 */

typedef enum {
    NANO_TRAIN_SAVE_HEAD = 0,      /* weights, ranges, class means, a Gaussian, the alarm: enough
                                      for inference, and for a Gaussian's scores */
    NANO_TRAIN_SAVE_OPTIMIZER = 1, /* and the moments: training goes on as if never stopped */
    NANO_TRAIN_SAVE_ALL = 2        /* and the replay buffer, which NANO_TRAIN_NEAREST scores by */
} nano_train_part;

/* Bytes of that part; 0 for no such part, or for `head` NULL. */
size_t nano_train_state_size(const nano_train *head, nano_train_part part);

/* The bytes that must persist: they lie in the arena and change with every call. `size` gets their
 * number. They begin with a nano_train_record; an unfinished mini-batch is not in them. NULL for no
 * such part, or for an argument that is NULL. No checksum is among them: whoever stores them adds
 * one. */
const uint8_t *nano_train_state(nano_train *head, nano_train_part part, size_t *size);

/* Take saved bytes over: record, weights and whatever part they hold; what they do not hold
 * begins anew (without moments that the optimizer needs, the count of steps, too), and so does the
 * mini-batch. The recipe stays. Quantize again for inference. NANO_ERR_ABI: of another
 * layout or config. NANO_ERR_ARGUMENT: of no part's size, or with values out of range. */
nano_status nano_train_restore(nano_train *head, const uint8_t *bytes, size_t size);

#ifdef __cplusplus
}
#endif
#endif
