// Sums over connections, on blocks of samples that lie together.
//
// A block is `N` vectors wide. Sums are held in registers, each connection is
// one broadcast weight times the block of its source. The order of additions
// depends on nothing but the list, so results are the same bits however work is
// shared.

#ifndef KERAS_SPARSE_RNN_PRODUCTS_H
#define KERAS_SPARSE_RNN_PRODUCTS_H

#include "vectors.h"

namespace {

template <typename Vector, int N>
struct Block {
  static constexpr int width = N * Vector::width;
  Vector v[N];

  static Block load(const float* p) {
    Block block;
    for (int n = 0; n < N; ++n)
      block.v[n] = Vector::load(p + n * Vector::width);
    return block;
  }
  static Block all(float value) {
    Block block;
    for (int n = 0; n < N; ++n) block.v[n] = Vector::all(value);
    return block;
  }
  void store(float* p) const {
    for (int n = 0; n < N; ++n) v[n].store(p + n * Vector::width);
  }
  void add(const Block& other) {
    for (int n = 0; n < N; ++n) v[n] = v[n] + other.v[n];
  }
  void add_product(Vector weight, const float* source) {
    for (int n = 0; n < N; ++n)
      v[n] = multiply_add(weight, Vector::load(source + n * Vector::width),
                          v[n]);
  }
  // The sum over the vectors, a vector.
  Vector folded() const {
    Vector total = v[0];
    for (int n = 1; n < N; ++n) total = total + v[n];
    return total;
  }
};

// bias + sum of weight * source: one row of the product.
template <typename Vector, int N>
inline Block<Vector, N> weighted_sum(const float* panel,
                                     const int32_t* sources,
                                     const float* weights, int count,
                                     float bias) {
  using B = Block<Vector, N>;
  constexpr int width = B::width;
  // Enough sums in flight to hide the latency of a multiply-add.
  constexpr int chains = N >= 4 ? 1 : 4 / N;
  B sums[chains];
  sums[0] = B::all(bias);
  for (int c = 1; c < chains; ++c) sums[c] = B::all(0.0f);
  int k = 0;
  for (; k + 4 <= count; k += 4) {
    for (int i = 0; i < 4; ++i)
      sums[i % chains].add_product(
          Vector::all(weights[k + i]),
          panel + static_cast<int64_t>(sources[k + i]) * width);
  }
  for (; k < count; ++k)
    sums[0].add_product(Vector::all(weights[k]),
                        panel + static_cast<int64_t>(sources[k]) * width);
  for (int c = 1; c < chains; ++c) sums[0].add(sums[c]);
  return sums[0];
}

// The same for all gates of a unit that share connections: each source is read
// once for `Gates` sums.
template <typename Vector, int N, int Gates>
inline void add_weighted_sums(const float* panel, const int32_t* sources,
                              const float* weights, int count,
                              Block<Vector, N> (&sums)[Gates]) {
  constexpr int width = N * Vector::width;
  for (int k = 0; k < count; ++k) {
    const auto source = Block<Vector, N>::load(
        panel + static_cast<int64_t>(sources[k]) * width);
    for (int gate = 0; gate < Gates; ++gate) {
      const Vector weight = Vector::all(weights[k * Gates + gate]);
      for (int n = 0; n < N; ++n)
        sums[gate].v[n] = multiply_add(weight, source.v[n], sums[gate].v[n]);
    }
  }
}

// Adds to the gradient of each connection of a row the product of the row's
// gradient with the connection's source, summed over the block and over `Steps`
// time steps, which lie `row_stride` and `panel_stride` apart. One sum over a
// vector's samples then serves all these steps.
template <typename Vector, int N, int Steps>
inline void add_weight_gradients(const float* row_gradient, int64_t row_stride,
                                 const float* panel, int64_t panel_stride,
                                 const int32_t* sources, int count,
                                 float* gradients) {
  using B = Block<Vector, N>;
  B rows[Steps];
  for (int step = 0; step < Steps; ++step)
    rows[step] = B::load(row_gradient + step * row_stride);
  for (int k = 0; k < count; k += 4) {
    Vector products[4];
    // Lists are padded: beyond the end these are sources of other rows, whose
    // products are not added anywhere.
    for (int i = 0; i < 4; ++i) {
      const float* source =
          panel + static_cast<int64_t>(sources[k + i]) * B::width;
      products[i] = Vector::all(0.0f);
      for (int step = 0; step < Steps; ++step)
        for (int n = 0; n < N; ++n)
          products[i] = multiply_add(
              rows[step].v[n],
              Vector::load(source + step * panel_stride + n * Vector::width),
              products[i]);
    }
    add_sums(products, gradients + k, count - k < 4 ? count - k : 4);
  }
}

// The same for gates that share connections. `rows` says which of the unit's
// rows the gates are.
template <typename Vector, int N, int Steps, int Gates>
inline void add_tied_weight_gradients(const float* unit_gradient,
                                      int64_t row_stride,
                                      const int (&rows)[Gates],
                                      const float* panel, int64_t panel_stride,
                                      const int32_t* sources, int count,
                                      float* gradients) {
  using B = Block<Vector, N>;
  B gates[Steps][Gates];
  for (int step = 0; step < Steps; ++step)
    for (int gate = 0; gate < Gates; ++gate)
      gates[step][gate] = B::load(unit_gradient + step * row_stride +
                                  rows[gate] * B::width);
  for (int k = 0; k < count; ++k) {
    const float* source =
        panel + static_cast<int64_t>(sources[k]) * B::width;
    Vector products[4];
    for (int gate = 0; gate < 4; ++gate) products[gate] = Vector::all(0.0f);
    for (int step = 0; step < Steps; ++step) {
      const B values = B::load(source + step * panel_stride);
      for (int gate = 0; gate < Gates; ++gate)
        for (int n = 0; n < N; ++n)
          products[gate] = multiply_add(gates[step][gate].v[n], values.v[n],
                                        products[gate]);
    }
    add_sums(products, gradients + k * Gates, Gates);
  }
}

// Sum over the units that a feature feeds, of all gates' gradients times
// weights.
template <typename Vector, int N, int Gates>
inline Block<Vector, N> tied_weighted_sum(const float* gradients,
                                          int rows_per_unit,
                                          const int (&rows)[Gates],
                                          const int32_t* units,
                                          const float* weights, int count) {
  using B = Block<Vector, N>;
  B sums[Gates];
  for (int gate = 0; gate < Gates; ++gate) sums[gate] = B::all(0.0f);
  for (int k = 0; k < count; ++k) {
    const float* unit =
        gradients + static_cast<int64_t>(units[k]) * rows_per_unit * B::width;
    for (int gate = 0; gate < Gates; ++gate)
      sums[gate].add_product(Vector::all(weights[k * Gates + gate]),
                             unit + rows[gate] * B::width);
  }
  for (int gate = 1; gate < Gates; ++gate) sums[0].add(sums[gate]);
  return sums[0];
}

}  // namespace

#endif
