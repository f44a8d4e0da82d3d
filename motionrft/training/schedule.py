"""Learning rate over optimiser updates: linear warm-up, then a cosine down to a floor."""

import math


def rate_factor(update: int, warmup: int = 0, total: int | None = None, floor: float = 0.0) -> float:
    """What to multiply the base rate by for update number `update` (from 0).

    Args:
        warmup: updates over which the factor climbs linearly; the first is 1 / warmup, the last 1.
        total: updates at which the cosine reaches `floor`, warm-up included; None keeps the rate after the
            warm-up.
        floor: the factor that the cosine ends at and stays at.
    """
    if update < warmup:
        return (update + 1) / warmup
    if total is None:
        return 1.0
    part = min((update - warmup) / max(total - warmup, 1), 1.0)
    return floor + (1.0 - floor) * 0.5 * (1.0 + math.cos(math.pi * part))
