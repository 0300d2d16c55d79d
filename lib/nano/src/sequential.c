/* sequential.c - builds a model at run time, layer by layer.
 *
 * While it grows, the model lies in the arena as: ops[max_layers], then each layer's parameters
 * with its folded bias behind them. A layer reads one of two activation buffers and writes the
 * other (or the same, where its kernel works in place); until nano_sequential_end() knows their
 * sizes, an op's in[0] and out hold the buffer's number, 0 or 1. The input is in buffer 0.
 *
 * Each call checks everything first and takes its memory last, in one piece: what fails has
 * changed nothing. */
#include "nano/sequential.h"

#include "nano/requant.h"

/* The structs taken here hold pointers and members of at most 32 bits. */
#define STRUCT_ALIGN sizeof(void *)

/* Most elements of a tensor: two of them, with what else is in the arena, stay below 2^32. */
#define MAX_ELEMENTS ((uint32_t)1 << 30)

/* Filters of a dense or convolution layer: `count` of `size` weights, one output channel each. */
typedef struct {
    const int8_t *weights;
    const int32_t *bias; /* unfolded; NULL: zeros */
    uint32_t count, size;
} filters;

/* h * w * c; 0 if that is 0 or beyond MAX_ELEMENTS. */
static uint32_t elements(uint16_t h, uint16_t w, uint16_t c) {
    const uint32_t area = (uint32_t)h * w;
    return c == 0 || area > MAX_ELEMENTS / c ? 0 : area * c;
}

static uint32_t magnitude(int32_t x) {
    return x < 0 ? 0u - (uint32_t)x : (uint32_t)x;
}

static int is_int8(int32_t x) {
    return -128 <= x && x <= 127;
}

/* The bits of a positive, finite float; 0 for any other. Spares cores without an FPU the
 * soft-float library. */
static uint32_t positive_bits(float x) {
    union {
        float real;
        uint32_t bits;
    } view;
    view.real = x;
    return view.bits < 0x7F800000u ? view.bits : 0;
}

/* NANO_OK if another layer can be described. */
static nano_status ready(const nano_sequential *seq) {
    if (seq == NULL)
        return NANO_ERR_ARGUMENT;
    if (seq->ops == NULL)
        return NANO_ERR_STATE;
    return seq->op_count < seq->op_capacity ? NANO_OK : NANO_ERR_MEMORY;
}

static nano_status check_output(const nano_layer_output *output, uint16_t channels) {
    const nano_requant *const r = &output->requant;
    if (r->multiplier == NULL || r->shift == NULL)
        return NANO_ERR_ARGUMENT;
    if (!is_int8(r->zero_point) || !is_int8(r->min) || !is_int8(r->max) || r->min > r->max)
        return NANO_ERR_ARGUMENT;
    if (positive_bits(output->scale) == 0)
        return NANO_ERR_RANGE;
    const uint32_t count = r->per_channel ? channels : 1;
    for (uint32_t i = 0; i < count; i++) {
        if (r->multiplier[i] != 0 && r->multiplier[i] < (int32_t)1 << 30)
            return NANO_ERR_RANGE;
        if (r->shift[i] < -31 || r->shift[i] > 30)
            return NANO_ERR_RANGE;
    }
    return NANO_OK;
}

/* No accumulator can overflow, nor can the folded bias: for each filter,
 * |bias| + (|zero point| + 128) * sum |w| < 2^31. */
static int sums_fit(const filters *f, int16_t zero_point) {
    const uint32_t reach = magnitude(zero_point) + 128;
    const int8_t *w = f->weights;
    for (uint32_t o = 0; o < f->count; o++) {
        uint32_t sum = 0;
        for (uint32_t i = 0; i < f->size && sum <= (uint32_t)INT32_MAX / 256; i++)
            sum += magnitude(w[i]);
        if (sum > (uint32_t)INT32_MAX / 256)
            return 0;
        const uint32_t bias = f->bias == NULL ? 0 : magnitude(f->bias[o]);
        if (bias > (uint32_t)INT32_MAX - reach * sum)
            return 0;
        w += f->size;
    }
    return 1;
}

/* folded[o] = bias[o] - zero_point * sum of filter o */
static void fold(const filters *f, int16_t zero_point, int32_t *folded) {
    const int8_t *w = f->weights;
    for (uint32_t o = 0; o < f->count; o++) {
        int32_t sum = 0;
        for (uint32_t i = 0; i < f->size; i++)
            sum += *w++;
        folded[o] = (f->bias == NULL ? 0 : f->bias[o]) - zero_point * sum;
    }
}

