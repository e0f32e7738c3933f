#include "threads.h"

#if defined(__GLIBC__)
#include <sched.h>
#endif

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

// Holds a team's lock as long as it lives.
class Team::Lock {
 public:
  explicit Lock(Team& team) : team_(team) { pthread_mutex_lock(&team.mutex_); }
  ~Lock() { pthread_mutex_unlock(&team_.mutex_); }
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;

  // Sleeps, without the lock, until the team has changed so that it holds.
  template <typename Condition>
  void sleep_until(Condition holds) {
    while (!holds()) pthread_cond_wait(&team_.changed_, &team_.mutex_);
  }

 private:
  Team& team_;
};

// What a thread of a team is told.
struct Team::Start {
  Team* team;
  const Placement* placement;
  void (*task)(void* context, int rank);
  void* context;
  int rank;
  pthread_t thread;

  static void* run(void* given) {
    const Start& start = *static_cast<Start*>(given);
    Team& team = *start.team;
    start.placement->release();
    Lock(team).sleep_until([&] { return team.started_.load(); });
    start.task(start.context, start.rank);
    return nullptr;
  }
};

Team::Team(int wanted, int limit)
    : taken_(take(wanted < kMost ? wanted : kMost, limit)), size_(taken_) {}

Team::~Team() {
  working.fetch_sub(taken_);
  pthread_cond_destroy(&changed_);
  pthread_mutex_destroy(&mutex_);
}

void Team::wait() {
  if (size_ == 1) return;
  const unsigned round = round_.load(std::memory_order_relaxed);
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) == size_ - 1) {
    arrived_.store(0, std::memory_order_relaxed);
    {
      // The lock keeps a member from falling asleep between its last look and
      // this change.
      const Lock lock(*this);
      round_.store(round + 1, std::memory_order_release);
    }
    pthread_cond_broadcast(&changed_);
    return;
  }
  for (int look = 0; look < kLooks; ++look) {
    if (round_.load(std::memory_order_acquire) != round) return;
    relax();
  }
  Lock(*this).sleep_until(
      [&] { return round_.load(std::memory_order_acquire) != round; });
}

void Team::run(void (*task)(void* context, int rank), void* context) {
  if (size_ == 1) {
    task(context, 0);
    return;
  }
  const Placement placement;
  Start starts[kMost - 1];
  int others = 0;
  while (others < size_ - 1) {
    Start& start = starts[others];
    start = {this, &placement, task, context, others + 1, pthread_t()};
    if (pthread_create(&start.thread, placement.attributes(), Start::run,
                       &start))
      break;
    ++others;
  }
  // The members there are do the work; results do not depend on how many.
  size_ = others + 1;
  {
    const Lock lock(*this);
    started_.store(true);
  }
  pthread_cond_broadcast(&changed_);
  task(context, 0);
  for (int each = 0; each < others; ++each)
    pthread_join(starts[each].thread, nullptr);
}

}  // namespace ksr
