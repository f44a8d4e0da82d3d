"""When Python looks for cyclic garbage: seldom while modules are imported, as usual in the work, not at all at the end.

torch brings half a million objects that stay. Python traverses them again and again while they come in, and twice more
when it ends: .3 and .5 of the 2.4 s of processor time that `motionrft score one.npy` took. Files are closed, threads
joined and `atexit` run as ever.
"""

import gc

_SELDOM = 50_000
"""New objects after which the youngest are looked through; Python's own number is 700."""
_USUAL = gc.get_threshold()


def seldom() -> None:
    """From the start of the program: what is imported is no garbage."""
    gc.set_threshold(_SELDOM, *_USUAL[1:])


def as_usual() -> None:
    """From here on there is work, which leaves garbage; what has been imported is not looked at again."""
    gc.freeze()
    gc.set_threshold(*_USUAL)


def no_more() -> None:
    """At the very end the system takes all memory back at once."""
    gc.freeze()
