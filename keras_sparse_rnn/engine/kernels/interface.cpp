// The functions that Python calls.

#include <string.h>

#include <atomic>

#include "kernel_table.h"
#include "recurrence.h"
#include "threads.h"

namespace {

using ksr::KernelTable;

bool runs(const KernelTable& kernels) {
#ifdef KSR_X86
  if (&kernels == &ksr::kAvx2)
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (&kernels == &ksr::kAvx512)
    return __builtin_cpu_supports("avx512f") &&
           __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif
  return &kernels == &ksr::kPlain;
}

// The best first.
const KernelTable* const kTables[] = {
#ifdef KSR_X86
    &ksr::kAvx512, &ksr::kAvx2,
#endif
    &ksr::kPlain};

const KernelTable* found(const char* name) {
  for (const KernelTable* kernels : kTables)
    if ((!name || !strcmp(name, kernels->name)) && runs(*kernels))
      return kernels;
  return nullptr;
}

std::atomic<const KernelTable*> chosen{nullptr};

const KernelTable& kernels() {
  const KernelTable* table = chosen.load();
  if (!table) {
    table = found(nullptr);
    chosen.store(table);
  }
  return *table;
}

int gates_of(int32_t cell) {
  switch (cell) {
    case KSR_LSTM:
      return 4;
    case KSR_GRU_RESET_AFTER:
    case KSR_GRU_RESET_BEFORE:
      return 3;
    case KSR_SIMPLE_RNN_TANH:
    case KSR_SIMPLE_RNN_RELU:
    case KSR_PRODUCT:
      return 1;
  }
  return 0;
}

int32_t checked(const KsrRecurrence& r) {
  const bool in_range = gates_of(r.cell) && r.batch > 0 && r.steps > 0 &&
                        r.inputs > 0 && r.units > 0 && r.input_copies > 0 &&
                        r.state_copies > 0;
  if (!in_range) return KSR_BAD_SIZE;
  const bool copied = r.input_copies > 1 || r.state_copies > 1;
  // Shared lists know nothing of copies, nor of a product that comes later.
  if (r.tied && (copied || r.cell == KSR_GRU_RESET_BEFORE ||
                 r.cell >= KSR_SIMPLE_RNN_TANH))
    return KSR_BAD_SIZE;
  if (r.cell == KSR_PRODUCT &&
      (r.steps > 1 || copied || r.counts || r.input_dropout ||
       r.recurrent_dropout))
    return KSR_BAD_SIZE;
  return KSR_OK;
}

bool lists_in_range(const KsrLists& lists, int64_t sources) {
  if (lists.starts[0] != 0) return false;
  for (int64_t sum = 0; sum < lists.sums; ++sum) {
    const int32_t begin = lists.starts[sum], end = lists.starts[sum + 1];
    if (end < begin) return false;
    for (int32_t k = begin; k < end; ++k) {
      if (lists.sources[k] < 0 || lists.sources[k] >= sources) return false;
      if (k > begin && lists.sources[k] <= lists.sources[k - 1]) return false;
    }
  }
  const int32_t end = lists.starts[lists.sums];
  for (int k = 0; k < KSR_PADDING; ++k)
    if (lists.sources[end + k] != 0) return false;
  return true;
}

// Whether each number comes once, in its own group.
bool order_in_range(const int32_t* order, int64_t from, int64_t to,
                    int64_t group) {
  for (int64_t begin = from; begin < to; begin += group) {
    const int64_t end = begin + group < to ? begin + group : to;
    for (int64_t i = begin; i < end; ++i) {
      if (order[i] < begin || order[i] >= end) return false;
      for (int64_t j = begin; j < i; ++j)
        if (order[j] == order[i]) return false;
    }
  }
  return true;
}

// Whether the last of a unit's four rows come after all others of their group.
bool candidates_last(const int32_t* order, int64_t rows) {
  constexpr int64_t group = 4 * KSR_GROUP;
  for (int64_t i = 0; i < rows; ++i) {
    const int64_t begin = i - i % group;
    const int64_t size = begin + group < rows ? group : rows - begin;
    if ((order[i] % 4 == 3) != (i - begin >= size / 4 * 3)) return false;
  }
  return true;
}

// Below so many numbers a thread costs more than it brings: numbers from
// anywhere, and numbers in a row.
constexpr int64_t kScattered = 1 << 16;
constexpr int64_t kInARow = 1 << 19;

// Calls a function on ranges that make up `count` together, in threads.
template <typename Function>
void in_parts(int64_t count, int64_t least, int32_t threads,
              Function function) {
  const int64_t worthwhile = count / least;
  ksr::Team team(static_cast<int>(worthwhile < threads ? worthwhile : threads),
                 threads);
  struct Context {
    ksr::Team& team;
    Function& function;
    int64_t count;
  } context{team, function, count};
  team.run(
      [](void* given, int rank) {
        const Context& c = *static_cast<Context*>(given);
        const int size = c.team.size();
        c.function(c.count * rank / size, c.count * (rank + 1) / size);
      },
      &context);
}

}  // namespace

