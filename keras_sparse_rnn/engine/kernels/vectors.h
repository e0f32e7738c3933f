// Vectors of samples: the same few operations for every instruction set.
//
// Everything in these headers is in an unnamed namespace. The same source is
// compiled once for each instruction set, and a linker that merged two such
// copies would let a machine run instructions that it does not have. For the
// same reason templates of the standard library are not used here.

#ifndef KERAS_SPARSE_RNN_VECTORS_H
#define KERAS_SPARSE_RNN_VECTORS_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace {

// One sample: for a batch of one, where a wider vector would be empty.
struct One {
  static constexpr int width = 1;
  float v;

  static One load(const float* p) { return {*p}; }
  static One all(float value) { return {value}; }
  void store(float* p) const { *p = v; }
  void stream(float* p) const { store(p); }
};

inline One operator+(One a, One b) { return {a.v + b.v}; }
inline One operator-(One a, One b) { return {a.v - b.v}; }
inline One operator*(One a, One b) { return {a.v * b.v}; }
inline One multiply_add(One a, One b, One c) {
#if defined(__FMA__)
  // An instruction here, and not a call of the C library.
  return {__builtin_fmaf(a.v, b.v, c.v)};
#else
  return {a.v * b.v + c.v};
#endif
}
inline One reciprocal(One a) { return {1.0f / a.v}; }
// As the vector instructions: of two numbers one of which is none, the second.
inline One smaller(One a, One b) { return {a.v < b.v ? a.v : b.v}; }
inline One greater(One a, One b) { return {a.v > b.v ? a.v : b.v}; }
inline One where_nonzero(One condition, One a, One b) {
  return condition.v != 0.0f ? a : b;
}
inline One where_positive(One condition, One a) {
  return condition.v > 0.0f ? a : One{0.0f};
}
inline One nearest(One a) {
  // Adding and taking away 1.5 * 2^23 rounds to an integer.
  return {(a.v + 12582912.0f) - 12582912.0f};
}
// 2^n for integers n between -126 and 127.
inline One power_of_two(One n) {
  const bool is_number = n.v > -127.0f && n.v < 128.0f;
  const int32_t bits = ((is_number ? static_cast<int32_t>(n.v) : 0) + 127)
                       << 23;
  float value;
  memcpy(&value, &bits, sizeof value);
  return {value};
}
inline float sum(One a) { return a.v; }

// Four samples in plain C++, which compilers turn into whatever there is.
struct Four {
  static constexpr int width = 4;
  float v[4];

  static Four load(const float* p) {
    Four a;
    for (int i = 0; i < 4; ++i) a.v[i] = p[i];
    return a;
  }
  static Four all(float value) { return {{value, value, value, value}}; }
  void store(float* p) const {
    for (int i = 0; i < 4; ++i) p[i] = v[i];
  }
  void stream(float* p) const { store(p); }
};

template <typename Function>
inline Four each(Function function) {
  Four result;
  for (int i = 0; i < 4; ++i) result.v[i] = function(i);
  return result;
}
inline Four operator+(Four a, Four b) {
  return each([&](int i) { return a.v[i] + b.v[i]; });
}
inline Four operator-(Four a, Four b) {
  return each([&](int i) { return a.v[i] - b.v[i]; });
}
inline Four operator*(Four a, Four b) {
  return each([&](int i) { return a.v[i] * b.v[i]; });
}
inline Four multiply_add(Four a, Four b, Four c) {
  return each([&](int i) { return a.v[i] * b.v[i] + c.v[i]; });
}
inline Four reciprocal(Four a) {
  return each([&](int i) { return 1.0f / a.v[i]; });
}
inline Four smaller(Four a, Four b) {
  return each([&](int i) { return a.v[i] < b.v[i] ? a.v[i] : b.v[i]; });
}
inline Four greater(Four a, Four b) {
  return each([&](int i) { return a.v[i] > b.v[i] ? a.v[i] : b.v[i]; });
}
inline Four where_nonzero(Four condition, Four a, Four b) {
  return each([&](int i) { return condition.v[i] != 0.0f ? a.v[i] : b.v[i]; });
}
inline Four where_positive(Four condition, Four a) {
  return each([&](int i) { return condition.v[i] > 0.0f ? a.v[i] : 0.0f; });
}
inline Four nearest(Four a) {
  return each([&](int i) { return nearest(One{a.v[i]}).v; });
}
inline Four power_of_two(Four n) {
  return each([&](int i) { return power_of_two(One{n.v[i]}).v; });
}
inline float sum(Four a) { return (a.v[0] + a.v[2]) + (a.v[1] + a.v[3]); }

