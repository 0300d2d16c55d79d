/* nano.hpp - nano/nano.h and nano/values.h for C++11 and later: header only, no exceptions, no
 * heap.
 *
 *     static nano::Arena<DIGITS_ARENA_SIZE> arena;              // from the generated digits.h
 *     static const char *const labels[] = DIGITS_LABELS;
 *
 *     const char *classify(const float (&pixels)[DIGITS_INPUT_SIZE]) {
 *         static nano::Net net(arena, digits_model);
 *         if (!net || net.quantize(pixels) != NANO_OK)
 *             return nullptr;
 *         net.run();
 *         return labels[net.best()];
 *     }
 *
 * Everything is inline and costs what the C calls cost. */
#ifndef NANO_HPP
#define NANO_HPP

#include "nano/nano.h"
#include "nano/values.h"

namespace nano {

/* Elements one behind the other, somewhere else: valid as long as what they are of. */
template <typename T> class View {
  public:
    View() : data_(nullptr), size_(0) {
    }
    View(T *data, size_t size) : data_(data), size_(size) {
    }

    T *data() const {
        return data_;
    }
    size_t size() const {
        return size_;
    }
    bool empty() const {
        return size_ == 0;
    }
    T *begin() const {
        return data_;
    }
    T *end() const {
        return data_ + size_;
    }
    T &operator[](size_t index) const {
        return data_[index];
    } /* unchecked, as in C */

  private:
    T *data_;
    size_t size_;
};

/* A C++ type's nano_type. */
template <typename T> struct Type;
template <> struct Type<int8_t> { static constexpr nano_type value = NANO_INT8; };
template <> struct Type<uint8_t> { static constexpr nano_type value = NANO_UINT8; };
template <> struct Type<int16_t> { static constexpr nano_type value = NANO_INT16; };
template <> struct Type<int32_t> { static constexpr nano_type value = NANO_INT32; };
template <> struct Type<float> { static constexpr nano_type value = NANO_FLOAT32; };

/* `Bytes` of memory for nets: that of a generated NAME_ARENA_SIZE, or the sum of several. Make it
 * static: it is too large for most stacks. */
template <size_t Bytes> class Arena {
  public:
    Arena() {
        nano_arena_init(&arena_, bytes_, sizeof bytes_);
    }
    Arena(const Arena &) = delete;
    Arena &operator=(const Arena &) = delete;

    nano_arena *c() {
        return &arena_;
    }

  private:
    NANO_ALIGNED uint8_t bytes_[Bytes];
    nano_arena arena_;
};

/* One model at work in an arena, which must outlive it. */
class Net {
  public:
    template <size_t Bytes>
    Net(Arena<Bytes> &room, const nano_model &fresh)
        : net_(), status_(nano_init(&net_, &fresh, room.c())) {
    }
    Net(const Net &) = delete;
    Net &operator=(const Net &) = delete;

    /* NANO_OK, or why it is not ready: then do not use it. */
    nano_status status() const {
        return status_;
    }
    explicit operator bool() const {
        return status_ == NANO_OK;
    }

    const nano_model &model() const {
        return *net_.model;
    }

    /* Input `index`, to be written before every run; empty if there is no such one, or if its
     * elements are not of type T. */
    template <typename T = int8_t> View<T> input(uint16_t index = 0) const {
        return view<T>(model().inputs, model().input_count, index, nano_input_at(&net_, index));
    }

    /* Output `index`, valid until the next run or until an input is written; empty likewise. */
    template <typename T = int8_t> View<const T> output(uint16_t index = 0) const {
        return view<const T, T>(model().outputs, model().output_count, index,
                                nano_output_at(&net_, index));
    }

    /* nano_quantize_input(): all elements of input `index`, or NANO_ERR_ARGUMENT for another
     * number of them. */
    nano_status quantize(const float *real, size_t count, uint16_t index = 0) {
        if (index >= model().input_count || elements(model().inputs[index]) != count)
            return NANO_ERR_ARGUMENT;
        return nano_quantize_input(&net_, index, real);
    }
    template <size_t Count> nano_status quantize(const float (&real)[Count], uint16_t index = 0) {
        return quantize(real, Count, index);
    }

    /* One inference, or the next step of a sequence. */
    nano_status run() {
        return nano_run(&net_);
    }

    /* One op of it: NANO_MORE while some remain. */
    nano_status step() {
        return nano_step(&net_);
    }

    /* Every state gets its initial value. */
    void reset() {
        nano_reset(&net_);
    }

    /* nano_output_real(), and the element of output `index` with the largest value. */
    float real(uint32_t element, uint16_t index = 0) const {
        return nano_output_real(&net_, index, element);
    }
    uint16_t best(uint16_t index = 0) const {
        uint16_t first = 0;
        nano_top_classes(&net_, index, &first, 1);
        return first;
    }

    /* The net for calls of nano/model.h that have no name here. */
    nano_net *c() {
        return &net_;
    }

  private:
    static size_t elements(const nano_tensor &tensor) {
        size_t count = 1;
        for (uint16_t extent : tensor.shape)
            count *= extent == 0 ? 1u : extent;
        return count;
    }

    template <typename T, typename Element = T, typename Byte>
    static View<T> view(const nano_tensor *tensors, uint16_t count, uint16_t index, Byte *bytes) {
        if (index >= count || tensors[index].type != Type<Element>::value)
            return View<T>();
        /* Through void: the arena is aligned, and so is every tensor's place, to its elements. */
        using Void = typename Same<Byte>::type;
        return View<T>(static_cast<T *>(static_cast<Void *>(bytes)),
                       tensors[index].size / sizeof(T));
    }

    /* void as const as Byte. */
    template <typename Byte> struct Same { using type = void; };
    template <typename Byte> struct Same<const Byte> { using type = const void; };

    nano_net net_;
    nano_status status_;
};

} // namespace nano

#endif
