// What happens in a unit once its sums are known, and the way back.
//
// `z` holds the unit's sums, row by row, `gates` what is kept of it, gate by
// gate, each a block of samples; the functions treat one vector of it, to which
// all pointers point. `live` tells which samples count at this time step: the
// others keep their state.

#ifndef KERAS_SPARSE_RNN_CELLS_H
#define KERAS_SPARSE_RNN_CELLS_H

#include "activations.h"

namespace {

// A unit's state around a time step.
struct UnitState {
  const float* before;
  float* after;
  const float* carry_before;  // LSTM only.
  float* carry_after;
};

// What the backward pass reads and writes of a unit at a time step.
struct UnitGradients {
  float* rows;    // Out: gradients of the unit's sums.
  float* direct;  // Out: what reaches the state before without a connection.
  float* carry;   // In and out, LSTM only.
};

template <typename Vector>
inline Vector one() {
  return Vector::all(1.0f);
}

struct LSTM {
  static constexpr int rows = 4;
  static constexpr int kept = 4;
  static constexpr int gates = 4;
  static constexpr int input_rows[4] = {0, 1, 2, 3};
  static constexpr int state_rows[4] = {0, 1, 2, 3};
  static constexpr bool has_carry = true;
  static constexpr bool resets_before = false;

  template <typename Vector>
  static void activate(const float* z, float* gates, int block) {
    sigmoid(Vector::load(z)).store(gates);
    sigmoid(Vector::load(z + block)).store(gates + block);
    hyperbolic_tangent(Vector::load(z + 2 * block)).store(gates + 2 * block);
    sigmoid(Vector::load(z + 3 * block)).store(gates + 3 * block);
  }

  template <typename Vector>
  static void advance(const float* gates, int block, UnitState state,
                      const float* live) {
    const Vector i = Vector::load(gates), f = Vector::load(gates + block),
                 g = Vector::load(gates + 2 * block),
                 o = Vector::load(gates + 3 * block),
                 before = Vector::load(state.carry_before);
    Vector carry = multiply_add(f, before, i * g);
    Vector after = o * hyperbolic_tangent(carry);
    if (live) {
      const Vector counts = Vector::load(live);
      carry = where_nonzero(counts, carry, before);
      after = where_nonzero(counts, after, Vector::load(state.before));
    }
    carry.store(state.carry_after);
    after.store(state.after);
  }

  template <typename Vector>
  static void reverse(const float* gates, int block, UnitState state,
                      const float* live, Vector gradient,
                      UnitGradients gradients) {
    const Vector i = Vector::load(gates), f = Vector::load(gates + block),
                 g = Vector::load(gates + 2 * block),
                 o = Vector::load(gates + 3 * block);
    const Vector squashed =
        hyperbolic_tangent(Vector::load(state.carry_after));
    const Vector old_carry = Vector::load(gradients.carry);
    const Vector carry =
        multiply_add(gradient * o, one<Vector>() - squashed * squashed,
                     old_carry);
    Vector to_i = carry * g * i * (one<Vector>() - i);
    Vector to_f = carry * Vector::load(state.carry_before) * f *
                  (one<Vector>() - f);
    Vector to_g = carry * i * (one<Vector>() - g * g);
    Vector to_o = gradient * squashed * o * (one<Vector>() - o);
    Vector to_carry = carry * f;
    Vector direct = Vector::all(0.0f);
    if (live) {
      const Vector counts = Vector::load(live), none = Vector::all(0.0f);
      to_i = where_nonzero(counts, to_i, none);
      to_f = where_nonzero(counts, to_f, none);
      to_g = where_nonzero(counts, to_g, none);
      to_o = where_nonzero(counts, to_o, none);
      to_carry = where_nonzero(counts, to_carry, old_carry);
      direct = where_nonzero(counts, none, gradient);
    }
    to_i.store(gradients.rows);
    to_f.store(gradients.rows + block);
    to_g.store(gradients.rows + 2 * block);
    to_o.store(gradients.rows + 3 * block);
    to_carry.store(gradients.carry);
    direct.store(gradients.direct);
  }
};

// h' = z h + (1 - z) h~, the same for both ways to reset.
template <typename Vector>
inline void advance_gru(const float* gates, int block, UnitState state,
                        const float* live) {
  const Vector z = Vector::load(gates),
               candidate = Vector::load(gates + 2 * block),
               before = Vector::load(state.before);
  Vector after = multiply_add(z, before - candidate, candidate);
  if (live) after = where_nonzero(Vector::load(live), after, before);
  after.store(state.after);
}

// Gradients of z's sum and of the candidate's; returns the latter.
template <typename Vector>
inline Vector reverse_gru(const float* gates, int block, UnitState state,
                          const float* live, Vector gradient,
                          UnitGradients gradients) {
  const Vector z = Vector::load(gates),
               candidate = Vector::load(gates + 2 * block);
  Vector to_z = gradient * (Vector::load(state.before) - candidate) * z *
                (one<Vector>() - z);
  Vector to_candidate = gradient * (one<Vector>() - z) *
                        (one<Vector>() - candidate * candidate);
  Vector direct = gradient * z;
  if (live) {
    const Vector counts = Vector::load(live), none = Vector::all(0.0f);
    to_z = where_nonzero(counts, to_z, none);
    to_candidate = where_nonzero(counts, to_candidate, none);
    direct = where_nonzero(counts, direct, gradient);
  }
  to_z.store(gradients.rows);
  to_candidate.store(gradients.rows + 2 * block);
  direct.store(gradients.direct);
  return to_candidate;
}

// h~ = tanh(x W + r (h U)). Kept: z, r, h~ and h U.
struct GRUResetAfter {
  static constexpr int rows = 4;
  static constexpr int kept = 4;
  static constexpr int gates = 3;
  static constexpr int input_rows[3] = {0, 1, 2};
  static constexpr int state_rows[3] = {0, 1, 3};
  static constexpr bool has_carry = false;
  static constexpr bool resets_before = false;

