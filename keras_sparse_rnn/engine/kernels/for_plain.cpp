// Any machine.

#include "batch.h"

namespace {

// How many samples lie side by side in a block, by the batch's size.
template <typename Action>
int32_t with_block(const KsrRecurrence& r, Action action) {
  if (r.batch == 1) return act<One, 1>(r, action);
  if (r.batch <= 8) return act<Four, 2>(r, action);
  return act<Four, 4>(r, action);
}

int32_t sizes(const KsrRecurrence& r, KsrSizes* sizes) {
  return with_block(r, Sizes{sizes});
}
int32_t forward(const KsrRecurrence& r) { return with_block(r, Forward{}); }
int32_t backward(const KsrRecurrence& r) { return with_block(r, Backward{}); }

}  // namespace

const ksr::KernelTable ksr::kPlain = {"plain", sizes, forward, backward};
