// Random connections and arrays for `exercise.cpp`.

#ifndef KERAS_SPARSE_RNN_TESTS_CASES_H
#define KERAS_SPARSE_RNN_TESTS_CASES_H

#include <stdint.h>
#include <stdlib.h>

#include <algorithm>
#include <array>
#include <random>
#include <string>
#include <vector>

#include "recurrence.h"

namespace exercise {

// Of just so many elements, so that reading beyond them is seen. It begins at
// 64 bytes, as `memory.py` has it, or at no more than the type asks for.
template <typename T>
class Array {
 public:
  explicit Array(int64_t size = 0, bool aligned = true)
      : size_(size), offset_(aligned ? 0 : 1) {
    if (posix_memalign(&memory_, 64, (size + offset_) * sizeof(T))) abort();
    std::fill(begin(), end(), T());
  }
  ~Array() { free(memory_); }
  Array(const Array&) = delete;
  Array& operator=(const Array&) = delete;
  Array(Array&& other) : Array() { *this = std::move(other); }
  Array& operator=(Array&& other) {
    std::swap(memory_, other.memory_);
    std::swap(size_, other.size_);
    std::swap(offset_, other.offset_);
    return *this;
  }
  static Array of(const std::vector<T>& values, bool aligned = false) {
    Array array(values.size(), aligned);
    std::copy(values.begin(), values.end(), array.begin());
    return array;
  }

  int64_t size() const { return size_; }
  T* data() const { return static_cast<T*>(memory_) + offset_; }
  T* begin() const { return data(); }
  T* end() const { return data() + size_; }
  T& operator[](int64_t i) const { return data()[i]; }
  void fill(T value) { std::fill(begin(), end(), value); }

 private:
  void* memory_ = nullptr;
  int64_t size_;
  int offset_;
};

struct Case {
  int cell;
  int64_t batch, steps = 5, inputs = 21, units = 37;
  double density = 0.3;
  bool tied = false, counted = false, backwards = false;
  int input_copies = 0, state_copies = 0;  // 0: no dropout.
  int seed = 0;

  int gates() const { return cell == KSR_LSTM ? 4 : cell < 3 ? 3 : 1; }
  int rows() const { return cell < 3 ? 4 : 1; }
  bool resets_before() const { return cell == KSR_GRU_RESET_BEFORE; }
  int state_row(int gate) const { return gates() == 3 && gate == 2 ? 3 : gate; }
  bool may_be_tied() const { return cell < 2; }
  bool has_state() const { return cell != KSR_PRODUCT; }
  int64_t states() const { return has_state() ? units : 0; }

  std::string text() const {
    std::string all;
    const auto add = [&](const char* name, int64_t value) {
      all += std::string(name) + " " + std::to_string(value) + " ";
    };
    add("cell", cell), add("batch", batch), add("steps", steps);
    add("inputs", inputs), add("units", units), add("tied", tied);
    add("counted", counted), add("backwards", backwards);
    add("input_copies", input_copies), add("state_copies", state_copies);
    add("seed", seed);
    return all;
  }
};

struct Lists {
  int64_t sums = 0;
  Array<int32_t> starts, sources, order;
  Array<float> weights;

  int32_t connections() const { return starts[starts.size() - 1]; }
  // Where the first result with two connections or more has its first.
  int32_t first_of_two() const {
    int64_t sum = 0;
    while (starts[sum + 1] - starts[sum] < 2) ++sum;
    return starts[sum];
  }
  KsrLists given() const {
    return {sums, starts.data(), sources.data(), weights.data(), order.data()};
  }
};

class Example {
 public:
  const Case of;
  Lists rows, features;
  Array<int32_t> places;
  Array<float> outputs_gradient, state_gradient, carry_gradient;

  explicit Example(const Case& c) : of(c), random_(c.seed + 1) {
    draw_connections();
    const int64_t states = c.batch * c.units;
    bias_ = floats(c.units * c.rows(), 0.5f);
    sequences_ = floats(c.batch * c.steps * c.inputs, 1);
    state_ = floats(states, 1);
    carry_ = floats(states, 1);
    outputs_gradient = floats(states * c.steps, 1);
    state_gradient = floats(states, 1);
    carry_gradient = floats(states, 1);
    counts_ = Array<uint8_t>(c.batch * c.steps, false);
    for (uint8_t& count : counts_) count = chance(0.7);
    input_dropout_ = dropout(c.input_copies * c.batch * c.inputs);
    state_dropout_ = dropout(c.state_copies * c.batch * c.units);
  }

