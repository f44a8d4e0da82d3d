"""How long the threads of one computation spin while they wait for each other.

Spinning is quickest on an idle machine. Beside other busy processes the thread they wait for may not be running, and the
spinning takes the processor from it. Seconds an update of the built-in models, on two cores, idle and beside two busy
processes, one run each: OpenMP's own default .138, and 8 updates did not end within 90 s; spinning 10,000 turns and then
sleeping, as here, .167 and .326; always sleeping .412 and .362; one thread .157 and .280.
"""

import os

SPINS = 10_000
_NAME = "GOMP_SPINCOUNT"
_SAID_OTHERWISE = (_NAME, "OMP_WAIT_POLICY")


def spin_briefly() -> None:
    """Limit the spinning, unless the user says something of it; call it before torch is imported, which reads it once."""
    if not any(name in os.environ for name in _SAID_OTHERWISE):
        os.environ[_NAME] = str(SPINS)
