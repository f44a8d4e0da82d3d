"""Seeded damage to a good file: of its bytes, of its words and numbers, and of the tensors of a checkpoint."""

import random
import re
from collections.abc import Callable
from typing import Any

import torch

_NUMBER = re.compile(rb"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
_WORD = re.compile(rb"[A-Za-z_]{2,}")
_NUMBERS = (
    *(b"0", b"-1", b"1", b"1e-9", b"1e400", b"-1e308", b"3e38", b"nan", b"inf", b"-inf", b"NaN", b"Infinity"),
    *(b"999999999999", b"99999999999999999999999", b"2147483648", b"-9223372036854775809", b"1_0", b"0x10"),
    *(b"1,5", b"1.5.2", b"", b"null", b"true", b'"7"', b"[]", b"{}", b"[1]", b"1" * 5000),
)
_PIECES = (
    *(b"\x00", b"\xff", b"\xef\xbb\xbf", b"\xff\xfe", b"\r", b"\x0b", b"\x0c", b"\xc2\x85", b"\xe2\x80\xa8"),
    *(
        b"\n\n\n",
        b" " * 2000,
        b"\n" * 2000,
        b"[" * 3000,
        b"{" * 50,
        b'{"a":' * 1200,
        b"<html>",
        b"PK\x03\x04",
    ),
    *(b"../", b"/etc/passwd", b"\x1b[2J", b"#", b",", b'"', b"'", b"&a [*a]", b"!!python/object:os.system x"),
    *(b"!!bool x", b"\x80\x04cos\nsystem\n", b"}", b"]", b"\t", b"\xe9", b"\xf0\x9f\x95\xba"),
)


def damaged(data: bytes, draws: random.Random) -> bytes:
    """The bytes after one to three mutations; never the same object, seldom the same bytes."""
    for _ in range(draws.choice((1, 1, 1, 2, 3))):
        data = draws.choice(_MUTATIONS)(data, draws)
    return data


def _flip(data: bytes, draws: random.Random) -> bytes:
    if not data:
        return b"\x00"
    place = draws.randrange(len(data))
    return data[:place] + bytes([data[place] ^ (1 << draws.randrange(8))]) + data[place + 1 :]


def _early_flip(data: bytes, draws: random.Random) -> bytes:
    """In the header, where a byte means most."""
    return _flip(data[:200], draws) + data[200:]


def _byte(data: bytes, draws: random.Random) -> bytes:
    place = draws.randrange(len(data) + 1)
    return data[:place] + bytes([draws.choice((0, 1, 127, 128, 255))]) + data[place + 1 :]


def _cut(data: bytes, draws: random.Random) -> bytes:
    return data[: draws.randrange(len(data) + 1)]


def _drop(data: bytes, draws: random.Random) -> bytes:
    first = draws.randrange(len(data) + 1)
    return data[:first] + data[first + draws.choice((1, 2, 8, 64, 1024)) :]


def _repeat(data: bytes, draws: random.Random) -> bytes:
    first = draws.randrange(len(data) + 1)
    piece = data[first : first + draws.choice((1, 8, 64, 512))]
    return data[:first] + piece * draws.choice((2, 3, 50)) + data[first:]


def _insert(data: bytes, draws: random.Random) -> bytes:
    place = draws.randrange(len(data) + 1)
    return data[:place] + draws.choice(_PIECES) + data[place:]


def _append(data: bytes, draws: random.Random) -> bytes:
    return data + draws.choice(_PIECES)


def _number(data: bytes, draws: random.Random) -> bytes:
    found = list(_NUMBER.finditer(data[:20_000]))
    if not found:
        return _flip(data, draws)
    chosen = draws.choice(found)
    return data[: chosen.start()] + draws.choice(_NUMBERS) + data[chosen.end() :]


def _word(data: bytes, draws: random.Random) -> bytes:
    found = list(_WORD.finditer(data[:20_000]))
    if len(found) < 2:
        return _flip(data, draws)
    chosen, other = draws.sample(found, 2)
    piece = draws.choice((other[0], b"", b"x", chosen[0] * 2))
    return data[: chosen.start()] + piece + data[chosen.end() :]


def _lines(data: bytes, draws: random.Random) -> bytes:
    lines = data.split(b"\n")
    first, second = draws.randrange(len(lines)), draws.randrange(len(lines))
    if draws.random() < 0.5:
        lines[first], lines[second] = lines[second], lines[first]
    else:
        del lines[first]
    return b"\n".join(lines)


_MUTATIONS: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    *(_flip, _early_flip, _early_flip, _byte, _cut, _drop, _repeat, _insert, _append),
    *(_number, _number, _word, _lines),
)


def misshapen(content: dict[str, Any], draws: random.Random) -> dict[str, Any]:
    """A checkpoint whose keys are recognised and whose values are not what they should be."""
    content = {name: dict(part) if isinstance(part, dict) else part for name, part in content.items()}
    groups = [part for part in content.values() if isinstance(part, dict)] + [content]
    for _ in range(draws.choice((1, 1, 2, 5))):
        group = draws.choice([part for part in groups if part])
        name = draws.choice(list(group))
        if draws.random() < 0.15:
            del group[name]
        elif draws.random() < 0.1:
            group[f"{name}.{draws.choice(('0', 'x', 'weight'))}"] = group.pop(name)
        else:
            group[name] = _other_value(group[name], draws)
    return content


def _other_value(value: Any, draws: random.Random) -> Any:
    if not isinstance(value, torch.Tensor) or value.numel() > 1 << 24:
        return draws.choice((None, -1, 10**12, float("nan"), "x", [], {}, torch.zeros(2), {"a": 1}))
    return draws.choice(
        (
            lambda: value.flatten(),
            lambda: value[None],
            lambda: value[..., :0],
            lambda: value.flatten()[:1].squeeze(),
            lambda: torch.zeros(()),
            lambda: value.to(torch.int64),
            lambda: value.to(torch.complex64),
            lambda: torch.full_like(value, float("nan")) if value.is_floating_point() else value,
            lambda: value.flatten()[:1].expand(3, 5),
            lambda: torch.cat([value, value]) if value.dim() else value,
            lambda: torch.zeros(1).expand(100_000, 100_000),
            lambda: value.T.contiguous() if value.dim() == 2 else value,
            lambda: None,
            lambda: "a word",
            lambda: {"nested": value},
        )
    )()
