// A whole batch: blocks of samples shared among threads.
//
// Included by one file for each instruction set, which names its vectors.

#ifndef KERAS_SPARSE_RNN_BATCH_H
#define KERAS_SPARSE_RNN_BATCH_H

#include <string.h>

#include "kernel_table.h"
#include "product.h"
#include "sequence.h"

namespace {

// Blocks that add up their gradients apart, so that threads need not wait for
// each other, and sums are the same however many there are.
constexpr int64_t kGradientCopies = 16;

// Below so many vector operations a thread costs more than it brings: in all,
// to start it, and in a time step, to wait for it.
template <typename Cell>
constexpr int64_t kOperationsForThread = 60000;
// A single step is over before a thread has come to a core that others use.
template <>
constexpr int64_t kOperationsForThread<Product> = 1000000;
constexpr int64_t kOperationsForWaiting = 6000;

template <typename Vector, int N, typename Cell>
class Batch {
  static constexpr int block_ = N * Vector::width;

 public:
  explicit Batch(const KsrRecurrence& r)
      : r_(r),
        layout_(Layout::of<Cell>(r, block_)),
        blocks_((r.batch + block_ - 1) / block_),
        copies_(least(blocks_, kGradientCopies)) {
    const int64_t operations = N * (connections() + 24 * r.units);
    threads_ = r.threads < 1 ? 1 : r.threads;
    const int64_t worthwhile =
        operations * r.steps * blocks_ / kOperationsForThread<Cell>;
    threads_ = least(threads_, worthwhile < 1 ? 1 : worthwhile);
    in_step_ = threads_ > copies_;
    if (in_step_) {
      const int64_t sharing = operations / kOperationsForWaiting;
      threads_ = least(threads_, sharing < 1 ? 1 : sharing);
      in_step_ = threads_ > copies_;
    }
  }

  void sizes(KsrSizes* sizes) const {
    sizes->rows_per_unit = Cell::rows;
    sizes->features = layout_.features;
    sizes->connections = connections() + KSR_PADDING;
    sizes->gradient_copies = copies_;
    sizes->kept = layout_.kept_floats *
                  (r_.keeps_steps ? blocks_ : blocks_at_once());
    sizes->forward_scratch = layout_.forward_scratch * blocks_at_once();
    sizes->backward_scratch = layout_.backward_scratch * blocks_at_once();
  }

  void forward() { run(false); }

  void backward() {
    memset(r_.weights_gradient, 0,
           sizeof(float) * copies_ * (connections() + KSR_PADDING));
    memset(r_.bias_gradient, 0,
           sizeof(float) * copies_ * Cell::rows * r_.units);
    run(true);
  }

 private:
  int64_t connections() const {
    return static_cast<int64_t>(r_.rows.starts[r_.rows.sums]) *
           (r_.tied ? Cell::gates : 1);
  }
  int64_t blocks_at_once() const { return in_step_ ? 1 : threads_; }

  void run(bool backward) {
    ksr::Team team(static_cast<int>(threads_), r_.threads);
    team_ = &team;
    backward_ = backward;
    team.run([](void* self, int rank) { static_cast<Batch*>(self)->work(rank); },
             this);
  }

  void work(int rank) const {
    const int size = team_->size();
    if (in_step_) {
      for (int64_t block = 0; block < blocks_; ++block)
        compute(block, 0, rank, size);
      return;
    }
    for (int64_t copy = rank; copy < copies_; copy += size)
      for (int64_t block = copy; block < blocks_; block += copies_)
        compute(block, rank, 0, 1);
  }

  void compute(int64_t block, int place, int rank, int size) const {
    float* kept =
        r_.kept + (r_.keeps_steps ? block : place) * layout_.kept_floats;
    const int64_t scratch =
        backward_ ? layout_.backward_scratch : layout_.forward_scratch;
    Sequence<Vector, N, Cell> sequence(r_, block, kept,
                                       r_.scratch + place * scratch, rank, size,
                                       team_);
    if (!backward_) {
      sequence.forward();
      return;
    }
    const int64_t copy = block % copies_;
    sequence.backward(
        r_.weights_gradient + copy * (connections() + KSR_PADDING),
        r_.bias_gradient + copy * Cell::rows * r_.units);
  }

  const KsrRecurrence& r_;
  const Layout layout_;
  const int64_t blocks_, copies_;
  int64_t threads_;
  bool in_step_, backward_ = false;
  ksr::Team* team_ = nullptr;
};

struct Sizes {
  KsrSizes* sizes;
  template <typename Batch>
  void operator()(Batch& batch) const {
    batch.sizes(sizes);
  }
};
struct Forward {
  template <typename Batch>
  void operator()(Batch& batch) const {
    batch.forward();
  }
};
struct Backward {
  template <typename Batch>
  void operator()(Batch& batch) const {
    batch.backward();
  }
};

template <typename Vector, int N, typename Action>
int32_t act(const KsrRecurrence& r, Action action) {
  switch (r.cell) {
#define KSR_ACT(number, Cell)          \
  case number: {                       \
    Batch<Vector, N, Cell> batch(r);   \
    action(batch);                     \
    return KSR_OK;                     \
  }
    KSR_ACT(KSR_LSTM, LSTM)
    KSR_ACT(KSR_GRU_RESET_AFTER, GRUResetAfter)
    KSR_ACT(KSR_GRU_RESET_BEFORE, GRUResetBefore)
    KSR_ACT(KSR_SIMPLE_RNN_TANH, SimpleRNN<false>)
    KSR_ACT(KSR_SIMPLE_RNN_RELU, SimpleRNN<true>)
    KSR_ACT(KSR_PRODUCT, Product)
#undef KSR_ACT
  }
  return KSR_BAD_SIZE;
}

}  // namespace

#endif
