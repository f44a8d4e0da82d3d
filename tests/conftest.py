"""One thread a process, for the tests and for the programs they start.

Some tests fork; a forked child whose parent has a pool of OpenMP threads waits for them for ever. Small tensors gain
nothing from a second thread anyway.
"""

import os

from hypothesis import settings

for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"
# One instruction path on every processor: golden numbers must not depend on who made the chip that reads them.
os.environ.setdefault("MKL_CBWR", "COMPATIBLE")
# A machine that does something else meanwhile is slow, and no test's fault.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
