"""`python -m tests.fuzz [--cases 20000] [--seed 0] [--reader NAME]... [--keep DIR] [--list]`.

Every reader gets its share of the cases. A table says how each ended; the exit code is 1 when one was unhandled, took
longer than ten seconds, or when the process held more than two gigabytes.
"""

import argparse
import sys
import warnings
from pathlib import Path

from tests.fuzz.engine import SLOWEST, Outcome, good_files, peak_bytes, try_case
from tests.fuzz.readers import READERS, plain_names

MOST_BYTES = 2 << 30
SHOWN = 3


def main() -> int:
    options = _options()
    if options.list:
        print(plain_names())
        return 0
    warnings.simplefilter("ignore")
    names = options.reader or list(READERS)
    share = -(-options.cases // len(names))
    print(
        f"{'reader':28} {'cases':>6} {'right':>6} {'refused':>8} {'unhandled':>10} {'slowest':>8} {'peak MiB':>9}"
    )
    bad = 0
    for name in names:
        outcomes = run(name, range(options.seed, options.seed + share), options.keep)
        counts = [sum(each.kind == kind for each in outcomes) for kind in ("right", "refused", "unhandled")]
        slowest = max(each.seconds for each in outcomes)
        bad += counts[2] + (slowest > SLOWEST)
        row = f"{name:28} {len(outcomes):6} {counts[0]:6} {counts[1]:8} {counts[2]:10} {slowest:7.2f}s"
        print(f"{row} {peak_bytes() >> 20:9}", flush=True)
    too_large = peak_bytes() > MOST_BYTES
    print(f"{bad} cases are not as they should be; peak {peak_bytes() >> 20} MiB")
    return 1 if bad or too_large else 0


def run(name: str, seeds: range, keep: Path | None) -> list[Outcome]:
    """The cases of one reader; what is unhandled is shown with its seed, the first few of it."""
    outcomes, shown = [], 0
    with good_files(name) as good:
        for seed in seeds:
            outcome = try_case(name, good, seed)
            outcomes.append(outcome)
            if outcome.kind == "unhandled":
                if shown < SHOWN:
                    print(f"--- {name}, seed {seed}\n{outcome.said[-1500:]}", file=sys.stderr)
                shown += 1
                if keep is not None:
                    keep.mkdir(parents=True, exist_ok=True)
                    (keep / f"{name.replace(' ', '-')}-{seed}.txt").write_text(outcome.said)
    return outcomes


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--cases", type=int, default=20_000, help="of all readers together")
    parser.add_argument("--seed", type=int, default=0, help="of the first case")
    parser.add_argument("--reader", action="append", choices=list(READERS), help="only this one; repeatable")
    parser.add_argument("--keep", type=Path, help="folder for the tracebacks of unhandled cases")
    parser.add_argument("--list", action="store_true", help="print the readers and stop")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
