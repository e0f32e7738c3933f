// AVX-512: F, BW, DQ and VL.

#include "kernel_table.h"

#ifdef KSR_X86
#include "batch.h"

namespace {

// How many samples lie side by side in a block, by the batch's size.
template <typename Action>
int32_t with_block(const KsrRecurrence& r, Action action) {
  if (r.batch == 1) return act<One, 1>(r, action);
  if (r.batch <= 16) return act<Sixteen, 1>(r, action);
  return act<Sixteen, 2>(r, action);
}

int32_t sizes(const KsrRecurrence& r, KsrSizes* sizes) {
  return with_block(r, Sizes{sizes});
}
int32_t forward(const KsrRecurrence& r) { return with_block(r, Forward{}); }
int32_t backward(const KsrRecurrence& r) { return with_block(r, Backward{}); }

}  // namespace

const ksr::KernelTable ksr::kAvx512 = {"avx512", sizes, forward, backward};

#endif
