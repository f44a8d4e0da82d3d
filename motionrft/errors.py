"""The kinds of failure a person at the shell can meet.

`UserError` is the user's input being wrong (exit code 2), `RunError` is a run that could not finish (exit code 1),
`Interrupted` is a run that was told to stop and saved itself (75 or 130). All carry one message that says what,
where, what is legal and what to do; the command line prints it without a traceback.
"""

import errno


class UserError(ValueError):
    """The input is wrong: a file, a field, a name. Nothing was written."""


class UserErrorElsewhere(UserError):
    """Another process of the run has found the input to be wrong, and says so: this one ends as it does, in silence."""


class RunError(RuntimeError):
    """The run started and could not finish. What was saved before stays valid."""


class Interrupted(Exception):
    """A signal asked the run to stop, and it did so at a safe point: what is on disk can be resumed.

    Args:
        message: where the state lies and how to continue.
        exit_code: 75 after SIGTERM, 130 after SIGINT.
        together: every process of the run has agreed on it.
    """

    def __init__(self, message: str, exit_code: int, together: bool = False) -> None:
        super().__init__(message)
        self.exit_code, self.together = exit_code, together


_OUT_OF_MEMORY = (
    "out of memory",
    "allocate memory",  # the CPU allocator, and the system under an address-space limit
    "bad_alloc",  # C++ anywhere
    "ALLOC_FAILED",  # cuBLAS, cuDNN
    "could not create a memory",  # oneDNN
    "could not create a primitive",
    "could not execute a primitive",
    "can't start new thread",  # no room for its stack
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that memory ran out, on any device and in the words of any library below us."""
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _OUT_OF_MEMORY)
