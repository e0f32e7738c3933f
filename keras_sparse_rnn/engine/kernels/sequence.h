// A recurrence over all time steps of one block of samples, and its reverse.
//
// One thread, or a team of them that share the units of a step. Features of a
// step lie as `[inputs | state before the step | reset state]`, the first two
// once for each dropout mask.

#ifndef KERAS_SPARSE_RNN_SEQUENCE_H
#define KERAS_SPARSE_RNN_SEQUENCE_H

#include "cells.h"
#include "layout.h"
#include "products.h"
#include "threads.h"
#include "transposed.h"

namespace {

// Of a line of the cache.
constexpr int64_t kFloatsOfLine = 16;

template <typename Vector, int N, typename Cell>
class Sequence {
  using B = Block<Vector, N>;
  static constexpr int block_ = B::width;

 public:
  Sequence(const KsrRecurrence& r, int64_t block_index, float* kept,
           float* scratch, int rank, int size, ksr::Team* team)
      : r_(r),
        layout_(Layout::of<Cell>(r, block_)),
        first_sample_(block_index * block_),
        samples_(least(block_, r.batch - first_sample_)),
        scratch_(scratch),
        rank_(rank),
        team_(size > 1 ? team : nullptr) {
    panel_ = kept;
    raw_ = panel_ + layout_.slots * layout_.step_floats;
    carry_ = raw_ + layout_.raw_floats;
    gates_ = carry_ + layout_.carry_floats;
    masks_ = scratch;
    // What does not stay in a cache until it is read again, long after, need
    // not go through it.
    streams_ = layout_.gate_floats > kFloatsInCache &&
               reinterpret_cast<uintptr_t>(gates_) % 64 == 0;
    units_ = unit_share(rank, size);
    inputs_ = even_share(r.inputs, rank, size);
  }

  void forward() {
    read_masks();
    start_states();
    read_inputs(0);
    wait();
    for (int64_t t = 0; t < r_.steps; ++t) {
      read_live(t);
      const float* live = has_live() ? live_ : nullptr;
      for_groups([&](int64_t begin, int64_t end) {
        if (Cell::resets_before) {
          // They wait for the second product, in memory.
          compute_gates(t, begin, end, gates(t, begin));
          reset_states(t, begin, end, gates(t, begin));
          return;
        }
        alignas(64) float group[KSR_GROUP * Cell::kept * block_];
        compute_gates(t, begin, end, group);
        advance(t, begin, end, group, live);
        if (r_.keeps_steps && r_.keeps_gates)
          keep_gates(group, end - begin, gates(t, begin));
      });
      if (Cell::resets_before) {
        wait();
        for_groups([&](int64_t begin, int64_t end) {
          compute_candidates(t, begin, end, gates(t, begin));
          advance(t, begin, end, gates(t, begin), live);
        });
      }
      if (t + 1 < r_.steps) read_inputs(t + 1);
      wait();
    }
    write_states(r_.final_state, state(r_.steps));
    if (Cell::has_carry) write_states(r_.final_carry, carry(r_.steps));
    end_stream();
    wait();  // The next block may be given the same memory.
  }

