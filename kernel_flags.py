"""How the native kernels are compiled: for `setup.py` and for their tests."""

import platform

ON_X86 = platform.machine().lower() in ("x86_64", "amd64")
FLAGS = [
    "-std=c++17",
    "-O3",
    "-g0",
    "-fvisibility=hidden",
    # Nothing is thrown, and what could catch it is of the C++ library.
    "-fno-exceptions",
    # The same sums on every machine and however work is shared.
    "-ffp-contract=off",
    "-fno-math-errno",
    *(["-DKSR_X86"] if ON_X86 else []),
]
# Which kernels run is chosen on the machine that runs them: no file but these
# may use instructions that not every machine has.
FLAGS_OF_FILE = {"interface.cpp": ["-fvisibility=default"]}
if ON_X86:
    FLAGS_OF_FILE |= {
        "for_avx2.cpp": ["-mavx2", "-mfma"],
        "for_avx512.cpp": [
            *("-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl"),
            *("-mavx2", "-mfma"),
            # GCC 12 takes its own intrinsics for uninitialized.
            "-Wno-maybe-uninitialized",
        ],
    }