/* Take a layer's parameters, `size` bytes, with the folded bias of its filters behind them.
 * NANO_ERR_RANGE if a sum could overflow, NANO_ERR_MEMORY if they do not fit. */
static nano_status take_filters(nano_sequential *seq, const filters *f, size_t size, void **params,
                                const int32_t **bias) {
    if (!sums_fit(f, seq->zero_point))
        return NANO_ERR_RANGE;
    uint8_t *const p =
        (uint8_t *)nano_arena_alloc(seq->arena, size + f->count * sizeof(int32_t), STRUCT_ALIGN);
    if (p == NULL)
        return NANO_ERR_MEMORY;
    int32_t *const folded = (int32_t *)(void *)(p + size);
    fold(f, seq->zero_point, folded);
    *params = p;
    *bias = folded;
    return NANO_OK;
}

/* The buffer that holds the newest output. */
static uint32_t newest(const nano_sequential *seq) {
    return seq->op_count == 0 ? 0 : seq->ops[seq->op_count - 1].out;
}

/* Append a layer whose checks have passed; its parameters are taken already. */
static void append(nano_sequential *seq, nano_kernel run, const void *params, nano_shape shape,
                   int in_place) {
    nano_op *const op = &seq->ops[seq->op_count];
    const uint32_t in = newest(seq);
    op->run = run;
    op->params = params;
    op->in[0] = in;
    op->in[1] = NANO_NONE;
    op->out = in_place ? in : 1 - in;
    op->scratch = NANO_NONE;
    op->out_size = elements(shape.h, shape.w, shape.c);
    seq->op_count++;
    seq->shape = shape;
}

static void set_output(nano_sequential *seq, float scale, int16_t zero_point) {
    seq->scale = scale;
    seq->zero_point = zero_point;
}

nano_status nano_sequential_begin(nano_sequential *seq, nano_arena *arena, uint16_t max_layers,
                                  nano_shape shape, float scale, int16_t zero_point) {
    if (seq == NULL || arena == NULL || max_layers == 0 || !is_int8(zero_point))
        return NANO_ERR_ARGUMENT;
    if (positive_bits(scale) == 0)
        return NANO_ERR_RANGE;
    if (elements(shape.h, shape.w, shape.c) == 0)
        return NANO_ERR_SHAPE;
    const size_t begin = nano_arena_checkpoint(arena);
    nano_op *const ops =
        (nano_op *)nano_arena_alloc(arena, max_layers * sizeof(nano_op), STRUCT_ALIGN);
    if (ops == NULL)
        return NANO_ERR_MEMORY;
    seq->arena = arena;
    seq->ops = ops;
    seq->op_count = 0;
    seq->op_capacity = max_layers;
    seq->input = shape;
    seq->input_scale = scale;
    seq->input_zero_point = zero_point;
    seq->shape = shape;
    set_output(seq, scale, zero_point);
    seq->begin = begin;
    return NANO_OK;
}

nano_status nano_sequential_dense(nano_sequential *seq, const nano_dense_layer *layer) {
    nano_status status = ready(seq);
    if (status != NANO_OK)
        return status;
    if (layer == NULL || layer->weights == NULL || layer->out_features == 0)
        return NANO_ERR_ARGUMENT;
    status = check_output(&layer->output, layer->out_features);
    if (status != NANO_OK)
        return status;
    const nano_shape shape = {seq->shape.h, seq->shape.w, layer->out_features};
    const uint32_t rows = (uint32_t)shape.h * shape.w;
    if (rows > UINT16_MAX || elements(shape.h, shape.w, shape.c) == 0)
        return NANO_ERR_SHAPE;
    const filters f = {layer->weights, layer->bias, layer->out_features, seq->shape.c};
    void *params;
    const int32_t *bias;
    status = take_filters(seq, &f, sizeof(nano_dense_params), &params, &bias);
    if (status != NANO_OK)
        return status;
    nano_dense_params *const p = (nano_dense_params *)params;
    p->weights = layer->weights;
    p->bias = bias;
    p->requant = layer->output.requant;
    p->rows = (uint16_t)rows;
    p->in_features = f.size;
    p->out_features = layer->out_features;
    append(seq, nano_dense, p, shape, 0);
    set_output(seq, layer->output.scale, layer->output.requant.zero_point);
    return NANO_OK;
}