  void backward(float* weights_gradient, float* bias_gradient) {
    all_row_gradients_ = scratch_ + layout_.mask_floats;
    feature_gradients_ =
        all_row_gradients_ + layout_.together * layout_.row_floats;
    direct_ = feature_gradients_ + layout_.step_floats;
    carry_gradients_ = direct_ + r_.units * block_;
    float* recomputed = carry_gradients_ + r_.units * block_;
    read_masks();
    for_groups([&](int64_t begin, int64_t end) {
      read_states(r_.final_state_gradient, begin, end, direct_);
      if (Cell::has_carry)
        read_states(r_.final_carry_gradient, begin, end, carry_gradients_);
    });
    const Share features =
        share_of(r_.features.starts, 1, layout_.reset_start, 4, rank_, size());
    wait();
    for (int64_t t = r_.steps - 1; t >= 0; --t) {
      const int64_t place = t % layout_.together;
      row_gradients_ = all_row_gradients_ + place * layout_.row_floats;
      read_live(t);
      const float* live = has_live() ? live_ : nullptr;
      if (t + 1 < r_.steps) write_input_gradients(t + 1);
      const auto group_gates = [&](int64_t begin) {
        return r_.keeps_gates ? gates(t, begin)
                              : recomputed + begin * Cell::kept * block_;
      };
      for_groups([&](int64_t begin, int64_t end) {
        float* group = group_gates(begin);
        if (!r_.keeps_gates) {
          compute_gates(t, begin, end, group);
          if (Cell::resets_before) compute_candidates(t, begin, end, group);
        }
        reverse_units(t, begin, end, group, live);
      });
      wait();
      if (Cell::resets_before) {
        for_groups([&](int64_t begin, int64_t end) {
          sum_features(layout_.reset_start + begin, layout_.reset_start + end);
          reverse_resets(t, begin, end, group_gates(begin));
        });
        wait();
      }
      sum_features(features.begin, features.end);
      if (place == 0)
        add_gradients(t, least(layout_.together, r_.steps - t),
                      weights_gradient, bias_gradient);
      wait();
    }
    write_input_gradients(0);
    for_groups([&](int64_t begin, int64_t end) {
      float tile[KSR_GROUP * block_];
      for (int64_t unit = begin; unit < end; ++unit)
        state_gradient(unit).store(tile + (unit - begin) * block_);
      write_tile(r_.initial_state_gradient, begin, end, tile);
      if (Cell::has_carry)
        write_tile(r_.initial_carry_gradient, begin, end,
                   carry_gradients_ + begin * block_);
    });
    wait();
  }

 private:
  int size() const { return team_ ? team_->size() : 1; }
  void wait() {
    if (team_) team_->wait();
  }

  int64_t slot(int64_t t) const { return r_.keeps_steps ? t : t & 1; }
  float* panel(int64_t t) const {
    return panel_ + slot(t) * layout_.step_floats;
  }
  float* state_features(int64_t t) const {
    return panel(t) + layout_.state_start * block_;
  }
  // The state without dropout, which is the one that goes on.
  float* state(int64_t t) const {
    return r_.recurrent_dropout ? raw_ + slot(t) * r_.units * block_
                                : state_features(t);
  }
  float* carry(int64_t t) const { return carry_ + slot(t) * r_.units * block_; }
  // Of the group of units that begins with one.
  float* gates(int64_t t, int64_t unit) const {
    const int64_t slot = layout_.gate_slots > 1 ? t : 0;
    return gates_ + (slot * r_.units + unit) * Cell::kept * block_;
  }
  // What a reset multiplies: the state as the candidate's product sees it.
  float* reset_source(int64_t t) const {
    return state_features(t) + (r_.state_copies > 1 ? 2 : 0) * r_.units * block_;
  }
  int64_t time(int64_t t) const { return r_.backwards ? r_.steps - 1 - t : t; }

  Share unit_share(int rank, int size) const {
    return share_of(r_.rows.starts, r_.tied ? 2 : Cell::rows, r_.units,
                    // Gates cost about as much as this many connections.
                    24, rank, size);
  }
  static Share even_share(int64_t count, int rank, int size) {
    const int64_t groups = (count + KSR_GROUP - 1) / KSR_GROUP;
    return {least(count, groups * rank / size * KSR_GROUP),
            least(count, groups * (rank + 1) / size * KSR_GROUP)};
  }

  template <typename Function>
  void for_groups(Function function) const {
    for (int64_t begin = units_.begin; begin < units_.end; begin += KSR_GROUP)
      function(begin, least(begin + KSR_GROUP, units_.end));
  }

  // --- reading and writing what is not feature-major -----------------------

  // Each member reads all masks it may need; the team shares one copy, of
  // which the first writes all.
  void read_masks() {
    if (rank_ == 0) {
      if (r_.input_dropout)
        read_mask(r_.input_dropout, r_.input_copies, r_.inputs, masks_);
      if (r_.recurrent_dropout)
        read_mask(r_.recurrent_dropout, r_.state_copies, r_.units,
                  masks_ + layout_.state_start * block_);
    }
    wait();
  }
  void read_mask(const float* from, int64_t copies, int64_t features,
                 float* to) const {
    for (int64_t copy = 0; copy < copies; ++copy)
      read_features(from + (copy * r_.batch + first_sample_) * features,
                    features, samples_, features,
                    to + copy * features * block_, block_);
  }
  const float* input_mask(int64_t copy, int64_t input) const {
    return masks_ + (copy * r_.inputs + input) * block_;
  }
  const float* state_mask(int64_t copy, int64_t unit) const {
    return masks_ + (layout_.state_start + copy * r_.units + unit) * block_;
  }

