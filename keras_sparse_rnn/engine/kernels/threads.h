// A team of threads for the length of a call.
//
// Threads are started by each call and joined before it returns: a few tens of
// microseconds, for which nothing outlives a call, so that a process may fork,
// and no pool competes with TensorFlow's.

#ifndef KERAS_SPARSE_RNN_THREADS_H
#define KERAS_SPARSE_RNN_THREADS_H

#include <stdint.h>

namespace ksr {

class Team {
 public:
  explicit Team(int size);
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
  struct State;
  State* state_;
  int size_;
};

}  // namespace ksr

#endif
