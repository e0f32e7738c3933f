// A plain product of inputs and weights: no state, no time, no activation.
//
// `Batch` runs it as it runs a recurrence of one time step. Nothing is kept for
// the backward pass, which turns the inputs again: that takes less time than
// memory that no cache holds.

#ifndef KERAS_SPARSE_RNN_PRODUCT_H
#define KERAS_SPARSE_RNN_PRODUCT_H

#include "sequence.h"

namespace {

struct Product {
  static constexpr int rows = 1;
  static constexpr int gates = 1;
};

template <>
inline Layout Layout::of<Product>(const KsrRecurrence& r, int64_t block) {
  Layout s = {};
  s.features = s.state_start = s.reset_start = r.inputs;
  s.step_floats = s.forward_scratch = r.inputs * block;
  s.row_floats = r.units * block;
  s.backward_scratch = s.step_floats + s.row_floats;
  return s;
}

template <typename Vector, int N>
class Sequence<Vector, N, Product> {
  using B = Block<Vector, N>;
  static constexpr int block_ = B::width;

 public:
  Sequence(const KsrRecurrence& r, int64_t block_index, float*, float* scratch,
           int rank, int size, ksr::Team* team)
      : r_(r),
        first_sample_(block_index * block_),
        samples_(least(block_, r.batch - first_sample_)),
        inputs_(scratch),
        row_gradients_(scratch + r.inputs * block_),
        rank_(rank),
        size_(size),
        team_(size > 1 ? team : nullptr) {}

  void forward() const {
    read(r_.sequences, r_.features, inputs_);
    wait();
    write_sums(r_.rows, inputs_, r_.bias, r_.outputs);
    wait();  // The next block is given the same memory.
  }

  void backward(float* weights_gradient, float* bias_gradient) const {
    read(r_.sequences, r_.features, inputs_);
    read(r_.outputs_gradient, r_.rows, row_gradients_);
    wait();
    write_sums(r_.features, row_gradients_, nullptr, r_.sequences_gradient);
    add_gradients(weights_gradient, bias_gradient);
    wait();
  }

 private:
  void wait() const {
    if (team_) team_->wait();
  }

  // Calls a function on groups of this member's share of the results.
  template <typename Function>
  void for_groups(const KsrLists& lists, Function function) const {
    const Share share =
        share_of(lists.starts, 1, lists.sums, 4, rank_, size_);
    for (int64_t begin = share.begin; begin < share.end; begin += KSR_GROUP)
      function(begin, least(begin + KSR_GROUP, share.end));
  }

  // From an array of `[batch, results of these lists]`.
  void read(const float* from, const KsrLists& lists, float* to) const {
    for_groups(lists, [&](int64_t begin, int64_t end) {
      read_features(from + first_sample_ * lists.sums + begin, lists.sums,
                    samples_, end - begin, to + begin * block_, block_);
    });
  }

  // To an array of `[batch, results of these lists]`.
  void write_sums(const KsrLists& lists, const float* sources,
                  const float* bias, float* to) const {
    if (!to) return;
    for_groups(lists, [&](int64_t begin, int64_t end) {
      float tile[KSR_GROUP * block_];
      for (int64_t i = begin; i < end; ++i) {
        const int64_t sum = lists.order[i];
        const int32_t first = lists.starts[sum];
        weighted_sum<Vector, N>(sources, lists.sources + first,
                                lists.weights + first,
                                lists.starts[sum + 1] - first,
                                bias ? bias[sum] : 0.0f)
            .store(tile + (sum - begin) * block_);
      }
      write_features(tile, block_, samples_, end - begin,
                     to + first_sample_ * lists.sums + begin, lists.sums);
    });
  }

  void add_gradients(float* weights, float* bias) const {
    for_groups(r_.rows, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const float* gradient = row_gradients_ + row * block_;
        const Vector none = Vector::all(0.0f);
        Vector totals[4] = {B::load(gradient).folded(), none, none, none};
        add_sums(totals, bias + row, 1);
        const int32_t first = r_.rows.starts[row];
        add_weight_gradients<Vector, N, 1>(gradient, 0, inputs_, 0,
                                           r_.rows.sources + first,
                                           r_.rows.starts[row + 1] - first,
                                           weights + first);
      }
    });
  }

  const KsrRecurrence& r_;
  const int64_t first_sample_, samples_;
  float *const inputs_, *const row_gradients_;
  const int rank_, size_;
  ksr::Team* const team_;
};

}  // namespace

#endif