  void read_inputs(int64_t t) const {
    if (inputs_.begin == inputs_.end) return;
    float* to = panel(t) + inputs_.begin * block_;
    const int64_t count = inputs_.end - inputs_.begin;
    read_features(r_.sequences +
                      (first_sample_ * r_.steps + time(t)) * r_.inputs +
                      inputs_.begin,
                  r_.steps * r_.inputs, samples_, count, to, block_);
    if (!r_.input_dropout) return;
    // The first copy last: it is what the others are made from.
    for (int64_t copy = r_.input_copies - 1; copy >= 0; --copy)
      for (int64_t i = 0; i < count; ++i)
        multiply(to + i * block_, input_mask(copy, inputs_.begin + i),
                 to + (copy * r_.inputs + i) * block_);
  }

  // Asks for `count` numbers of each sample, which another time step is to read
  // or write: a processor does not foresee as many streams by itself.
  static void fetch_ahead(const float* from, int64_t stride, int64_t samples,
                          int64_t count) {
    for (int64_t sample = 0; sample < samples; ++sample)
      for (int64_t i = 0; i < count; i += kFloatsOfLine)
        __builtin_prefetch(from + sample * stride + i, 0, 2);
  }

  static void multiply(const float* a, const float* b, float* to) {
    for (int o = 0; o < block_; o += Vector::width)
      (Vector::load(a + o) * Vector::load(b + o)).store(to + o);
  }

  void write_input_gradients(int64_t t) const {
    float* to = r_.sequences_gradient +
                (first_sample_ * r_.steps + time(t)) * r_.inputs;
    const int64_t stride = r_.steps * r_.inputs;
    const int64_t ahead = r_.backwards ? r_.inputs : -r_.inputs;
    for (int64_t begin = inputs_.begin; begin < inputs_.end;
         begin += KSR_GROUP) {
      const int64_t end = least(begin + KSR_GROUP, inputs_.end);
      float tile[KSR_GROUP * block_];
      const float* from = feature_gradients_ + begin * block_;
      if (r_.input_dropout) {
        for (int64_t input = begin; input < end; ++input) {
          B total = B::all(0.0f);
          for (int64_t copy = 0; copy < r_.input_copies; ++copy)
            add_masked(&total, input_mask(copy, input),
                       feature_gradients_ +
                           (copy * r_.inputs + input) * block_);
          total.store(tile + (input - begin) * block_);
        }
        from = tile;
      }
      write_features(from, block_, samples_, end - begin, to + begin, stride);
      if (t > 0) fetch_ahead(to + begin + ahead, stride, samples_, end - begin);
    }
  }

  static void add_masked(B* total, const float* mask, const float* gradient) {
    for (int n = 0; n < N; ++n)
      total->v[n] = multiply_add(Vector::load(mask + n * Vector::width),
                                 Vector::load(gradient + n * Vector::width),
                                 total->v[n]);
  }

  // Samples that fill up the last block do not count: what they would grow to
  // must not meet a gradient of 0.
  bool has_live() const { return r_.counts || samples_ < block_; }
  void read_live(int64_t t) {
    if (!has_live()) return;
    for (int sample = 0; sample < block_; ++sample)
      live_[sample] =
          sample < samples_ &&
                  (!r_.counts ||
                   r_.counts[(first_sample_ + sample) * r_.steps + time(t)])
              ? 1.0f
              : 0.0f;
  }

  // From or to an array of `[batch, units]`.
  void read_states(const float* from, int64_t begin, int64_t end,
                   float* to) const {
    read_features(from + first_sample_ * r_.units + begin, r_.units, samples_,
                  end - begin, to + begin * block_, block_);
  }
  void write_tile(float* to, int64_t begin, int64_t end,
                  const float* tile) const {
    write_features(tile, block_, samples_, end - begin,
                   to + first_sample_ * r_.units + begin, r_.units);
  }
  void write_states(float* to, const float* from) const {
    if (units_.begin == units_.end) return;
    write_tile(to, units_.begin, units_.end, from + units_.begin * block_);
  }