extern "C" {

int32_t ksr_interface_version(void) { return KSR_INTERFACE_VERSION; }

int32_t ksr_has_instruction_set(const char* name) {
  return found(name) != nullptr;
}

int32_t ksr_use_instruction_set(const char* name) {
  const KernelTable* table = found(name);
  if (!table) return KSR_UNKNOWN_INSTRUCTION_SET;
  chosen.store(table);
  return KSR_OK;
}

const char* ksr_instruction_set(void) { return kernels().name; }

int32_t ksr_sizes(const KsrRecurrence* r, KsrSizes* sizes) {
  const int32_t status = checked(*r);
  return status ? status : kernels().sizes(*r, sizes);
}

int32_t ksr_check_connections(const KsrRecurrence* r) {
  KsrSizes sizes;
  const int32_t status = ksr_sizes(r, &sizes);
  if (status) return status;
  const int64_t rows = r->units * sizes.rows_per_unit;
  const int64_t sums = r->tied ? 2 * r->units : rows;
  const int64_t reset = r->cell == KSR_GRU_RESET_BEFORE ? r->units : 0;
  const int64_t direct = sizes.features - reset;
  if (r->rows.sums != sums || r->features.sums != sizes.features ||
      r->rows.starts[sums] != r->features.starts[sizes.features] ||
      !lists_in_range(r->rows, sizes.features) ||
      !lists_in_range(r->features, r->tied ? r->units : rows) ||
      !order_in_range(r->features.order, 0, direct, KSR_GROUP) ||
      !order_in_range(r->features.order, direct, sizes.features, KSR_GROUP) ||
      (!r->tied && !order_in_range(r->rows.order, 0, rows,
                                   KSR_GROUP * sizes.rows_per_unit)) ||
      (reset && !candidates_last(r->rows.order, rows)))
    return KSR_BAD_CONNECTIONS;
  return KSR_OK;
}

int32_t ksr_forward(const KsrRecurrence* r) {
  const int32_t status = checked(*r);
  return status ? status : kernels().forward(*r);
}

int32_t ksr_backward(const KsrRecurrence* r) {
  if (checked(*r) || !r->keeps_steps) return KSR_BAD_SIZE;
  // The gradient of its outputs is all that a product has.
  if (r->cell == KSR_PRODUCT && !r->outputs_gradient) return KSR_BAD_SIZE;
  return kernels().backward(*r);
}

uint64_t ksr_checksum(const void* bytes, int64_t count) {
  // Four sums of their own, so that one does not wait for the other. Each step
  // can be undone, so that a change of one word changes the result.
  constexpr uint64_t kOdd = 0x9e3779b97f4a7c15u;
  uint64_t sums[4] = {1, 2, 3, 4};
  const char* at = static_cast<const char*>(bytes);
  int64_t left = count;
  const auto mix = [&](uint64_t& sum, uint64_t word) {
    sum = (sum ^ word) * kOdd;
    sum ^= sum >> 29;
  };
  for (; left >= 32; left -= 32, at += 32)
    for (int i = 0; i < 4; ++i) {
      uint64_t word;
      memcpy(&word, at + 8 * i, 8);
      mix(sums[i], word);
    }
  for (; left > 0; left -= 8, at += 8) {
    uint64_t word = 0;
    memcpy(&word, at, left < 8 ? left : 8);
    mix(sums[0], word);
  }
  mix(sums[0], static_cast<uint64_t>(count));
  for (int i = 1; i < 4; ++i) mix(sums[0], sums[i]);
  return sums[0];
}

int32_t ksr_gather(const float* first, int64_t first_size, const float* second,
                   int64_t second_size, const int32_t* places, int64_t count,
                   float* weights, int32_t threads) {
  std::atomic<int32_t> status{KSR_OK};
  in_parts(count, kScattered, threads, [&](int64_t begin, int64_t end) {
    for (int64_t k = begin; k < end; ++k) {
      const int64_t place = places[k];
      if (place < 0 || place >= first_size + second_size) {
        status.store(KSR_BAD_CONNECTIONS);
        return;
      }
      weights[k] =
          place < first_size ? first[place] : second[place - first_size];
    }
  });
  return status.load();
}

int32_t ksr_scatter(float* first, int64_t first_size, float* second,
                    int64_t second_size, const int32_t* places, int64_t count,
                    const float* weights, int32_t threads) {
  for (int64_t k = 0; k < count; ++k)
    if (places[k] < 0 || places[k] >= first_size + second_size)
      return KSR_BAD_CONNECTIONS;
  in_parts(first_size, kInARow, threads, [&](int64_t begin, int64_t end) {
    memset(first + begin, 0, sizeof(float) * (end - begin));
  });
  in_parts(second_size, kInARow, threads, [&](int64_t begin, int64_t end) {
    memset(second + begin, 0, sizeof(float) * (end - begin));
  });
  in_parts(count, kScattered, threads, [&](int64_t begin, int64_t end) {
    for (int64_t k = begin; k < end; ++k) {
      const int64_t place = places[k];
      (place < first_size ? first[place] : second[place - first_size]) =
          weights[k];
    }
  });
  return KSR_OK;
}

}  // extern "C"
