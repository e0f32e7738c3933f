// The kernels of one instruction set.

#ifndef KERAS_SPARSE_RNN_KERNEL_TABLE_H
#define KERAS_SPARSE_RNN_KERNEL_TABLE_H

#include "recurrence.h"

namespace ksr {

struct KernelTable {
  const char* name;
  int32_t (*sizes)(const KsrRecurrence&, KsrSizes*);
  int32_t (*forward)(const KsrRecurrence&);
  int32_t (*backward)(const KsrRecurrence&);
};

extern const KernelTable kPlain;
#ifdef KSR_X86
extern const KernelTable kAvx2;
extern const KernelTable kAvx512;
#endif

}  // namespace ksr

#endif