  void start_states() const {
    if (units_.begin == units_.end) return;
    read_states(r_.initial_state, units_.begin, units_.end, state(0));
    drop_states(0, units_.begin, units_.end);
    if (Cell::has_carry)
      read_states(r_.initial_carry, units_.begin, units_.end, carry(0));
  }

  // The copies of the state that connections see.
  void drop_states(int64_t t, int64_t begin, int64_t end) const {
    if (!r_.recurrent_dropout) return;
    for (int64_t copy = 0; copy < r_.state_copies; ++copy)
      for (int64_t unit = begin; unit < end; ++unit)
        multiply(state(t) + unit * block_, state_mask(copy, unit),
                 state_features(t) + (copy * r_.units + unit) * block_);
  }

  // --- forward -------------------------------------------------------------

  // Of a unit of a group, which is counted from the group's first.
  static float* gates_of(float* group, int64_t unit) {
    return group + unit * Cell::kept * block_;
  }

  void keep_gates(const float* group, int64_t units, float* to) const {
    const int64_t count = units * Cell::kept * block_;
    if (streams_)
      for (int64_t i = 0; i < count; i += Vector::width)
        Vector::load(group + i).stream(to + i);
    else
      for (int64_t i = 0; i < count; i += Vector::width)
        Vector::load(group + i).store(to + i);
  }

  // One row's sum over its connections.
  B row_sum(const float* features, int64_t row) const {
    const int32_t begin = r_.rows.starts[row];
    return weighted_sum<Vector, N>(features, r_.rows.sources + begin,
                                   r_.rows.weights + begin,
                                   r_.rows.starts[row + 1] - begin,
                                   r_.bias[row]);
  }

  void compute_gates(int64_t t, int64_t begin, int64_t end,
                     float* group) const {
    const float* features = panel(t);
    float z[KSR_GROUP * Cell::rows * block_];
    if (r_.tied) {
      for (int64_t unit = begin; unit < end; ++unit)
        tied_sums(features, unit, z + (unit - begin) * Cell::rows * block_);
    } else {
      constexpr int rows = Cell::rows - (Cell::resets_before ? 1 : 0);
      const int32_t* order = r_.rows.order + begin * Cell::rows;
      for (int64_t i = 0; i < (end - begin) * rows; ++i)
        row_sum(features, order[i])
            .store(z + (order[i] - begin * Cell::rows) * block_);
    }
    for (int64_t unit = begin; unit < end; ++unit)
      for (int o = 0; o < block_; o += Vector::width)
        Cell::template activate<Vector>(
            z + (unit - begin) * Cell::rows * block_ + o,
            gates_of(group, unit - begin) + o, block_);
  }

  void tied_sums(const float* features, int64_t unit, float* z) const {
    constexpr int gates = Cell::gates;
    const float* bias = r_.bias + unit * Cell::rows;
    const int32_t* starts = r_.rows.starts + 2 * unit;
    B sums[gates];
    for (int gate = 0; gate < gates; ++gate)
      sums[gate] = B::all(bias[Cell::input_rows[gate]]);
    add_weighted_sums<Vector, N, gates>(
        features, r_.rows.sources + starts[0],
        r_.rows.weights + static_cast<int64_t>(starts[0]) * gates,
        starts[1] - starts[0], sums);
    // A row that inputs and state share goes on with its sum.
    for (int gate = 0; gate < gates; ++gate)
      if (Cell::state_rows[gate] != Cell::input_rows[gate]) {
        sums[gate].store(z + Cell::input_rows[gate] * block_);
        sums[gate] = B::all(bias[Cell::state_rows[gate]]);
      }
    add_weighted_sums<Vector, N, gates>(
        features, r_.rows.sources + starts[1],
        r_.rows.weights + static_cast<int64_t>(starts[1]) * gates,
        starts[2] - starts[1], sums);
    for (int gate = 0; gate < gates; ++gate)
      sums[gate].store(z + Cell::state_rows[gate] * block_);
  }

  void reset_states(int64_t t, int64_t begin, int64_t end,
                    float* group) const {
    for (int64_t unit = begin; unit < end; ++unit)
      multiply(gates_of(group, unit - begin) + block_,
               reset_source(t) + unit * block_,
               panel(t) + (layout_.reset_start + unit) * block_);
  }

