#include "threads.h"

#include <pthread.h>

#include <exception>
#include <thread>
#include <vector>

namespace ksr {
namespace {

// How often a member looks before it sleeps: some ten microseconds, longer
// than members that share a time step wait for each other.
constexpr int kLooks = 1000;

// Members of all teams.
std::atomic<int> working{0};

// Those of other threads' calls are not there in the child of a fork.
[[maybe_unused]] const int at_fork =
    pthread_atfork(nullptr, nullptr, [] { working.store(0); });

// Of those that are wanted, as many as the limit leaves, and the one that asks.
int take(int wanted, int limit) {
  int others = working.load();
  int taken;
  do {
    taken = wanted < limit - others ? wanted : limit - others;
    if (taken < 1) taken = 1;
  } while (!working.compare_exchange_weak(others, others + taken));
  return taken;
}

inline void relax() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace

Team::Team(int wanted, int limit)
    : taken_(take(wanted, limit)), size_(taken_) {}

Team::~Team() { working.fetch_sub(taken_); }

void Team::wait() {
  if (size_ == 1) return;
  const unsigned round = round_.load(std::memory_order_relaxed);
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) == size_ - 1) {
    arrived_.store(0, std::memory_order_relaxed);
    {
      // The lock keeps a member from falling asleep between its last look and
      // this change.
      std::lock_guard<std::mutex> lock(mutex_);
      round_.store(round + 1, std::memory_order_release);
    }
    changed_.notify_all();
    return;
  }
  for (int look = 0; look < kLooks; ++look) {
    if (round_.load(std::memory_order_acquire) != round) return;
    relax();
  }
  std::unique_lock<std::mutex> lock(mutex_);
  changed_.wait(lock, [&] {
    return round_.load(std::memory_order_acquire) != round;
  });
}

void Team::run(void (*task)(void* context, int rank), void* context) {
  if (size_ == 1) {
    task(context, 0);
    return;
  }
  std::vector<std::thread> others;
  try {
    others.reserve(size_ - 1);
    for (int rank = 1; rank < size_; ++rank) {
      others.emplace_back([this, task, context, rank] {
        std::unique_lock<std::mutex> lock(mutex_);
        changed_.wait(lock, [&] { return started_.load(); });
        lock.unlock();
        task(context, rank);
      });
    }
  } catch (const std::exception&) {
    // No thread, or no memory for one. The members there are do the work;
    // results do not depend on how many.
  }
  size_ = static_cast<int>(others.size()) + 1;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    started_.store(true);
  }
  changed_.notify_all();
  task(context, 0);
  for (std::thread& other : others) other.join();
}

}  // namespace ksr
