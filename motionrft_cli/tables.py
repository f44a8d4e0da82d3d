"""Tables that fit their terminal: what is too wide is turned or comes in parts, and no number is broken in two."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from motionrft_cli.terminal import visible

MANY, FEW = 5, 4
"""A table that is too wide and of so many columns is turned, so that its columns become rows, where it has few rows or
hardly two columns would fit beside each other."""
HEADER = 30
"""Columns of the screen that a name at the head of a column may ask for."""
WORD = 14
"""Columns of the screen: a shorter word at the head of a column is not folded where a row's name can be."""
NARROWEST = 8
"""Columns of the screen that the names of rows have at least."""
BETWEEN = 3  # two columns of a table
SIDES = 4  # left and right of all of them


@dataclass(frozen=True)
class Part:
    """A table that fits. widths: of its columns; numeric: those aligned right."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    widths: tuple[int, ...]
    numeric: tuple[bool, ...]


def fitted(columns: Sequence[str], rows: Iterable[Sequence[object]], width: int) -> list[Part]:
    """One table that fits into `width`, or several, each with the names of the rows.

    The first column names the rows; names may be folded, other cells never are.
    """
    body = [tuple(row) for row in rows]
    numbers = [all(_numeric(row[place]) for row in body if place < len(row)) for place in range(len(columns))]
    head, cells = tuple(map(visible, columns)), [tuple(map(cell, row)) for row in body]
    widths = [_longest([name, *_column(cells, place)]) for place, name in enumerate(head)]
    if SIDES + sum(widths) + BETWEEN * (len(widths) - 1) <= width:
        return [Part(head, tuple(cells), tuple(widths), tuple(numbers))]
    straight = list(_parts(head, cells, numbers, width))
    if len(head) < MANY or (len(cells) > FEW and len(straight) < len(head) / 2):
        return straight
    turned = list(zip(head[1:], *(row[1:] for row in cells), strict=True))
    return list(_parts((head[0], *(row[0] for row in cells)), turned, [False, *[True] * len(cells)], width))


def cell(value: object) -> str:
    """A value as a table shows it: floats with four significant digits, nothing as a hyphen."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.4g}"
    return visible(str(value))


def _parts(
    head: tuple[str, ...], cells: Sequence[tuple[str, ...]], numeric: Sequence[bool], width: int
) -> Iterator[Part]:
    """As many columns as fit beside the names, then the next."""
    inside = [_longest(_column(cells, place)) for place in range(len(head))]
    names = max(inside[0], _longest(head[0].split()))
    space = width - SIDES - BETWEEN
    # A row's name folds anywhere; that of a column at its spaces, and anywhere beyond HEADER.
    words = [min(_longest(name.split()), HEADER) for name in head]
    whole = [word for word in words[1:] if word <= WORD]
    names = max(min(names, space - max((*inside[1:], *whole), default=0)), NARROWEST)
    asked = [min(word, space - names) for word in words]
    widths = [names, *(max(pair) for pair in zip(inside[1:], asked[1:], strict=True))]
    taken: list[int] = []
    for place in range(1, len(head)):
        if taken and widths[0] + sum(widths[each] + BETWEEN for each in [*taken, place]) > width - SIDES:
            yield _part(head, cells, numeric, widths, taken)
            taken = []
        taken.append(place)
    yield _part(head, cells, numeric, widths, taken)


def _part(
    head: tuple[str, ...],
    cells: Sequence[tuple[str, ...]],
    numeric: Sequence[bool],
    widths: Sequence[int],
    taken: Sequence[int],
) -> Part:
    places = [0, *taken]
    rows = tuple(tuple(row[place] if place < len(row) else "" for place in places) for row in cells)
    chosen = tuple(head[place] for place in places), rows, tuple(widths[place] for place in places)
    return Part(*chosen, tuple(numeric[place] for place in places))


def _column(cells: Sequence[tuple[str, ...]], place: int) -> list[str]:
    return [row[place] for row in cells if place < len(row)]


def _longest(texts: Iterable[str]) -> int:
    from rich.cells import cell_len

    return max((cell_len(line) for text in texts for line in text.split("\n")), default=0)


def _numeric(value: object) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))