  void compute_candidates(int64_t t, int64_t begin, int64_t end,
                          float* group) const {
    if constexpr (Cell::resets_before) {
      // The last rows of each group's order are those of the candidates.
      const int32_t* order =
          r_.rows.order + begin * Cell::rows + (end - begin) * 3;
      for (int64_t i = 0; i < end - begin; ++i) {
        const int64_t unit = order[i] / Cell::rows;
        float z[block_];
        row_sum(panel(t), order[i]).store(z);
        for (int o = 0; o < block_; o += Vector::width)
          Cell::template activate_candidate<Vector>(
              z + o, gates_of(group, unit - begin) + o, block_);
      }
    }
  }

  UnitState unit_state(int64_t t, int64_t unit, int o) const {
    const int64_t at = unit * block_ + o;
    return {state(t) + at, state(t + 1) + at,
            Cell::has_carry ? carry(t) + at : nullptr,
            Cell::has_carry ? carry(t + 1) + at : nullptr};
  }

  void advance(int64_t t, int64_t begin, int64_t end, float* group,
               const float* live) const {
    for (int64_t unit = begin; unit < end; ++unit)
      for (int o = 0; o < block_; o += Vector::width)
        Cell::template advance<Vector>(gates_of(group, unit - begin) + o,
                                       block_, unit_state(t, unit, o),
                                       live ? live + o : nullptr);
    drop_states(t + 1, begin, end);
    if (r_.outputs)
      write_features(state(t + 1) + begin * block_, block_, samples_,
                     end - begin,
                     r_.outputs + (first_sample_ * r_.steps + t) * r_.units +
                         begin,
                     r_.steps * r_.units);
  }

  // --- backward ------------------------------------------------------------

  // What reaches a unit's state from the steps that follow.
  B state_gradient(int64_t unit) const {
    B total = B::load(direct_ + unit * block_);
    if (!reversed_any_) return total;
    const float* from =
        feature_gradients_ + (layout_.state_start + unit) * block_;
    for (int64_t copy = 0; copy < r_.state_copies; ++copy) {
      const float* gradient = from + copy * r_.units * block_;
      if (r_.recurrent_dropout)
        add_masked(&total, state_mask(copy, unit), gradient);
      else
        total.add(B::load(gradient));
    }
    return total;
  }

  void reverse_units(int64_t t, int64_t begin, int64_t end, float* group,
                     const float* live) {
    float tile[KSR_GROUP * block_];
    const float* upstream = r_.outputs_gradient;
    const int64_t stride = r_.steps * r_.units;
    if (upstream) {
      upstream += (first_sample_ * r_.steps + t) * r_.units + begin;
      read_features(upstream, stride, samples_, end - begin, tile, block_);
    }
    if (upstream && t > 0)
      fetch_ahead(upstream - r_.units, stride, samples_, end - begin);
    const bool fetches_gates = r_.keeps_gates && t > 0;
    for (int64_t unit = begin; unit < end; ++unit) {
      if (fetches_gates)
        fetch_ahead(gates_of(gates(t - 1, begin), unit - begin), 0, 1,
                    Cell::kept * block_);
      B gradient = state_gradient(unit);
      if (upstream)
        gradient.add(B::load(tile + (unit - begin) * block_));
      for (int n = 0; n < N; ++n) {
        const int o = n * Vector::width;
        Cell::template reverse<Vector>(
            gates_of(group, unit - begin) + o, block_, unit_state(t, unit, o),
            live ? live + o : nullptr, gradient.v[n],
            {row_gradients_ + unit * Cell::rows * block_ + o,
             direct_ + unit * block_ + o,
             carry_gradients_ + unit * block_ + o});
      }
    }
  }

  void reverse_resets(int64_t t, int64_t begin, int64_t end,
                      float* group) const {
    if constexpr (Cell::resets_before) {
      for (int64_t unit = begin; unit < end; ++unit)
        for (int o = 0; o < block_; o += Vector::width)
          Cell::template reverse_reset<Vector>(
              gates_of(group, unit - begin) + o, block_,
              reset_source(t) + unit * block_ + o,
              feature_gradients_ + (layout_.reset_start + unit) * block_ + o,
              row_gradients_ + unit * Cell::rows * block_ + o);
    }
  }

