"""Counts as people say them."""


def counted(count: int, one: str, many: str = "") -> str:
    """`1 motion`, `3 motions`; `many` where an s is not enough."""
    return f"{count:,} {one if count == 1 else many or f'{one}s'}"
