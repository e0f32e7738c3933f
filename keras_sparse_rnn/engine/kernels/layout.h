// How much memory a block of samples takes, and who does what of a time step.

#ifndef KERAS_SPARSE_RNN_LAYOUT_H
#define KERAS_SPARSE_RNN_LAYOUT_H

#include "recurrence.h"

namespace {

// Half a MiB: what a block may keep of its gates in a cache of its own.
constexpr int64_t kFloatsInCache = 1 << 17;

// The most time steps whose gradients of connections are added up together.
constexpr int kMostSteps = 4;

inline int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

// The sizes that follow from the arguments for blocks of some width.
struct Layout {
  int64_t features, state_start, reset_start, step_floats, slots, gate_slots;
  int64_t raw_floats, carry_floats, gate_floats, kept_floats;
  int64_t row_floats, forward_scratch, backward_scratch, mask_floats;
  int64_t together;  // Time steps, see `kMostSteps`.

  template <typename Cell>
  static Layout of(const KsrRecurrence& r, int64_t block) {
    Layout s;
    s.state_start = r.input_copies * r.inputs;
    s.reset_start = s.state_start + r.state_copies * r.units;
    s.features = s.reset_start + (Cell::resets_before ? r.units : 0);
    s.step_floats = s.features * block;
    // Without a backward pass a step and the next one are all that is needed.
    s.slots = r.keeps_steps ? r.steps + 1 : 2;
    s.gate_slots = r.keeps_steps && r.keeps_gates ? r.steps : 1;
    const int64_t units = r.units * block;
    s.raw_floats = r.recurrent_dropout ? s.slots * units : 0;
    s.carry_floats = Cell::has_carry ? s.slots * units : 0;
    s.gate_floats = s.gate_slots * Cell::kept * units;
    s.kept_floats = s.slots * s.step_floats + s.raw_floats + s.carry_floats +
                    s.gate_floats;
    s.row_floats = Cell::rows * units;
    // Their features are read in any order, so they have to stay in a cache.
    s.together = kMostSteps;
    while (s.together > 1 && s.together * s.step_floats > kFloatsInCache)
      s.together /= 2;
    s.mask_floats = s.reset_start * block;
    s.forward_scratch = s.mask_floats;
    // Gradients of rows, of features, direct and carried; gates; masks.
    s.backward_scratch = s.together * s.row_floats + s.step_floats +
                         2 * units + Cell::kept * units + s.mask_floats;
    return s;
  }
};

// What a member of a team does: from where to where.
struct Share {
  int64_t begin, end;
};

// Splits `count` items at multiples of a group so that every share has about
// as many connections, and a little for each item.
inline Share share_of(const int32_t* starts, int64_t starts_per_item,
                      int64_t count, int64_t overhead, int rank, int size) {
  const int64_t first = starts[0];
  const auto cost = [&](int64_t item) {
    return starts[item * starts_per_item] - first + item * overhead;
  };
  const int64_t total = cost(count);
  Share share = {0, 0};
  int64_t* const ends[2] = {&share.begin, &share.end};
  for (int i = 0; i < 2; ++i) {
    const int64_t wanted = total * (rank + i) / size;
    int64_t item = 0;
    if (rank + i == size) {
      item = count;
    } else {
      while (item < count && cost(item) < wanted) item += KSR_GROUP;
      item = least(item, count);
    }
    *ends[i] = item;
  }
  return share;
}

}  // namespace

#endif
