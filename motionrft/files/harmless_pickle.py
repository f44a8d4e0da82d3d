"""Pickles of dictionaries, lists, numbers, texts and numpy arrays, read without running anything in them.

The pickle machine builds only containers and our own stand-ins for numpy's builders; any other global is refused by name
before the machine starts. An array's bytes are checked against its shape before it is made.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from motionrft.errors import UserError

LARGEST_PICKLE = 1 << 30
"""Bytes of the largest pickle that is read."""
_CORES = ("numpy.core", "numpy._core")
_KINDS = "biufSU"
_LISTED = 5


def read_pickled(data: bytes, name: str) -> Any:
    """The value of a pickle of plain things; Python 2's texts are read as latin-1.

    Args:
        name: what messages call it.

    Raises:
        UserError: it needs code to be read (the globals are named, nothing is run), or it is damaged.
    """
    if len(data) > LARGEST_PICKLE:
        raise UserError(
            f"{name}: a pickle of {len(data) >> 20} MiB; at most {LARGEST_PICKLE >> 20} are read."
        )
    _refuse_code(data, name)
    try:
        return _plain(_Machine(io.BytesIO(data), encoding="latin1").load())
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"{name}: a damaged pickle ({type(error).__name__}: {str(error)[:120]}).") from error


def _refuse_code(data: bytes, name: str) -> None:
    """Read the opcodes without obeying them; refuse every global that is no stand-in of ours."""
    asked: set[str] = set()
    words: list[str] = []
    kept: dict[int, str] = {}
    try:
        for code, argument, _ in pickletools.genops(data):
            if code.name in ("GLOBAL", "INST"):
                asked.add(str(argument).replace(" ", "."))
            elif code.name == "STACK_GLOBAL":
                asked.add(".".join(words[-2:]))
            elif code.name == "MEMOIZE":
                kept[len(kept)] = words[-1] if words else ""
            elif code.name in ("PUT", "BINPUT", "LONG_BINPUT"):
                if int(str(argument)) > len(data):  # the machine would make room for as many
                    raise ValueError(f"a memory place {argument} of {len(data)} bytes")
                kept[int(str(argument))] = words[-1] if words else ""
            elif "GET" in code.name:
                words.append(kept.get(int(str(argument)), "?"))
            elif isinstance(argument, str) and "UNICODE" in code.name:
                words.append(argument)
    except Exception as error:
        raise UserError(f"{name}: a damaged pickle ({str(error)[:120]}).") from error
    if strange := sorted(asked - set(_STAND_INS)):
        listed = ", ".join(strange[:_LISTED]) + (", …" if len(strange) > _LISTED else "")
        raise UserError(
            f"{name}: a pickle that would run code when opened ({listed}): refused, nothing was run. "
            f"Save its arrays as plain numbers (.npz)."
        )


class _Machine(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """Our stand-in; whatever the search above did not see is refused here once more."""
        try:
            return _STAND_INS[f"{module}.{name}"]
        except KeyError:
            raise UserError(f"a pickle that asks for {module}.{name}: refused, nothing was run.") from None

    def persistent_load(self, pid: object) -> Any:
        raise UserError("a pickle that points outside itself: refused.")


class _Dtype:
    """numpy's dtype while it is being unpickled: a kind, a size, and later a byte order."""

    def __init__(self, spec: str, *rest: object) -> None:
        self.spec, self.order = str(spec), "|"

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.order = str(state[1])

    def real(self) -> np.dtype[Any]:
        """The dtype of numbers or texts; objects have none."""
        dtype = np.dtype(self.spec)
        if dtype.kind not in _KINDS or dtype.itemsize == 0:
            raise ValueError(f"values of {self.spec}")
        return dtype.newbyteorder(">") if self.order == ">" else dtype


class _Array:
    """An array while it is being unpickled: numbers once its bytes fit its shape, or a list of plain things."""

    def __init__(self) -> None:
        self.value: Any = None

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, dtype, fortran, raw = state
        if isinstance(raw, list):
            self.value = (tuple(shape), raw)
        else:
            self.value = _numbers(raw, dtype, shape, "F" if fortran else "C")


def _numbers(raw: Any, dtype: Any, shape: Any, order: str = "C") -> np.ndarray:
    """An array over bytes that hold exactly what its shape says."""
    data = raw.encode("latin1") if isinstance(raw, str) else bytes(raw)
    real, sizes = dtype.real(), tuple(int(size) for size in shape)
    if min(sizes, default=0) < 0 or math.prod(sizes) * real.itemsize != len(data):
        raise ValueError(f"an array of shape {sizes} over {len(data)} bytes")
    return np.frombuffer(data, real).reshape(sizes, order="F" if order == "F" else "C")


def _from_buffer(raw: Any, dtype: Any, shape: Any, order: str = "C", axes: Any = None) -> np.ndarray:
    """An array of protocol 5; order K has its axes in the order in which they lie in memory."""
    if order == "K" and axes is not None:
        return _numbers(raw, dtype, shape).transpose(axes)
    return _numbers(raw, dtype, shape, order)


def _scalar(dtype: _Dtype, raw: Any = b"") -> Any:
    return _numbers(raw, dtype, ())[()]


def _encoded(text: str, encoding: str = "latin1") -> bytes:
    """`_codecs.encode`, as Python 3 writes bytes for Python 2: one encoding only."""
    if encoding != "latin1":
        raise ValueError(f"bytes in {encoding}")
    return text.encode("latin1")


def _bytes(raw: bytes = b"") -> bytearray:
    """`bytearray` of bytes, and not of a number, which would take that much memory."""
    if not isinstance(raw, bytes):
        raise ValueError(f"a bytearray of {raw!r:.40}")
    return bytearray(raw)


class _NdarrayName:
    """Stands for `numpy.ndarray` where a builder names it; building one from it is refused."""


def _rebuilt(*_: object) -> _Array:
    return _Array()


_STAND_INS: dict[str, Callable[..., Any]] = {
    **{f"{core}.multiarray._reconstruct": _rebuilt for core in _CORES},
    **{f"{core}.multiarray.scalar": _scalar for core in _CORES},
    **{f"{core}.numeric._frombuffer": _from_buffer for core in _CORES},
    "numpy.ndarray": _NdarrayName,
    "numpy.dtype": _Dtype,
    "_codecs.encode": _encoded,
    "collections.OrderedDict": OrderedDict,
    "builtins.bytearray": _bytes,
}
"""What a pickle may ask for, and what it gets."""


def _plain(value: Any, depth: int = 0) -> Any:
    """The value with real arrays in place of the stand-ins; arrays of objects become lists."""
    if depth > 20:
        raise ValueError("nested too deeply")
    if isinstance(value, _Array):
        if isinstance(value.value, tuple):
            shape, items = value.value
            plain = [_plain(item, depth + 1) for item in items]
            return plain[0] if shape == () and len(plain) == 1 else plain
        return value.value
    if isinstance(value, dict):
        return {str(key): _plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, depth + 1) for item in value]
    if value is None or isinstance(value, str | bytes | bool | int | float | np.ndarray | np.generic):
        return value
    raise ValueError(f"holds a {type(value).__name__}")


def members_of(value: Any, path: Path) -> dict[str, Any]:
    """A pickle's value as named members: a dictionary's own, or the one array under the name "".

    Raises:
        UserError: it is neither.
    """
    if isinstance(value, dict):
        return value
    if isinstance(value, np.ndarray):
        return {"": value}
    raise UserError(
        f"{path}: a pickled {type(value).__name__}; motions are arrays, or a dictionary that names them."
    )