  bool has_carry() const { return of.cell == KSR_LSTM; }

  KsrRecurrence recurrence() const {
    KsrRecurrence r = {};
    r.cell = of.cell;
    r.threads = 1;
    r.backwards = of.backwards;
    r.tied = of.tied;
    r.batch = of.batch;
    r.steps = of.steps;
    r.inputs = of.inputs;
    r.units = of.units;
    r.input_copies = input_copies();
    r.state_copies = state_copies();
    r.rows = rows.given();
    r.features = features.given();
    r.bias = bias_.data();
    r.sequences = sequences_.data();
    r.counts = of.counted ? counts_.data() : nullptr;
    r.input_dropout = of.input_copies ? input_dropout_.data() : nullptr;
    r.recurrent_dropout = of.state_copies ? state_dropout_.data() : nullptr;
    r.initial_state = state_.data();
    r.initial_carry = carry_.data();
    return r;
  }

 private:
  Array<float> bias_, sequences_, state_, carry_, input_dropout_,
      state_dropout_;
  Array<uint8_t> counts_;
  mutable std::mt19937 random_;

  int input_copies() const { return std::max(1, of.input_copies); }
  int state_copies() const { return std::max(1, of.state_copies); }
  bool chance(double share) const { return random_() < share * 4294967296.0; }
  Array<float> floats(int64_t count, float scale) const {
    Array<float> result(count, false);
    for (float& each : result)
      each = scale * (random_() / 2147483648.0f - 1.0f);
    return result;
  }
  Array<float> dropout(int64_t count) const {
    Array<float> result(count, false);
    for (float& each : result) each = chance(0.7) ? 1 / 0.7f : 0.0f;
    return result;
  }

  // Some sources and some units have no connections.
  bool connected(int64_t source, int64_t unit) const {
    return source % 5 != 3 && unit % 7 != 3 && chance(of.density);
  }

  void draw_connections() {
    const int64_t state_start = input_copies() * of.inputs;
    const int64_t reset_start = state_start + state_copies() * of.states();
    const int64_t feature_count =
        reset_start + (of.resets_before() ? of.units : 0);
    const int64_t sums = of.units * (of.tied ? 2 : of.rows());
    std::vector<std::vector<int32_t>> of_sum(sums);
    const auto draw = [&](int64_t begin, int64_t count, int64_t unit,
                          int64_t sum) {
      for (int64_t source = 0; source < count; ++source)
        if (connected(source, unit)) of_sum[sum].push_back(begin + source);
    };
    for (int64_t unit = 0; unit < of.units; ++unit) {
      if (of.tied) {
        draw(0, of.inputs, unit, 2 * unit);
        draw(state_start, of.units, unit, 2 * unit + 1);
        continue;
      }
      for (int gate = 0; gate < of.gates(); ++gate) {
        draw(of.input_copies > 1 ? gate * of.inputs : 0, of.inputs, unit,
             unit * of.rows() + gate);
        const bool reset = of.resets_before() && gate == 2;
        draw(reset ? reset_start
                   : state_start + (of.state_copies > 1 ? gate * of.units : 0),
             of.states(), unit, unit * of.rows() + of.state_row(gate));
      }
    }
    fill(rows, of_sum);
    std::vector<std::vector<int32_t>> of_feature(feature_count),
        numbers(feature_count);
    int32_t number = 0;
    for (int64_t sum = 0; sum < sums; ++sum)
      for (int32_t feature : of_sum[sum]) {
        of_feature[feature].push_back(of.tied ? sum / 2 : sum);
        numbers[feature].push_back(number++);
      }
    fill(features, of_feature);
    give_weights(number, numbers);
    if (!of.tied) {
      std::vector<int32_t> order;
      add_order(&order, sums, KSR_GROUP * of.rows());
      rows.order = Array<int32_t>::of(order);
    }
    std::vector<int32_t> order;
    add_order(&order, reset_start, KSR_GROUP);
    add_order(&order, feature_count, KSR_GROUP);
    features.order = Array<int32_t>::of(order);
  }