  template <typename Vector>
  static void activate(const float* z, float* gates, int block) {
    const Vector r = sigmoid(Vector::load(z + block)),
                 recurrent = Vector::load(z + 3 * block);
    sigmoid(Vector::load(z)).store(gates);
    r.store(gates + block);
    hyperbolic_tangent(multiply_add(r, recurrent, Vector::load(z + 2 * block)))
        .store(gates + 2 * block);
    recurrent.store(gates + 3 * block);
  }

  template <typename Vector>
  static void advance(const float* gates, int block, UnitState state,
                      const float* live) {
    advance_gru<Vector>(gates, block, state, live);
  }

  template <typename Vector>
  static void reverse(const float* gates, int block, UnitState state,
                      const float* live, Vector gradient,
                      UnitGradients gradients) {
    const Vector to_candidate =
        reverse_gru(gates, block, state, live, gradient, gradients);
    const Vector r = Vector::load(gates + block);
    (to_candidate * Vector::load(gates + 3 * block) * r * (one<Vector>() - r))
        .store(gradients.rows + block);
    (to_candidate * r).store(gradients.rows + 3 * block);
  }
};

// h~ = tanh(x W + (r h) U): the product with U waits for all reset states.
// Kept: z, r and h~, in whose place x W waits.
struct GRUResetBefore {
  static constexpr int rows = 4;
  static constexpr int kept = 3;
  static constexpr int gates = 3;
  static constexpr int input_rows[3] = {0, 1, 2};
  static constexpr int state_rows[3] = {0, 1, 3};
  static constexpr bool has_carry = false;
  static constexpr bool resets_before = true;

  template <typename Vector>
  static void activate(const float* z, float* gates, int block) {
    sigmoid(Vector::load(z)).store(gates);
    sigmoid(Vector::load(z + block)).store(gates + block);
    Vector::load(z + 2 * block).store(gates + 2 * block);
  }

  template <typename Vector>
  static void activate_candidate(const float* z, float* gates, int block) {
    hyperbolic_tangent(Vector::load(gates + 2 * block) + Vector::load(z))
        .store(gates + 2 * block);
  }

  template <typename Vector>
  static void advance(const float* gates, int block, UnitState state,
                      const float* live) {
    advance_gru<Vector>(gates, block, state, live);
  }

  template <typename Vector>
  static void reverse(const float* gates, int block, UnitState state,
                      const float* live, Vector gradient,
                      UnitGradients gradients) {
    reverse_gru(gates, block, state, live, gradient, gradients)
        .store(gradients.rows + 3 * block);
  }

  // Of r's sum, when that of the reset state is known. `source` is what r
  // multiplied. What flows on to it takes the place of `reset_gradient`.
  template <typename Vector>
  static void reverse_reset(const float* gates, int block, const float* source,
                            float* reset_gradient, float* rows) {
    const Vector r = Vector::load(gates + block),
                 gradient = Vector::load(reset_gradient);
    (gradient * Vector::load(source) * r * (one<Vector>() - r))
        .store(rows + block);
    (gradient * r).store(reset_gradient);
  }
};

// Nothing is kept but the state itself, of which the derivative is known.
template <bool rectified>
struct SimpleRNN {
  static constexpr int rows = 1;
  static constexpr int kept = 1;
  static constexpr int gates = 1;
  static constexpr int input_rows[1] = {0};
  static constexpr int state_rows[1] = {0};
  static constexpr bool has_carry = false;
  static constexpr bool resets_before = false;

  template <typename Vector>
  static void activate(const float* z, float* gates, int) {
    const Vector sum = Vector::load(z);
    // In this order what is no number stays none.
    (rectified ? greater(Vector::all(0.0f), sum) : hyperbolic_tangent(sum))
        .store(gates);
  }

  template <typename Vector>
  static void advance(const float* gates, int, UnitState state,
                      const float* live) {
    Vector after = Vector::load(gates);
    if (live)
      after = where_nonzero(Vector::load(live), after,
                            Vector::load(state.before));
    after.store(state.after);
  }

  template <typename Vector>
  static void reverse(const float*, int, UnitState state, const float* live,
                      Vector gradient, UnitGradients gradients) {
    const Vector after = Vector::load(state.after);
    Vector row = rectified ? where_positive(after, gradient)
                           : gradient * (one<Vector>() - after * after);
    Vector direct = Vector::all(0.0f);
    if (live) {
      const Vector counts = Vector::load(live);
      row = where_nonzero(counts, row, direct);
      direct = where_nonzero(counts, direct, gradient);
    }
    row.store(gradients.rows);
    direct.store(gradients.direct);
  }
};

}  // namespace

#endif