  // Gradients of features: sums over the rows that they feed.
  void sum_features(int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t feature = r_.features.order[i];
      const int32_t first = r_.features.starts[feature];
      const int count = r_.features.starts[feature + 1] - first;
      const int32_t* sources = r_.features.sources + first;
      B sum;
      if (r_.tied) {
        constexpr int gates = Cell::gates;
        sum = tied_weighted_sum<Vector, N, gates>(
            row_gradients_, Cell::rows,
            feature < layout_.state_start ? Cell::input_rows
                                          : Cell::state_rows,
            sources, r_.features.weights + static_cast<int64_t>(first) * gates,
            count);
      } else {
        sum = weighted_sum<Vector, N>(row_gradients_, sources,
                                      r_.features.weights + first, count, 0.0f);
      }
      sum.store(feature_gradients_ + feature * block_);
      // What was reset reaches the state that it was made from, too.
      if (Cell::resets_before) add_reset(feature);
    }
    reversed_any_ = true;
  }

  void add_reset(int64_t feature) {
    const int64_t copy = r_.state_copies > 1 ? 2 : 0;
    const int64_t unit =
        feature - layout_.state_start - copy * r_.units;
    if (unit < 0 || unit >= r_.units || feature >= layout_.reset_start) return;
    float* to = feature_gradients_ + feature * block_;
    B sum = B::load(to);
    sum.add(B::load(feature_gradients_ +
                    (layout_.reset_start + unit) * block_));
    sum.store(to);
  }

  // Of connections and biases of this member's units, from some time steps,
  // of which `t` is the first.
  void add_gradients(int64_t t, int64_t steps, float* weights,
                     float* bias) const {
    const float* rows = all_row_gradients_;
    while (steps > 0) {
      const int64_t done = steps >= 4 ? 4 : steps >= 2 ? 2 : 1;
      if (done == 4)
        add_gradients<4>(rows, panel(t), weights, bias);
      else if (done == 2)
        add_gradients<2>(rows, panel(t), weights, bias);
      else
        add_gradients<1>(rows, panel(t), weights, bias);
      t += done;
      steps -= done;
      rows += done * layout_.row_floats;
    }
  }

  template <int Steps>
  void add_gradients(const float* first_rows, const float* features,
                     float* weights, float* bias) const {
    const int64_t row_stride = layout_.row_floats;
    const int64_t stride = layout_.step_floats;
    for (int64_t unit = units_.begin; unit < units_.end; ++unit) {
      const float* rows = first_rows + unit * Cell::rows * block_;
      Vector totals[4];
      for (int row = 0; row < 4; ++row) {
        totals[row] = Vector::all(0.0f);
        if (row >= Cell::rows) continue;
        for (int step = 0; step < Steps; ++step)
          totals[row] =
              totals[row] +
              B::load(rows + step * row_stride + row * block_).folded();
      }
      add_sums(totals, bias + unit * Cell::rows, Cell::rows);
      if (r_.tied) {
        constexpr int gates = Cell::gates;
        const int32_t* starts = r_.rows.starts + 2 * unit;
        add_tied_weight_gradients<Vector, N, Steps, gates>(
            rows, row_stride, Cell::input_rows, features, stride,
            r_.rows.sources + starts[0], starts[1] - starts[0],
            weights + static_cast<int64_t>(starts[0]) * gates);
        add_tied_weight_gradients<Vector, N, Steps, gates>(
            rows, row_stride, Cell::state_rows, features, stride,
            r_.rows.sources + starts[1], starts[2] - starts[1],
            weights + static_cast<int64_t>(starts[1]) * gates);
        continue;
      }
      const int32_t* starts = r_.rows.starts + unit * Cell::rows;
      for (int row = 0; row < Cell::rows; ++row)
        add_weight_gradients<Vector, N, Steps>(
            rows + row * block_, row_stride, features, stride,
            r_.rows.sources + starts[row], starts[row + 1] - starts[row],
            weights + starts[row]);
    }
  }

  const KsrRecurrence& r_;
  const Layout layout_;
  const int64_t first_sample_, samples_;
  float* scratch_;
  const int rank_;
  ksr::Team* const team_;
  float *panel_, *raw_, *carry_, *gates_, *masks_;
  // Of this time step, and of those that are added up together.
  float *row_gradients_ = nullptr, *all_row_gradients_ = nullptr;
  float *feature_gradients_ = nullptr,
        *direct_ = nullptr, *carry_gradients_ = nullptr;
  Share units_, inputs_;
  bool streams_;
  bool reversed_any_ = false;
  float live_[block_];
};

}  // namespace

#endif
