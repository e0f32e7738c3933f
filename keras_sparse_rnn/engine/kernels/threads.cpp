#include "threads.h"

#include <pthread.h>
#if defined(__GLIBC__)
#include <sched.h>
#endif

#include <exception>
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

// Where new threads run first: anywhere but on the core of the thread that
// starts them, which goes on working there. Left to itself Linux may make them
// wait behind it for milliseconds, though another core is idle.
class Placement {
 public:
  Placement() {
#if defined(__GLIBC__)
    const int here = sched_getcpu();
    if (here < 0 || sched_getaffinity(0, sizeof allowed_, &allowed_)) return;
    cpu_set_t elsewhere = allowed_;
    CPU_CLR(here, &elsewhere);
    if (!CPU_COUNT(&elsewhere) || pthread_attr_init(&attributes_)) return;
    chosen_ =
        !pthread_attr_setaffinity_np(&attributes_, sizeof elsewhere, &elsewhere);
    if (!chosen_) pthread_attr_destroy(&attributes_);
#endif
  }
  ~Placement() {
    if (chosen_) pthread_attr_destroy(&attributes_);
  }
  Placement(const Placement&) = delete;
  Placement& operator=(const Placement&) = delete;

  const pthread_attr_t* attributes() const {
    return chosen_ ? &attributes_ : nullptr;
  }

  // To be called by a thread that has started: from now on it may be moved.
  void release() const {
#if defined(__GLIBC__)
    if (chosen_) sched_setaffinity(0, sizeof allowed_, &allowed_);
#endif
  }

 private:
  bool chosen_ = false;
  pthread_attr_t attributes_;
#if defined(__GLIBC__)
  cpu_set_t allowed_;
#endif
};

}  // namespace

// What a thread of a team is told.
struct Team::Start {
  Team* team;
  const Placement* placement;
  void (*task)(void* context, int rank);
  void* context;
  int rank;

  static void* run(void* given) {
    const Start& start = *static_cast<Start*>(given);
    Team& team = *start.team;
    start.placement->release();
    std::unique_lock<std::mutex> lock(team.mutex_);
    team.changed_.wait(lock, [&] { return team.started_.load(); });
    lock.unlock();
    start.task(start.context, start.rank);
    return nullptr;
  }
};

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
  const Placement placement;
  std::vector<Start> starts;
  std::vector<pthread_t> others;
  try {
    starts.reserve(size_ - 1);
    others.reserve(size_ - 1);
  } catch (const std::exception&) {
    // No memory. The members there are do the work; results do not depend on
    // how many.
    size_ = 1;
  }
  for (int rank = 1; rank < size_; ++rank) {
    starts.push_back({this, &placement, task, context, rank});
    pthread_t thread;
    if (pthread_create(&thread, placement.attributes(), Start::run,
                       &starts.back()))
      break;
    others.push_back(thread);
  }
  size_ = static_cast<int>(others.size()) + 1;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    started_.store(true);
  }
  changed_.notify_all();
  task(context, 0);
  for (pthread_t other : others) pthread_join(other, nullptr);
}

}  // namespace ksr
