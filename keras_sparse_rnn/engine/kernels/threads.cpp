#include "threads.h"

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace ksr {
namespace {

// How often a member looks before it sleeps: some ten microseconds, longer
// than members that share a time step wait for each other.
constexpr int kLooks = 4000;

inline void relax() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace

struct Team::State {
  std::atomic<int> arrived{0};
  std::atomic<unsigned> round{0};
  std::atomic<int> started{0};  // 0: not yet, 1: go, -1: there is no task.
  std::mutex mutex;
  std::condition_variable changed;
};

Team::Team(int size) : state_(new State), size_(size < 1 ? 1 : size) {}

Team::~Team() { delete state_; }

void Team::wait() {
  if (size_ == 1) return;
  State& state = *state_;
  const unsigned round = state.round.load(std::memory_order_relaxed);
  if (state.arrived.fetch_add(1, std::memory_order_acq_rel) == size_ - 1) {
    state.arrived.store(0, std::memory_order_relaxed);
    {
      // The lock keeps a member from falling asleep between its last look and
      // this change.
      std::lock_guard<std::mutex> lock(state.mutex);
      state.round.store(round + 1, std::memory_order_release);
    }
    state.changed.notify_all();
    return;
  }
  for (int look = 0; look < kLooks; ++look) {
    if (state.round.load(std::memory_order_acquire) != round) return;
    relax();
  }
  std::unique_lock<std::mutex> lock(state.mutex);
  state.changed.wait(lock, [&] {
    return state.round.load(std::memory_order_acquire) != round;
  });
}

void Team::run(void (*task)(void* context, int rank), void* context) {
  if (size_ == 1) {
    task(context, 0);
    return;
  }
  State& state = *state_;
  std::vector<std::thread> others;
  try {
    others.reserve(size_ - 1);
    for (int rank = 1; rank < size_; ++rank) {
      others.emplace_back([&state, task, context, rank] {
        std::unique_lock<std::mutex> lock(state.mutex);
        state.changed.wait(lock, [&] { return state.started.load() != 0; });
        lock.unlock();
        task(context, rank);
      });
    }
  } catch (const std::system_error&) {
    // The members there are do the work; results do not depend on how many.
  }
  size_ = static_cast<int>(others.size()) + 1;
  {
    std::lock_guard<std::mutex> lock(state.mutex);
    state.started.store(1);
  }
  state.changed.notify_all();
  task(context, 0);
  for (std::thread& other : others) other.join();
}

}  // namespace ksr
