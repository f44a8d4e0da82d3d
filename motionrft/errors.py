"""The two kinds of failure a person at the shell can meet.

`UserError` is the user's input being wrong (exit code 2), `RunError` is a run that could not finish (exit code 1).
Both carry one message that says what, where, what is legal and what to do; the command line prints it without a
traceback.
"""


class UserError(ValueError):
    """The input is wrong: a file, a field, a name. Nothing was written."""


class RunError(RuntimeError):
    """The run started and could not finish. What was saved before stays valid."""
