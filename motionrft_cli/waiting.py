"""How long the threads of one computation spin while they wait for each other.

Spinning is quickest on an idle machine. Beside other busy processes the thread they wait for may not be running, and the
spinning takes the processor from it: on two cores beside two busy processes an update of the built-in models took more
than ten seconds instead of 0.14. OpenMP's own limit is about a millisecond; after 10,000 turns they sleep, which costs a
fifth on an idle machine and keeps the busy one at 2.4 times the idle one.
"""

import os

SPINS = 10_000
_NAME = "GOMP_SPINCOUNT"
_SAID_OTHERWISE = (_NAME, "OMP_WAIT_POLICY")


def spin_briefly() -> None:
    """Limit the spinning, unless the user says something of it; call it before torch is imported, which reads it once."""
    if not any(name in os.environ for name in _SAID_OTHERWISE):
        os.environ[_NAME] = str(SPINS)
