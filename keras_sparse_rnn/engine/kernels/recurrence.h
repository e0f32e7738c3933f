// The C interface of the kernels: plain structures and functions, so that one
// binary serves every Python, NumPy and TensorFlow.
//
// A recurrence is computed in blocks of samples. In each block everything is
// feature-major, `[time step][feature][sample]`, so that one connection is one
// multiply-add of a vector of samples. The features of a time step are those
// that a connection can come from: the inputs, then the state before the step,
// each as many times as there are dropout masks for it, and for a GRU that
// resets before the product the reset state; of a product the inputs alone. A
// row is one sum of connections: `rows_per_unit` of them make a unit, and those
// of a unit lie together.

#ifndef KERAS_SPARSE_RNN_RECURRENCE_H
#define KERAS_SPARSE_RNN_RECURRENCE_H

#include <stdint.h>

#define KSR_INTERFACE_VERSION 5

// Index lists are read a little beyond their end, in vectors.
#define KSR_PADDING 16

// Units that are computed together; lists are ordered within these groups.
#define KSR_GROUP 16

#ifdef __cplusplus
extern "C" {
#endif

enum KsrCell {
  KSR_LSTM = 0,              // rows i, f, c, o
  KSR_GRU_RESET_AFTER = 1,   // rows z, r, h from inputs, h from the state
  KSR_GRU_RESET_BEFORE = 2,  // rows z, r, h from inputs, h from reset state
  KSR_SIMPLE_RNN_TANH = 3,
  KSR_SIMPLE_RNN_RELU = 4,
  // Inputs times weights plus bias: one time step, no state, no dropout.
  KSR_PRODUCT = 5,
};

enum KsrStatus {
  KSR_OK = 0,
  KSR_BAD_SIZE = 1,
  KSR_BAD_CONNECTIONS = 2,
  KSR_UNKNOWN_INSTRUCTION_SET = 3,
};

// Sums over connections: for each of `sums` results a list of sources.
// `order` gives, group by group, which result is computed when: those with as
// many connections follow each other, so that branches are foreseen.
struct KsrLists {
  int64_t sums;
  const int32_t* starts;   // [sums + 1]
  const int32_t* sources;  // [starts[sums] + KSR_PADDING]
  const float* weights;    // [starts[sums] * weights per connection]
  const int32_t* order;    // [sums]
};

struct KsrRecurrence {
  int32_t cell;
  int32_t threads;
  int32_t backwards;    // Whether time runs from the last step to the first.
  int32_t keeps_steps;  // Whether a backward pass is to follow.
  int32_t keeps_gates;  // Whether it finds the gates, or computes them again.
  // Whether the connections of a unit are those of all its gates. Lists are
  // then of units, inputs (sum 2u) and state (sum 2u + 1) apart.
  int32_t tied;
  int64_t batch, steps, inputs, units;
  int64_t input_copies, state_copies;  // How many dropout masks, at least 1.

  struct KsrLists rows;      // Of each row: from which features.
  struct KsrLists features;  // Of each feature: to which rows, or units.
  const float* bias;         // [rows of all units]

  const float* sequences;          // [batch, steps, inputs]
  const uint8_t* counts;           // [batch, steps]: which steps count, or null
  const float* input_dropout;      // [input_copies, batch, inputs] or null
  const float* recurrent_dropout;  // [state_copies, batch, units] or null
  const float* initial_state;      // [batch, units]
  const float* initial_carry;      // [batch, units], LSTM only

  float* outputs;      // [batch, steps, units] or null
  float* final_state;  // [batch, units]
  float* final_carry;  // [batch, units], LSTM only
  float* kept;         // As many floats as `KsrSizes` says
  float* scratch;

  // Of the backward pass only.
  const float* outputs_gradient;      // [batch, steps, units] or null
  const float* final_state_gradient;  // [batch, units]
  const float* final_carry_gradient;  // [batch, units], LSTM only
  float* sequences_gradient;          // [batch, steps, inputs]
  float* initial_state_gradient;      // [batch, units]
  float* initial_carry_gradient;      // [batch, units], LSTM only
  float* weights_gradient;  // [gradient_copies, connections + padding]
  float* bias_gradient;     // [gradient_copies, rows of all units]
};

struct KsrSizes {
  int64_t rows_per_unit;    // Rows that make a unit.
  int64_t features;         // Features of a time step.
  int64_t connections;      // Weights in a gradient copy, with padding.
  int64_t gradient_copies;  // Blocks that sum their gradients apart.
  int64_t kept;             // Floats.
  int64_t forward_scratch;  // Floats.
  int64_t backward_scratch; // Floats.
};

int32_t ksr_interface_version(void);

// Chooses the kernels: "avx512", "avx2" or "plain", or the best for null.
int32_t ksr_use_instruction_set(const char* name);
const char* ksr_instruction_set(void);
int32_t ksr_has_instruction_set(const char* name);

int32_t ksr_sizes(const struct KsrRecurrence* recurrence,
                  struct KsrSizes* sizes);

// Whether all lists are in range; to be asked when they are new.
int32_t ksr_check_connections(const struct KsrRecurrence* recurrence);

int32_t ksr_forward(const struct KsrRecurrence* recurrence);
int32_t ksr_backward(const struct KsrRecurrence* recurrence);

// A number that changes with any byte.
uint64_t ksr_checksum(const void* bytes, int64_t count);

// Collects weights from the places of two matrices that lie one after the
// other in counting.
int32_t ksr_gather(const float* first, int64_t first_size, const float* second,
                   int64_t second_size, const int32_t* places, int64_t count,
                   float* weights, int32_t threads);

// Puts weights at places, each of which comes once, and 0 everywhere else.
int32_t ksr_scatter(float* first, int64_t first_size, float* second,
                    int64_t second_size, const int32_t* places, int64_t count,
                    const float* weights, int32_t threads);

#ifdef __cplusplus
}
#endif

#endif
