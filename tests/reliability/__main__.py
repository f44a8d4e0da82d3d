"""`python -m tests.reliability [--rows 5 23] [--keep DIR]`: the table of faults, row by row, through the real executable.

Every row makes its input in a folder of its own, calls the program and looks at exit codes, messages and files. The
table names for each the calls made, their exit codes, the longest in seconds of the processor, and the first line of
stderr of the last one.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.reliability import arrays, models, results, runs, surroundings, tuning, words  # noqa: F401 - they enter rows
from tests.reliability.scene import ROWS, Scene

_WIDTH = 110


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.reliability", description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=sorted(ROWS), choices=sorted(ROWS))
    parser.add_argument("--keep", type=Path, help="folder for the rows' folders, which are deleted otherwise")
    options = parser.parse_args()
    print("| # | fault | calls: exits | longest (processor) | stderr of the last | |")
    print("| ---: | --- | --- | ---: | --- | --- |")
    failed = []
    for number in options.rows:
        with tempfile.TemporaryDirectory(prefix=f"motionrft-row-{number}-") as temporary:
            folder = Path(temporary) if options.keep is None else options.keep / f"row-{number}"
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o755)  # a row may call as somebody else
            scene = Scene(folder)
            try:
                ROWS[number](scene)
            except Exception as error:  # a row that falls is a row that fails, and the others go on
                scene.want(False, f"the row itself fell: {error!r}")
        print(line(number, scene), flush=True)
        for fault in scene.faults:
            print(f"  row {number}, {fault}", file=sys.stderr, flush=True)
        failed += [number] if scene.faults else []
    print(f"{len(options.rows) - len(failed)} of {len(options.rows)} rows pass")
    return 1 if failed else 0


def line(number: int, scene: Scene) -> str:
    """The row of the table."""
    fault = (ROWS[number].__doc__ or "").strip().splitlines()[0].rstrip(".")
    codes = [ended.code for ended in scene.calls]
    counts = ", ".join(f"{codes.count(code)}x {code}" for code in sorted(set(codes)))
    longest = max((ended.processor for ended in scene.calls), default=0.0)
    said = next(
        (ended.err.strip().splitlines()[0] for ended in reversed(scene.calls) if ended.err.strip()), ""
    )
    said = said.replace(str(scene.place), "…").replace("|", "\\|")[:_WIDTH]
    verdict = "**fails**" if scene.faults else "pass"
    return f"| {number} | {fault} | {len(codes)}: {counts} | {longest:.1f} s | {said} | {verdict} |"


if __name__ == "__main__":
    sys.exit(main())
