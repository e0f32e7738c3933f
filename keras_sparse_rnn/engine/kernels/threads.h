// A team of threads for the length of a call.
//
// Threads are started by each call and joined before it returns: a few tens of
// microseconds, for which nothing outlives a call, so that a process may fork,
// and no pool competes with TensorFlow's.

#ifndef KERAS_SPARSE_RNN_THREADS_H
#define KERAS_SPARSE_RNN_THREADS_H

#include <atomic>
#include <condition_variable>
#include <mutex>

namespace ksr {

// No memory is asked for, so that making one cannot fail.
class Team {
 public:
  // Of `wanted` members, or fewer: all teams of the process together have no
  // more than `limit`, but for the threads that call, of which each works.
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

  const int taken_;
  int size_;
  std::atomic<int> arrived_{0};
  std::atomic<unsigned> round_{0};
  std::atomic<bool> started_{false};
  std::mutex mutex_;
  std::condition_variable changed_;
};

}  // namespace ksr

#endif
