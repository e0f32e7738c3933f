// The logistic function and the hyperbolic tangent, to float precision.

#ifndef KERAS_SPARSE_RNN_ACTIVATIONS_H
#define KERAS_SPARSE_RNN_ACTIVATIONS_H

#include "vectors.h"

namespace {

// e^x = 2^n (1 + p) with an integer n and |p| < 0.42: x = n ln 2 + r, and p is
// the Taylor series of e^r - 1, whose first omitted term is below 1.5e-8 r.
// `p` keeps its relative precision near 0. `x` is between -87 and 87.
template <typename Vector>
inline void exponential(Vector x, Vector* power, Vector* p) {
  const Vector n = nearest(x * Vector::all(1.44269504f));
  // ln 2 in two parts, of which the first times n is exact.
  Vector r = multiply_add(n, Vector::all(-0.693145752f), x);
  r = multiply_add(n, Vector::all(-1.42860677e-6f), r);
  Vector series = Vector::all(1.0f / 5040);
  series = multiply_add(series, r, Vector::all(1.0f / 720));
  series = multiply_add(series, r, Vector::all(1.0f / 120));
  series = multiply_add(series, r, Vector::all(1.0f / 24));
  series = multiply_add(series, r, Vector::all(1.0f / 6));
  series = multiply_add(series, r, Vector::all(0.5f));
  *p = multiply_add(series, r * r, r);
  *power = power_of_two(n);
}

// Limits come first: what is no number then stays none.
template <typename Vector>
inline Vector limited(Vector x, float limit) {
  return smaller(Vector::all(limit), greater(Vector::all(-limit), x));
}

// 1 / (1 + e^-x)
template <typename Vector>
inline Vector sigmoid(Vector x) {
  Vector power, p;
  exponential(limited(Vector::all(0.0f) - x, 87.0f), &power, &p);
  const Vector e = multiply_add(power, p, power);
  return reciprocal(Vector::all(1.0f) + e);
}

// (e^2x - 1) / (e^2x + 1); beyond 9 it is 1 in float precision.
template <typename Vector>
inline Vector hyperbolic_tangent(Vector x) {
  Vector power, p;
  const Vector y = limited(x, 9.5f);
  exponential(y + y, &power, &p);
  const Vector e = multiply_add(power, p, power - Vector::all(1.0f));
  return e * reciprocal(e + Vector::all(2.0f));
}

}  // namespace

#endif