/* How often a window fits along one axis; 0 if never, or more often than a shape can say. */
static uint16_t positions(uint32_t size, uint32_t kernel, uint32_t dilation, uint32_t stride) {
    const uint32_t span = (kernel - 1) * dilation + 1;
    if (span > size)
        return 0;
    const uint32_t count = (size - span) / stride + 1;
    return count > UINT16_MAX ? 0 : (uint16_t)count;
}

/* Fill in the sizes that follow from the input's shape, the paddings at the bottom and right, and
 * what is already in `w`: kernel, stride, padding, dilation, out_c. NANO_ERR_ARGUMENT for a 0 in
 * those, NANO_ERR_SHAPE if nothing fits. */
static nano_status fit_window(nano_window *w, nano_shape in, uint16_t bottom, uint16_t right) {
    if (w->kernel_h == 0 || w->kernel_w == 0 || w->stride_h == 0 || w->stride_w == 0 ||
        w->dilation_h == 0 || w->dilation_w == 0 || w->out_c == 0)
        return NANO_ERR_ARGUMENT;
    w->in_h = in.h;
    w->in_w = in.w;
    w->in_c = in.c;
    w->out_h =
        positions((uint32_t)in.h + w->pad_top + bottom, w->kernel_h, w->dilation_h, w->stride_h);
    w->out_w =
        positions((uint32_t)in.w + w->pad_left + right, w->kernel_w, w->dilation_w, w->stride_w);
    return elements(w->out_h, w->out_w, w->out_c) == 0 ? NANO_ERR_SHAPE : NANO_OK;
}

/* The checks of a convolution, and its window. */
static nano_status check_conv2d(const nano_sequential *seq, const nano_conv2d_layer *layer,
                                nano_window *window) {
    if (layer == NULL || layer->weights == NULL || layer->groups == 0)
        return NANO_ERR_ARGUMENT;
    const nano_window w = {.out_c = layer->out_c,
                           .kernel_h = layer->kernel_h,
                           .kernel_w = layer->kernel_w,
                           .stride_h = layer->stride_h,
                           .stride_w = layer->stride_w,
                           .pad_top = layer->pad_top,
                           .pad_left = layer->pad_left,
                           .dilation_h = layer->dilation_h,
                           .dilation_w = layer->dilation_w};
    *window = w;
    nano_status status = fit_window(window, seq->shape, layer->pad_bottom, layer->pad_right);
    if (status != NANO_OK)
        return status;
    if (window->in_c % layer->groups != 0 || window->out_c % layer->groups != 0 ||
        elements(window->kernel_h, window->kernel_w, window->in_c) == 0)
        return NANO_ERR_SHAPE;
    return check_output(&layer->output, layer->out_c);
}

nano_status nano_sequential_conv2d(nano_sequential *seq, const nano_conv2d_layer *layer) {
    nano_window window;
    nano_status status = ready(seq);
    if (status == NANO_OK)
        status = check_conv2d(seq, layer, &window);
    if (status != NANO_OK)
        return status;
    const uint32_t area = (uint32_t)window.kernel_h * window.kernel_w;
    const filters f = {layer->weights, layer->bias, window.out_c,
                       area * (window.in_c / layer->groups)};
    void *params;
    const int32_t *bias;
    status = take_filters(seq, &f, sizeof(nano_conv2d_params), &params, &bias);
    if (status != NANO_OK)
        return status;
    nano_conv2d_params *const p = (nano_conv2d_params *)params;
    p->weights = layer->weights;
    p->bias = bias;
    p->requant = layer->output.requant;
    p->window = window;
    p->groups = layer->groups;
    p->in_zero_point = seq->zero_point;
    const nano_shape shape = {window.out_h, window.out_w, window.out_c};
    append(seq, nano_conv2d, p, shape, 0);
    set_output(seq, layer->output.scale, layer->output.requant.zero_point);
    return NANO_OK;
}

