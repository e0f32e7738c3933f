// Runs the kernels over many shapes and options, to be built with sanitizers.
//
// Links the kernels' own files and speaks to them by their C interface alone.
// Every array is just as long as the interface asks for, and holds NaN where a
// result is to come, so that what is read or left out wrongly shows. Prints the
// instruction sets that were run, or says what went wrong and ends with 1.

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <algorithm>
#include <thread>

#include "cases.h"

namespace {

using exercise::Array;
using exercise::Case;
using exercise::Example;

bool failed = false;

void expect(bool holds, const char* what, const Case& c) {
  if (holds) return;
  failed = true;
  printf("%s: instruction set %s, %s\n", what, ksr_instruction_set(),
         c.text().c_str());
}

// What a forward pass, and a backward pass if steps are kept, give: all of it.
std::vector<float> run(const Example& example, int threads, bool keeps_steps,
                       bool keeps_gates) {
  KsrRecurrence r = example.recurrence();
  r.threads = threads;
  r.keeps_steps = keeps_steps;
  r.keeps_gates = keeps_gates;
  KsrSizes sizes;
  expect(ksr_sizes(&r, &sizes) == KSR_OK, "no sizes", example.of);
  const int64_t states = r.batch * r.units;
  Array<float> outputs(states * r.steps), state(states), carry(states),
      kept(sizes.kept), scratch(sizes.forward_scratch);
  for (Array<float>* each : {&outputs, &state, &carry, &kept, &scratch})
    each->fill(NAN);
  r.outputs = outputs.data();
  r.final_state = state.data();
  r.final_carry = carry.data();
  r.kept = kept.data();
  r.scratch = scratch.data();
  expect(ksr_forward(&r) == KSR_OK, "no forward pass", example.of);
  std::vector<float> all;
  const auto add = [&](const Array<float>& results) {
    all.insert(all.end(), results.begin(), results.end());
  };
  add(outputs);
  if (example.of.has_state()) add(state);
  if (example.has_carry()) add(carry);
  if (!keeps_steps) return all;

  Array<float> again(sizes.backward_scratch), to_sequences(
      r.batch * r.steps * r.inputs), to_state(states), to_carry(states),
      to_weights(sizes.gradient_copies * sizes.connections),
      to_bias(sizes.gradient_copies * sizes.rows_per_unit * r.units);
  for (Array<float>* each :
       {&again, &to_sequences, &to_state, &to_carry, &to_weights, &to_bias})
    each->fill(NAN);
  r.scratch = again.data();
  r.outputs_gradient = example.outputs_gradient.data();
  r.final_state_gradient = example.state_gradient.data();
  r.final_carry_gradient = example.carry_gradient.data();
  r.sequences_gradient = to_sequences.data();
  r.initial_state_gradient = to_state.data();
  r.initial_carry_gradient = to_carry.data();
  r.weights_gradient = to_weights.data();
  r.bias_gradient = to_bias.data();
  expect(ksr_backward(&r) == KSR_OK, "no backward pass", example.of);
  const int64_t count = example.places.size(), first = count / 2;
  Array<float> sums(count), kernel(first), recurrent(count - first);
  sums.fill(0);
  for (int64_t copy = 0; copy < sizes.gradient_copies; ++copy)
    for (int64_t k = 0; k < count; ++k)
      sums[k] += to_weights[copy * sizes.connections + k];
  expect(ksr_scatter(kernel.data(), first, recurrent.data(), count - first,
                     example.places.data(), count, sums.data(),
                     threads) == KSR_OK,
         "gradients not put in place", example.of);
  for (const Array<float>* each :
       {&to_sequences, &to_bias, &kernel, &recurrent})
    add(*each);
  if (example.of.has_state()) add(to_state);
  if (example.has_carry()) add(to_carry);
  return all;
}

bool finite(const std::vector<float>& all) {
  return std::all_of(all.begin(), all.end(),
                     [](float each) { return isfinite(each); });
}

// Whether they are the same bits as far as the shorter goes.
bool same(const std::vector<float>& a, const std::vector<float>& b) {
  const size_t count = std::min(a.size(), b.size());
  return !memcmp(a.data(), b.data(), count * sizeof(float));
}

void check_case(const Case& c) {
  const Example example(c);
  const KsrRecurrence r = example.recurrence();
  expect(ksr_check_connections(&r) == KSR_OK, "good lists refused", c);
  const std::vector<float> alone = run(example, 1, true, true);
  expect(finite(alone), "not finite", c);
  expect(same(run(example, 1, false, true), alone), "steps not kept", c);
  expect(same(run(example, 1, true, false), alone), "gates not kept", c);
  for (int threads : {2, 3})
    expect(same(run(example, threads, true, threads == 2), alone), "threads",
           c);
  expect(same(run(example, 3, false, true), alone), "threads, not kept", c);
}

// As replicas do.
void check_two_at_a_time(const Case& c) {
  const Example example(c);
  const std::vector<float> alone = run(example, 1, true, true);
  std::vector<float> found[2];
  std::thread other([&] { found[1] = run(example, 2, true, true); });
  found[0] = run(example, 2, true, true);
  other.join();
  expect(same(found[0], alone) && same(found[1], alone), "two at a time", c);
}

void check_bad_lists(const Case& c) {
  for (bool features : {false, true}) {
    const auto refused = [&](const char* what, auto spoil) {
      Example example(c);
      spoil(features ? example.features : example.rows);
      const KsrRecurrence r = example.recurrence();
      expect(ksr_check_connections(&r) == KSR_BAD_CONNECTIONS, what, c);
    };
    using Lists = exercise::Lists;
    refused("source below 0", [](Lists& l) { l.sources[0] = -1; });
    refused("source too great",
            [](Lists& l) { l.sources[l.connections() - 1] = 1 << 30; });
    refused("padding", [](Lists& l) { l.sources[l.sources.size() - 1] = 1; });
    refused("source twice", [](Lists& l) {
      const int32_t at = l.first_of_two();
      l.sources[at + 1] = l.sources[at];
    });
    refused("sources not in order", [](Lists& l) {
      const int32_t at = l.first_of_two();
      std::swap(l.sources[at], l.sources[at + 1]);
    });
    refused("start after 0", [](Lists& l) { l.starts[0] = 1; });
    refused("start below 0", [](Lists& l) { l.starts[1] = -1; });
    refused("starts not in order",
            [](Lists& l) { l.starts[1] = l.connections() + 1; });
    refused("a result too few", [](Lists& l) { --l.sums; });
    if (c.tied && !features) continue;  // These have no order.
    refused("order twice", [](Lists& l) { l.order[0] = l.order[1]; });
    refused("order below 0", [](Lists& l) { l.order[0] = -1; });
    refused("order of another group",
            [](Lists& l) { std::swap(l.order[0], l.order[l.sums - 1]); });
  }
}

void check_bad_sizes(const Case& c) {
  const Example example(c);
  const auto refused = [&](const char* what, auto spoil) {
    KsrRecurrence r = example.recurrence();
    spoil(r);
    KsrSizes sizes;
    expect(ksr_sizes(&r, &sizes) == KSR_BAD_SIZE &&
               ksr_check_connections(&r) == KSR_BAD_SIZE &&
               ksr_forward(&r) == KSR_BAD_SIZE &&
               ksr_backward(&r) == KSR_BAD_SIZE,
           what, c);
  };
  using R = KsrRecurrence;
  refused("no such cell", [](R& r) { r.cell = 6; });
  refused("no cell below 0", [](R& r) { r.cell = -1; });
  refused("no samples", [](R& r) { r.batch = 0; });
  refused("no steps", [](R& r) { r.steps = 0; });
  refused("no inputs", [](R& r) { r.inputs = 0; });
  refused("units below 0", [](R& r) { r.units = -1; });
  refused("no copy", [](R& r) { r.state_copies = 0; });
  refused("tied, with copies", [](R& r) { r.tied = r.input_copies = 4; });
  refused("tied, one gate", [](R& r) { r.tied = 1, r.cell = 3; });
  refused("tied, reset before", [](R& r) { r.tied = 1, r.cell = 2; });
  refused("a product over time", [](R& r) { r.cell = 5, r.steps = 2; });
  refused("a product with a mask", [](R& r) {
    static const uint8_t counts[1] = {1};
    r.cell = 5, r.steps = 1, r.counts = counts;
  });
  KsrRecurrence r = example.recurrence();
  expect(ksr_backward(&r) == KSR_BAD_SIZE, "steps were not kept", c);
}

void check_gather(const Case& c) {
  Array<float> first(5), second(4), weights(9);
  first.fill(1);
  second.fill(2);
  Array<int32_t> places(9);
  for (int i = 0; i < 9; ++i) places[i] = 8 - i;
  const auto status = [&] {
    return ksr_gather(first.data(), 5, second.data(), 4, places.data(), 9,
                      weights.data(), 2);
  };
  expect(status() == KSR_OK && weights[3] == 2 && weights[4] == 1, "gather", c);
  for (int bad : {-1, 9}) {
    places[4] = bad;
    expect(status() == KSR_BAD_CONNECTIONS, "bad place gathered", c);
    expect(ksr_scatter(first.data(), 5, second.data(), 4, places.data(), 9,
                       weights.data(), 2) == KSR_BAD_CONNECTIONS,
           "bad place scattered", c);
  }
}

// So many that threads share them, there and back again.
void check_gather_in_threads(const Case& c) {
  const int64_t size = 1 << 21, count = 1 << 18;
  Array<float> first(size), second(size), weights(count), to_first(size),
      to_second(size);
  Array<int32_t> places(count);
  for (int64_t k = 0; k < count; ++k) {
    places[k] = (k * 7919 + 1) % (2 * size);
    (places[k] < size ? first[places[k]] : second[places[k] - size]) = k + 1.0f;
  }
  const auto gather = [&](int threads) {
    return ksr_gather(first.data(), size, second.data(), size, places.data(),
                      count, weights.data(), threads);
  };
  const auto scatter = [&](int threads) {
    return ksr_scatter(to_first.data(), size, to_second.data(), size,
                       places.data(), count, weights.data(), threads);
  };
  for (int threads : {0, 1, 3}) {
    for (Array<float>* each : {&weights, &to_first, &to_second})
      each->fill(NAN);
    expect(gather(threads) == KSR_OK && scatter(threads) == KSR_OK &&
               std::equal(first.begin(), first.end(), to_first.begin()) &&
               std::equal(second.begin(), second.end(), to_second.begin()),
           "gathered and scattered", c);
  }
  for (int64_t at : {int64_t{0}, count / 2, count - 1}) {
    const int32_t place = places[at];
    places[at] = 2 * size;
    expect(gather(3) == KSR_BAD_CONNECTIONS &&
               scatter(3) == KSR_BAD_CONNECTIONS,
           "bad place in threads", c);
    places[at] = place;
  }
}

void check_checksum(const Case& c) {
  for (int count = 0; count < 70; ++count) {
    Array<char> bytes(count);
    for (char& byte : bytes) byte = 1;
    const uint64_t before = ksr_checksum(bytes.data(), count);
    for (char& byte : bytes) {
      byte = 0;
      expect(ksr_checksum(bytes.data(), count) != before, "checksum", c);
      byte = 1;
    }
  }
}

void check_all() {
  for (const Case& c : exercise::cases()) check_case(c);
  for (const Case& c : exercise::one_of_each_cell()) {
    check_bad_lists(c);
    check_two_at_a_time(c);
  }
}

}  // namespace

int main() {
  const Case some = exercise::one_of_each_cell()[0];
  expect(ksr_interface_version() == KSR_INTERFACE_VERSION, "version", some);
  expect(ksr_use_instruction_set("none") == KSR_UNKNOWN_INSTRUCTION_SET &&
             !ksr_has_instruction_set("none"),
         "unknown instruction set", some);
  check_bad_sizes(some);
  check_gather(some);
  check_gather_in_threads(some);
  check_checksum(some);
  for (const char* name : {"avx512", "avx2", "plain"}) {
    if (!ksr_has_instruction_set(name)) continue;
    expect(ksr_use_instruction_set(name) == KSR_OK &&
               !strcmp(ksr_instruction_set(), name),
           "instruction set not used", some);
    check_all();
    printf("%s\n", name);
  }
  return failed;
}
