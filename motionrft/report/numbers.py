"""Numbers as people read them: as many digits as the interval supports, and no more."""

from __future__ import annotations

import math
from collections.abc import Iterable

from motionrft.intervals import Interval
from motionrft.report.verdict import Row

MINUS = "\N{MINUS SIGN}"
_MOST_DECIMALS = 9


def digits_of(row: Row) -> int:
    """Decimals for a row: the narrowest interval of a value shows one digit, or two when it starts with 1 or 2.

    No value gets more than four significant digits, however sure it is.
    """
    known = [interval for interval in row.values if interval is not None and math.isfinite(interval.mean)]
    largest = max((abs(interval.mean) for interval in known), default=0.0)
    most = min(max(3 - math.floor(math.log10(largest)), 0), 5) if largest > 0 else 3
    narrow = min((interval.half_width for interval in known if interval.half_width > 0), default=None)
    if narrow is None:
        return min(most, 3)
    leading = math.floor(math.log10(narrow))
    return min(max(-leading + (narrow / 10**leading < 3), 0), most)


def vanishes(value: float, digits: int) -> bool:
    """Whether so many decimals show a number as zero."""
    return float(f"{abs(value):.{digits}f}") == 0


def digits_of_change(change: Interval, digits: int) -> int:
    """Decimals for a change: those of its row, more where they would hide a change that is surely not zero.

    A change smaller than its own half interval stays a zero: more decimals would show chance.
    """
    if vanishes(change.mean, digits) and 0 < change.half_width < abs(change.mean):
        return min(1 - math.floor(math.log10(abs(change.mean))), _MOST_DECIMALS)
    return digits


def number(value: float, digits: int, signed: bool = False) -> str:
    """A fixed number of decimals with a true minus sign; `signed` writes the plus too."""
    if not math.isfinite(value):
        return "n/a"
    text = f"{abs(value):,.{digits}f}".replace(",", "\N{NARROW NO-BREAK SPACE}")
    if value < 0 and float(f"{abs(value):.{digits}f}") > 0:
        return MINUS + text
    return f"+{text}" if signed and value > 0 else text


def spread(interval: Interval, digits: int) -> str:
    """ "± 0.012" for an interval symmetric about its mean, "0.60 to 0.63" for another, "" when unknown."""
    if interval.low is None or interval.high is None:
        return ""
    low, high = interval.mean - interval.low, interval.high - interval.mean
    if abs(low - high) <= 0.02 * max(low, high):
        return f"± {number((low + high) / 2, digits)}"
    return f"{number(interval.low, digits)} to {number(interval.high, digits)}"


def percent(fraction: float) -> str:
    """A signed percentage, "+12 %" or "−0.4 %"."""
    return f"{number(100 * fraction, 0 if abs(fraction) >= 0.0995 else 1, signed=True)} %"


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Round numbers that cover [low, high] from inside; at most about `most` of them."""
    if not high > low:
        return [low]
    raw = (high - low) / most
    unit = 10.0 ** math.floor(math.log10(raw))
    step = next(unit * factor for factor in (1, 2, 2.5, 5, 10) if unit * factor >= raw * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    return [round(i * step, 12) for i in range(first, math.floor(high / step + 1e-9) + 1)]


def tick_labels(values: Iterable[float]) -> list[str]:
    """All with as many decimals as the finest needs; large ones as "12k" or "3M", tiny ones as "2e−5"."""
    values = list(values)
    largest = max((abs(value) for value in values), default=0.0)
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if largest >= 10 * size:
            return [f"{value / size:g}{letter if value else ''}".replace("-", MINUS) for value in values]
    if 0 < largest < 1e-3:
        return [f"{value:g}".replace("e-0", "e-").replace("-", MINUS) for value in values]
    decimals = max((_decimals(value) for value in values), default=0)
    return [number(value, decimals) for value in values]


def _decimals(value: float) -> int:
    text = f"{value:.6f}".rstrip("0")
    return len(text) - text.index(".") - 1