/* A pool's window must hold an input element wherever it stands: no padding as wide as it. */
static nano_status add_pool(nano_sequential *seq, const nano_pool_layer *layer, nano_kernel run) {
    nano_status status = ready(seq);
    if (status != NANO_OK)
        return status;
    if (layer == NULL)
        return NANO_ERR_ARGUMENT;
    nano_window w = {.out_c = seq->shape.c,
                     .kernel_h = layer->kernel_h,
                     .kernel_w = layer->kernel_w,
                     .stride_h = layer->stride_h,
                     .stride_w = layer->stride_w,
                     .pad_top = layer->pad_top,
                     .pad_left = layer->pad_left,
                     .dilation_h = 1,
                     .dilation_w = 1};
    status = fit_window(&w, seq->shape, layer->pad_bottom, layer->pad_right);
    if (status != NANO_OK)
        return status;
    if (layer->pad_top >= w.kernel_h || layer->pad_bottom >= w.kernel_h ||
        layer->pad_left >= w.kernel_w || layer->pad_right >= w.kernel_w)
        return NANO_ERR_SHAPE;
    nano_pool_params *const p =
        (nano_pool_params *)nano_arena_alloc(seq->arena, sizeof *p, STRUCT_ALIGN);
    if (p == NULL)
        return NANO_ERR_MEMORY;
    p->window = w;
    p->min = -128;
    p->max = 127;
    const nano_shape shape = {w.out_h, w.out_w, w.out_c};
    append(seq, run, p, shape, 0);
    return NANO_OK;
}

nano_status nano_sequential_max_pool(nano_sequential *seq, const nano_pool_layer *layer) {
    return add_pool(seq, layer, nano_max_pool);
}

nano_status nano_sequential_average_pool(nano_sequential *seq, const nano_pool_layer *layer) {
    return add_pool(seq, layer, nano_average_pool);
}

nano_status nano_sequential_table(nano_sequential *seq, const int8_t table[256], float scale,
                                  int16_t zero_point) {
    const nano_status status = ready(seq);
    if (status != NANO_OK)
        return status;
    if (table == NULL || !is_int8(zero_point))
        return NANO_ERR_ARGUMENT;
    if (positive_bits(scale) == 0)
        return NANO_ERR_RANGE;
    nano_table_params *const p =
        (nano_table_params *)nano_arena_alloc(seq->arena, sizeof *p, STRUCT_ALIGN);
    if (p == NULL)
        return NANO_ERR_MEMORY;
    p->table = table;
    p->size = elements(seq->shape.h, seq->shape.w, seq->shape.c);
    append(seq, nano_table, p, seq->shape, 1);
    set_output(seq, scale, zero_point);
    return NANO_OK;
}

/* A positive float as m * 2^exponent with m in [2^31, 2^32). */
static uint32_t normalize(uint32_t bits, int *exponent) {
    uint32_t m = bits << 8;
    *exponent = (int)(bits >> 23) - 158;
    if (bits < 0x00800000u)
        ++*exponent; /* subnormal: no hidden bit */
    else
        m |= 0x80000000u;
    for (; m < 0x80000000u; m <<= 1)
        --*exponent;
    return m;
}

/* Q31 multiplier and shift with beta * scale * 2^26 = multiplier * 2^(left_shift - 31), rounded,
 * halves up; capped just below 2^31. Exact integer arithmetic on the floats' bits; `scale` is a
 * tensor's: positive and finite. */
static nano_status scale_softmax(nano_softmax_params *p, float beta, float scale) {
    int beta_exponent, scale_exponent;
    uint32_t high, low;
    const uint32_t beta_bits = positive_bits(beta);
    if (beta_bits == 0)
        return NANO_ERR_RANGE;
    nano_wide_product(normalize(beta_bits, &beta_exponent),
                      normalize(positive_bits(scale), &scale_exponent), &high, &low);
    int left = 64 + 26 + beta_exponent + scale_exponent; /* product = high:low / 2^64 * 2^left */
    if (high < 0x80000000u) {
        high = (high << 1) | (low >> 31);
        left--;
    }
    uint32_t multiplier = (high >> 1) + (high & 1);
    if (multiplier == 0x80000000u) {
        multiplier >>= 1;
        left++;
    }
    if (left < 1)
        return NANO_ERR_RANGE; /* so flat that the scheme's 26 fractional bits are too few */
    p->multiplier = left > 31 ? INT32_MAX : (int32_t)multiplier;
    p->left_shift = left > 31 ? 31 : (int16_t)left;
    const uint32_t radius = ((uint32_t)31 << 26) >> p->left_shift; /* exponents stay above -32 */
    p->diff_min = radius > 255 ? -255 : (int16_t)(0 - (int32_t)radius);
    return NANO_OK;
}

