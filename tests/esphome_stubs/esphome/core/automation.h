#pragma once

#include <functional>

namespace esphome {

template<typename... Ts> class Trigger {
 public:
  void trigger(const Ts &...x) {
    if (this->heard)
      this->heard(x...);
  }
  std::function<void(const Ts &...)> heard;  // an automation's place here
};

template<typename... Ts> class Action {
 public:
  virtual ~Action() = default;
  virtual void play(const Ts &...x) = 0;
};

template<typename... Ts> class Condition {
 public:
  virtual ~Condition() = default;
  virtual bool check(const Ts &...x) = 0;
};

template<typename T> class Parented {
 public:
  void set_parent(T *parent) { this->parent_ = parent; }

 protected:
  T *parent_{nullptr};
};

}  // namespace esphome
