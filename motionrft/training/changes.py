"""What differs between two presets, key by dotted key."""

from collections.abc import Mapping, Sequence
from typing import Any

_ABSENT = object()
WITH_DATA = ("validation",)
"""Hashes of a run beside that of its data. A run may read no such thing, and older ones kept none: then there is nothing
to compare. Whoever lets `data` change lets these change as well."""


def changed_keys(
    before: Mapping[str, Any], after: Mapping[str, Any], allowed: Sequence[str] = ()
) -> list[str]:
    """`key: old -> new` for every dotted key that differs and is not allowed to (nor its group)."""
    old, new = _flat(before), _flat(after)
    return [
        f"{key}: {old.get(key, 'absent')} -> {new.get(key, 'absent')}"
        for key in sorted(old.keys() | new.keys())
        if old.get(key, _ABSENT) != new.get(key, _ABSENT)
        and not any(key == name or key.startswith(name + ".") for name in allowed)
    ]


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(value, Mapping) or not value:
        return {prefix: value} if prefix else {}
    flat: dict[str, Any] = {}
    for key, child in value.items():
        flat |= _flat(child, f"{prefix}.{key}" if prefix else str(key))
    return flat
