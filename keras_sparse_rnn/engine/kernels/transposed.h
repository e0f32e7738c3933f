// From samples that lie one after the other to features that do, and back.

#ifndef KERAS_SPARSE_RNN_TRANSPOSED_H
#define KERAS_SPARSE_RNN_TRANSPOSED_H

#include "vectors.h"

namespace {

#if defined(__AVX2__)
inline void transpose_eight(const float* from, int64_t from_stride, float* to,
                            int64_t to_stride) {
  __m256 row[8], pair[8];
  for (int i = 0; i < 8; ++i)
    row[i] = _mm256_loadu_ps(from + i * from_stride);
  for (int i = 0; i < 8; i += 2) {
    pair[i] = _mm256_unpacklo_ps(row[i], row[i + 1]);
    pair[i + 1] = _mm256_unpackhi_ps(row[i], row[i + 1]);
  }
  for (int i = 0; i < 8; i += 4) {
    row[i] = _mm256_shuffle_ps(pair[i], pair[i + 2], 0x44);
    row[i + 1] = _mm256_shuffle_ps(pair[i], pair[i + 2], 0xee);
    row[i + 2] = _mm256_shuffle_ps(pair[i + 1], pair[i + 3], 0x44);
    row[i + 3] = _mm256_shuffle_ps(pair[i + 1], pair[i + 3], 0xee);
  }
  for (int i = 0; i < 4; ++i) {
    _mm256_storeu_ps(to + i * to_stride,
                     _mm256_permute2f128_ps(row[i], row[i + 4], 0x20));
    _mm256_storeu_ps(to + (i + 4) * to_stride,
                     _mm256_permute2f128_ps(row[i], row[i + 4], 0x31));
  }
}
#endif

#if defined(__AVX512F__)
inline void transpose_sixteen(const float* from, int64_t from_stride, float* to,
                              int64_t to_stride) {
  __m512 a[16], b[16];
  for (int i = 0; i < 16; ++i) a[i] = _mm512_loadu_ps(from + i * from_stride);
  for (int i = 0; i < 16; i += 2) {
    b[i] = _mm512_unpacklo_ps(a[i], a[i + 1]);
    b[i + 1] = _mm512_unpackhi_ps(a[i], a[i + 1]);
  }
  // Now a[4 i + j] holds, in each of its four lanes, column j of that lane of
  // the rows 4 i to 4 i + 3.
  for (int i = 0; i < 16; i += 4) {
    a[i] = _mm512_shuffle_ps(b[i], b[i + 2], 0x44);
    a[i + 1] = _mm512_shuffle_ps(b[i], b[i + 2], 0xee);
    a[i + 2] = _mm512_shuffle_ps(b[i + 1], b[i + 3], 0x44);
    a[i + 3] = _mm512_shuffle_ps(b[i + 1], b[i + 3], 0xee);
  }
  for (int j = 0; j < 4; ++j) {
    const __m512 even_low = _mm512_shuffle_f32x4(a[j], a[j + 4], 0x88),
                 odd_low = _mm512_shuffle_f32x4(a[j], a[j + 4], 0xdd),
                 even_high = _mm512_shuffle_f32x4(a[j + 8], a[j + 12], 0x88),
                 odd_high = _mm512_shuffle_f32x4(a[j + 8], a[j + 12], 0xdd);
    _mm512_storeu_ps(to + j * to_stride,
                     _mm512_shuffle_f32x4(even_low, even_high, 0x88));
    _mm512_storeu_ps(to + (j + 4) * to_stride,
                     _mm512_shuffle_f32x4(odd_low, odd_high, 0x88));
    _mm512_storeu_ps(to + (j + 8) * to_stride,
                     _mm512_shuffle_f32x4(even_low, even_high, 0xdd));
    _mm512_storeu_ps(to + (j + 12) * to_stride,
                     _mm512_shuffle_f32x4(odd_low, odd_high, 0xdd));
  }
}
#endif

// to[c][r] = from[r][c]
inline void transpose(const float* from, int64_t from_stride, int64_t rows,
                      int64_t columns, float* to, int64_t to_stride) {
  int64_t r = 0;
#if defined(__AVX512F__)
  // Whole lines of the cache, where there are as many of both.
  if (columns % 16 == 0)
    for (; r + 16 <= rows; r += 16)
      for (int64_t c = 0; c < columns; c += 16)
        transpose_sixteen(from + r * from_stride + c, from_stride,
                          to + c * to_stride + r, to_stride);
#endif
#if defined(__AVX2__)
  for (; r + 8 <= rows; r += 8) {
    int64_t c = 0;
    for (; c + 8 <= columns; c += 8)
      transpose_eight(from + r * from_stride + c, from_stride,
                      to + c * to_stride + r, to_stride);
    for (; c < columns; ++c)
      for (int64_t i = r; i < r + 8; ++i)
        to[c * to_stride + i] = from[i * from_stride + c];
  }
#endif
  for (; r < rows; ++r)
    for (int64_t c = 0; c < columns; ++c)
      to[c * to_stride + r] = from[r * from_stride + c];
}

// Features of a block from `[sample][feature]`; samples that are not there
// become 0.
inline void read_features(const float* from, int64_t stride, int64_t samples,
                          int64_t features, float* to, int block) {
  transpose(from, stride, samples, features, to, block);
  if (samples < block)
    for (int64_t feature = 0; feature < features; ++feature)
      for (int64_t sample = samples; sample < block; ++sample)
        to[feature * block + sample] = 0.0f;
}

inline void write_features(const float* from, int block, int64_t samples,
                           int64_t features, float* to, int64_t stride) {
  transpose(from, block, features, samples, to, stride);
}

}  // namespace

#endif
