"""One thread a process, for the tests and for the programs they start.

Some tests fork; a forked child whose parent has a pool of OpenMP threads waits for them for ever. Small tensors gain
nothing from a second thread anyway.
"""

import os

for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"