  static void fill(Lists& lists,
                   const std::vector<std::vector<int32_t>>& sources) {
    std::vector<int32_t> starts = {0}, all;
    for (const std::vector<int32_t>& each : sources) {
      all.insert(all.end(), each.begin(), each.end());
      starts.push_back(all.size());
    }
    all.resize(all.size() + KSR_PADDING);
    lists.sums = sources.size();
    lists.starts = Array<int32_t>::of(starts);
    lists.sources = Array<int32_t>::of(all);
  }

  void give_weights(int64_t count,
                    const std::vector<std::vector<int32_t>>& numbers) {
    const int each = of.tied ? of.gates() : 1;
    rows.weights = floats(count * each, 0.4f);
    features.weights = Array<float>(count * each, false);
    float* to = features.weights.data();
    for (const std::vector<int32_t>& of_feature : numbers)
      for (int32_t number : of_feature)
        for (int gate = 0; gate < each; ++gate)
          *to++ = rows.weights[number * each + gate];
    places = Array<int32_t>(count * each, false);
    for (int64_t i = 0; i < places.size(); ++i) places[i] = i;
    std::shuffle(places.begin(), places.end(), random_);
  }

  // From where the order ends up to `end`: any within each group, but sums
  // that wait for the reset state after all others.
  void add_order(std::vector<int32_t>* order, int64_t end, int64_t group) {
    while (static_cast<int64_t>(order->size()) < end) {
      const int64_t begin = order->size();
      for (int64_t i = begin; i < std::min(begin + group, end); ++i)
        order->push_back(i);
      std::shuffle(order->begin() + begin, order->end(), random_);
      if (of.resets_before() && group > KSR_GROUP)
        std::stable_partition(order->begin() + begin, order->end(),
                              [](int32_t row) { return row % 4 != 3; });
    }
  }
};

inline std::vector<Case> cases() {
  std::vector<Case> all;
  std::mt19937 random(0);
  for (int cell = 0; cell < 5; ++cell)
    for (int batch : {1, 5, 16, 33, 70}) {
      for (int i = 0; i < 6; ++i) {
        Case c = {cell, batch};
        c.seed = all.size();
        c.counted = random() % 2;
        c.backwards = random() % 2;
        c.tied = (i == 5 || (i == 1 && batch == 5)) && c.may_be_tied();
        if (!c.tied) {
          const int copies[3] = {0, 1, c.gates()};
          c.input_copies = copies[i % 3];
          c.state_copies = copies[(i + i / 3) % 3];
        }
        // Enough work for threads: those that share the samples of a batch,
        // and those that share the units of one block.
        if (i == 0 && batch == 70) c.steps = 20;
        if (i < 2 && (batch == 1 || batch == 5)) {
          c.inputs = 40;
          c.units = 90;
          c.density = 0.5;
          c.steps = c.rows() == 1 ? 30 : 10;
        }
        if (i == 2) c.steps = c.units = 1;
        all.push_back(c);
      }
    }
  for (int batch : {1, 5, 16, 33, 300})
    for (int64_t units : {1, 37, 150}) {
      Case c = {KSR_PRODUCT, batch, 1};
      c.units = units;
      c.seed = all.size();
      all.push_back(c);
    }
  // Enough work for threads: those that share the units of one block, and
  // those that share the samples of a batch.
  for (auto [batch, units, inputs] : {std::array{33, 900, 1000},
                                      std::array{1200, 150, 200}}) {
    Case c = {KSR_PRODUCT, batch, 1, inputs, units};
    c.density = 0.95;
    all.push_back(c);
  }
  // Gates that do not fit into a cache.
  Case c = {KSR_LSTM, 33};
  c.steps = 60;
  all.push_back(c);
  return all;
}

inline std::vector<Case> one_of_each_cell() {
  std::vector<Case> all;
  for (int cell = 0; cell < 6; ++cell)
    for (bool tied : {false, true}) {
      Case c = {cell, 33};
      c.tied = tied;
      c.steps = c.has_state() ? 20 : 1;
      if (!tied || c.may_be_tied()) all.push_back(c);
    }
  return all;
}

}  // namespace exercise

#endif
