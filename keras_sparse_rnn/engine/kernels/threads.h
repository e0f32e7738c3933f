// A team of threads for the length of a call.
//
// Threads are started by each call and joined before it returns: a few tens of
// microseconds, for which nothing outlives a call, so that a process may fork,
// and no pool competes with TensorFlow's.
//
// Locks are the system's own: what needs no C++ library at run time needs none
// of a certain age either.

#ifndef KERAS_SPARSE_RNN_THREADS_H
#define KERAS_SPARSE_RNN_THREADS_H

#include <pthread.h>

#include <atomic>

namespace ksr {

// No memory is asked for, so that making one and running it cannot fail.
class Team {
 public:
  // Of `wanted` members, or fewer: all teams of the process together have no
  // more than `limit`, but for the threads that call, of which each works. No
  // team has more than `kMost`.
  Team(int wanted, int limit);
  ~Team();
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  int size() const { return size_; }

  // Waits until every member has come here.
  void wait();

  // Calls `task(context, rank)` once for each rank, rank 0 on this thread.
  // Returns when all are done. Where threads cannot be started the team is
  // smaller, and `size()` says so before any task runs.
  void run(void (*task)(void* context, int rank), void* context);

 private:
  struct Start;
  class Lock;
  static constexpr int kMost = 256;

  const int taken_;
  int size_;
  std::atomic<int> arrived_{0};
  std::atomic<unsigned> round_{0};
  std::atomic<bool> started_{false};
  pthread_mutex_t mutex_ = PTHREAD_MUTEX_INITIALIZER;
  pthread_cond_t changed_ = PTHREAD_COND_INITIALIZER;
};

}  // namespace ksr

#endif