// To be called before other threads read what was streamed.
inline void end_stream() {
#if defined(__AVX2__)
  _mm_sfence();
#endif
}

// Adds the sums of four vectors to `count` of the four places at `sums`.
template <typename Vector>
inline void add_sums(const Vector (&of)[4], float* sums, int count) {
  for (int i = 0; i < count; ++i) sums[i] += sum(of[i]);
}

#if defined(__AVX2__)
struct Eight {
  static constexpr int width = 8;
  __m256 v;

  static Eight load(const float* p) { return {_mm256_loadu_ps(p)}; }
  static Eight all(float value) { return {_mm256_set1_ps(value)}; }
  void store(float* p) const { _mm256_storeu_ps(p, v); }
  // Past the cache, to an aligned address.
  void stream(float* p) const { _mm256_stream_ps(p, v); }
};

inline Eight operator+(Eight a, Eight b) { return {_mm256_add_ps(a.v, b.v)}; }
inline Eight operator-(Eight a, Eight b) { return {_mm256_sub_ps(a.v, b.v)}; }
inline Eight operator*(Eight a, Eight b) { return {_mm256_mul_ps(a.v, b.v)}; }
inline Eight multiply_add(Eight a, Eight b, Eight c) {
  return {_mm256_fmadd_ps(a.v, b.v, c.v)};
}
inline Eight reciprocal(Eight a) {
  return {_mm256_div_ps(_mm256_set1_ps(1.0f), a.v)};
}
inline Eight smaller(Eight a, Eight b) { return {_mm256_min_ps(a.v, b.v)}; }
inline Eight greater(Eight a, Eight b) { return {_mm256_max_ps(a.v, b.v)}; }
inline Eight where_nonzero(Eight condition, Eight a, Eight b) {
  const __m256 zero =
      _mm256_cmp_ps(condition.v, _mm256_setzero_ps(), _CMP_EQ_OQ);
  return {_mm256_blendv_ps(a.v, b.v, zero)};
}
inline Eight where_positive(Eight condition, Eight a) {
  return {_mm256_and_ps(
      a.v, _mm256_cmp_ps(condition.v, _mm256_setzero_ps(), _CMP_GT_OQ))};
}
inline Eight nearest(Eight a) {
  return {_mm256_round_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
}
inline Eight power_of_two(Eight n) {
  const __m256i exponent =
      _mm256_add_epi32(_mm256_cvtps_epi32(n.v), _mm256_set1_epi32(127));
  return {_mm256_castsi256_ps(_mm256_slli_epi32(exponent, 23))};
}
inline __m128 halves_added(Eight a) {
  return _mm_add_ps(_mm256_castps256_ps128(a.v),
                    _mm256_extractf128_ps(a.v, 1));
}
inline float sum(Eight a) {
  __m128 s = halves_added(a);
  s = _mm_add_ps(s, _mm_movehl_ps(s, s));
  return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}

// The sums of four vectors of four.
inline __m128 sums_of(__m128 a, __m128 b, __m128 c, __m128 d) {
  const __m128 ab =
      _mm_add_ps(_mm_unpacklo_ps(a, b), _mm_unpackhi_ps(a, b));
  const __m128 cd =
      _mm_add_ps(_mm_unpacklo_ps(c, d), _mm_unpackhi_ps(c, d));
  return _mm_add_ps(_mm_movelh_ps(ab, cd), _mm_movehl_ps(cd, ab));
}
inline void add_four(__m128 added, float* sums, int count) {
  if (count == 4) {
    _mm_storeu_ps(sums, _mm_add_ps(_mm_loadu_ps(sums), added));
    return;
  }
  alignas(16) float each_sum[4];
  _mm_store_ps(each_sum, added);
  for (int i = 0; i < count; ++i) sums[i] += each_sum[i];
}
inline void add_sums(const Eight (&of)[4], float* sums, int count) {
  add_four(sums_of(halves_added(of[0]), halves_added(of[1]),
                   halves_added(of[2]), halves_added(of[3])),
           sums, count);
}
#endif

#if defined(__AVX512F__)
struct Sixteen {
  static constexpr int width = 16;
  __m512 v;

  static Sixteen load(const float* p) { return {_mm512_loadu_ps(p)}; }
  static Sixteen all(float value) { return {_mm512_set1_ps(value)}; }
  void store(float* p) const { _mm512_storeu_ps(p, v); }
  void stream(float* p) const { _mm512_stream_ps(p, v); }
};

inline Sixteen operator+(Sixteen a, Sixteen b) {
  return {_mm512_add_ps(a.v, b.v)};
}
inline Sixteen operator-(Sixteen a, Sixteen b) {
  return {_mm512_sub_ps(a.v, b.v)};
}
inline Sixteen operator*(Sixteen a, Sixteen b) {
  return {_mm512_mul_ps(a.v, b.v)};
}
inline Sixteen multiply_add(Sixteen a, Sixteen b, Sixteen c) {
  return {_mm512_fmadd_ps(a.v, b.v, c.v)};
}
// An estimate of 14 bits and one step of Newton's method. For what `a` is
// here, between 1 and 1e38, no step overflows.
inline Sixteen reciprocal(Sixteen a) {
  const __m512 estimate = _mm512_rcp14_ps(a.v);
  const __m512 error =
      _mm512_fnmadd_ps(a.v, estimate, _mm512_set1_ps(1.0f));
  return {_mm512_fmadd_ps(estimate, error, estimate)};
}
inline Sixteen smaller(Sixteen a, Sixteen b) {
  return {_mm512_min_ps(a.v, b.v)};
}
inline Sixteen greater(Sixteen a, Sixteen b) {
  return {_mm512_max_ps(a.v, b.v)};
}
inline Sixteen where_nonzero(Sixteen condition, Sixteen a, Sixteen b) {
  const __mmask16 zero =
      _mm512_cmp_ps_mask(condition.v, _mm512_setzero_ps(), _CMP_EQ_OQ);
  return {_mm512_mask_blend_ps(zero, a.v, b.v)};
}
inline Sixteen where_positive(Sixteen condition, Sixteen a) {
  return {_mm512_maskz_mov_ps(
      _mm512_cmp_ps_mask(condition.v, _mm512_setzero_ps(), _CMP_GT_OQ), a.v)};
}
inline Sixteen nearest(Sixteen a) {
  return {_mm512_roundscale_ps(
      a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
}
inline Sixteen power_of_two(Sixteen n) {
  const __m512i exponent =
      _mm512_add_epi32(_mm512_cvtps_epi32(n.v), _mm512_set1_epi32(127));
  return {_mm512_castsi512_ps(_mm512_slli_epi32(exponent, 23))};
}
inline Eight halves_added(Sixteen a) {
  return {_mm256_add_ps(_mm512_castps512_ps256(a.v),
                        _mm512_extractf32x8_ps(a.v, 1))};
}
inline float sum(Sixteen a) { return sum(halves_added(a)); }
inline void add_sums(const Sixteen (&of)[4], float* sums, int count) {
  // Two and two of the vectors share the first steps.
  const __m512 ab = _mm512_add_ps(_mm512_unpacklo_ps(of[0].v, of[1].v),
                                  _mm512_unpackhi_ps(of[0].v, of[1].v));
  const __m512 cd = _mm512_add_ps(_mm512_unpacklo_ps(of[2].v, of[3].v),
                                  _mm512_unpackhi_ps(of[2].v, of[3].v));
  const __m512 all = _mm512_add_ps(_mm512_shuffle_ps(ab, cd, 0x44),
                                   _mm512_shuffle_ps(ab, cd, 0xee));
  add_four(halves_added(halves_added(Sixteen{all})), sums, count);
}
#endif

}  // namespace

#endif
