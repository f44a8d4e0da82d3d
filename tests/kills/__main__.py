"""`python -m tests.kills [--kills 50] [--command NAME]... [--seed 0]`: SIGKILL at random moments, then on with it.

Each command is killed so often, up to four times a run, and called again until it is done. What it made must be the same,
byte for byte, as what a run makes that nobody killed, and nothing else may lie about. Exit code 1 where that is not so.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.kills.commands import COMMANDS
from tests.kills.engine import batter


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=50, help="of each command")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--command", action="append", choices=list(COMMANDS), help="only this one; repeatable"
    )
    options = parser.parse_args()
    bad = 0
    for name in options.command or COMMANDS:
        with tempfile.TemporaryDirectory(prefix="motionrft-kills-") as folder:
            tally = batter(
                COMMANDS[name],
                Path(folder),
                options.kills,
                options.seed,
                lambda text, n=name: print(n, text, flush=True),
            )
        bad += len(tally.faults or ())
        for fault in tally.faults or ():
            print(f"  {fault}")
        print(
            f"{name}: {tally.kills} kills in {tally.runs} runs, {len(tally.faults or ())} faults", flush=True
        )
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