nano_status nano_sequential_softmax(nano_sequential *seq, float beta) {
    nano_softmax_params params;
    nano_status status = ready(seq);
    if (status == NANO_OK)
        status = scale_softmax(&params, beta, seq->scale);
    if (status != NANO_OK)
        return status;
    params.rows = (uint32_t)seq->shape.h * seq->shape.w;
    params.depth = seq->shape.c;
    if (params.depth > 8191)
        return NANO_ERR_SHAPE;
    nano_softmax_params *const p =
        (nano_softmax_params *)nano_arena_alloc(seq->arena, sizeof *p, STRUCT_ALIGN);
    if (p == NULL)
        return NANO_ERR_MEMORY;
    *p = params;
    append(seq, nano_softmax, p, seq->shape, 1);
    set_output(seq, 1.0f / 256, -128);
    return NANO_OK;
}

nano_status nano_sequential_flatten(nano_sequential *seq) {
    if (seq == NULL)
        return NANO_ERR_ARGUMENT;
    if (seq->ops == NULL)
        return NANO_ERR_STATE;
    const uint32_t size = elements(seq->shape.h, seq->shape.w, seq->shape.c);
    if (size > UINT16_MAX)
        return NANO_ERR_SHAPE;
    const nano_shape shape = {1, 1, (uint16_t)size};
    seq->shape = shape;
    return NANO_OK;
}

static size_t align_up(size_t size, size_t align) {
    return (size + align - 1) & ~(align - 1);
}

/* Where the two activation buffers begin in the model's room, and the room's size. */
static uint32_t place_buffers(const nano_sequential *seq, uint32_t offset[2]) {
    uint32_t size[2] = {elements(seq->input.h, seq->input.w, seq->input.c), 0};
    for (uint16_t i = 0; i < seq->op_count; i++) {
        const nano_op *const op = &seq->ops[i];
        if (op->out_size > size[op->out])
            size[op->out] = op->out_size;
    }
    offset[0] = 0;
    offset[1] = (uint32_t)align_up(size[0], NANO_TENSOR_ALIGN);
    return offset[1] + size[1];
}

/* What a finished model needs beside its ops. */
typedef struct {
    nano_model model;
    nano_tensor input, output;
} descriptor;

size_t nano_sequential_remaining(const nano_sequential *seq) {
    uint32_t offset[2];
    if (seq == NULL || seq->ops == NULL)
        return 0;
    const size_t used = nano_arena_checkpoint(seq->arena);
    const size_t place = align_up(used, STRUCT_ALIGN);
    const size_t room = align_up(place + sizeof(descriptor), NANO_ALIGN);
    return room + place_buffers(seq, offset) - used;
}

static void describe(nano_tensor *tensor, uint32_t offset, nano_shape shape, float scale,
                     int16_t zero_point) {
    tensor->offset = offset;
    tensor->size = elements(shape.h, shape.w, shape.c);
    tensor->shape[0] = shape.h;
    tensor->shape[1] = shape.w;
    tensor->shape[2] = shape.c;
    tensor->shape[3] = 0;
    tensor->scale = scale;
    tensor->zero_point = zero_point;
    tensor->type = NANO_INT8;
    tensor->name = NULL;
}

/* Turn the ops' buffer numbers into offsets and write the model's descriptor. */
static void finish(nano_sequential *seq, descriptor *made) {
    nano_model *const model = &made->model;
    uint32_t offset[2];
    model->arena_size = place_buffers(seq, offset);
    describe(&made->input, 0, seq->input, seq->input_scale, seq->input_zero_point);
    describe(&made->output, offset[newest(seq)], seq->shape, seq->scale, seq->zero_point);
    for (uint16_t i = 0; i < seq->op_count; i++) {
        seq->ops[i].in[0] = offset[seq->ops[i].in[0]];
        seq->ops[i].out = offset[seq->ops[i].out];
    }
    model->abi = NANO_ABI;
    model->name = "sequential";
    model->hash = "0000000000000000";
    model->ops = seq->ops;
    model->op_names = NULL;
    model->op_count = seq->op_count;
    model->inputs = &made->input;
    model->outputs = &made->output;
    model->states = NULL;
    model->input_count = model->output_count = 1;
    model->state_count = 0;
}

nano_status nano_sequential_end(nano_sequential *seq, nano_net *net) {
    if (seq == NULL || net == NULL)
        return NANO_ERR_ARGUMENT;
    if (seq->ops == NULL || seq->op_count == 0)
        return NANO_ERR_STATE;
    if (nano_sequential_remaining(seq) > nano_arena_free(seq->arena))
        return NANO_ERR_MEMORY;
    descriptor *const made = (descriptor *)nano_arena_alloc(seq->arena, sizeof *made, STRUCT_ALIGN);
    finish(seq, made);
    seq->ops = NULL; /* finished: no layer can be added any more */
    return nano_init(net, &made->model, seq->arena);
}
