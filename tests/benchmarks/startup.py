"""How long `motionrft --help` and each `COMMAND --help` take: best of five, in seconds.

python -m tests.benchmarks.startup
"""

import subprocess
import sys
import time

from motionrft_cli.commands import COMMANDS

REPEATS = 5


def best_of(*arguments: str) -> float:
    """The quickest of several calls, each in a process of its own."""
    seconds = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "motionrft_cli.main", *arguments], stdout=subprocess.DEVNULL, check=True
        )
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def main() -> None:
    """Print one line a call."""
    print(f"{best_of('--help'):.3f}  motionrft --help")
    for command in COMMANDS:
        print(f"{best_of(command, '--help'):.3f}  motionrft {command} --help")


if __name__ == "__main__":
    main()
