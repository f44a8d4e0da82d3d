"""Trees of tensors and plain values as one safetensors file and one JSON file: a checkpoint without pickle.

Holds what state dicts hold: nested dicts (any keys), lists, tuples, tensors, numpy arrays, numbers (exactly),
strings, None. Anything else is refused, so that a checkpoint never needs code to be read.
"""

from collections.abc import Mapping
from typing import Any

import numpy
import torch
from torch import Tensor

_TENSOR, _ARRAY, _TUPLE, _MAP = "__tensor__", "__array__", "__tuple__", "__map__"


def split_tree(tree: Any) -> tuple[dict[str, Tensor], Any]:
    """Separate a tree into its tensors, by path, and a JSON value that says where they go.

    Raises:
        TypeError: names the path of a value that cannot be stored.
    """
    tensors: dict[str, Tensor] = {}

    def visit(value: Any, path: str) -> Any:
        if isinstance(value, Tensor):
            tensors[path] = value
            return {_TENSOR: path}
        if isinstance(value, numpy.ndarray):
            tensors[path] = torch.from_numpy(value.copy())
            return {_ARRAY: path}
        if isinstance(value, Mapping):
            if all(isinstance(key, str) and not key.startswith("__") for key in value):
                return {key: visit(child, f"{path}/{key}") for key, child in value.items()}
            return {_MAP: [[visit(key, path), visit(child, f"{path}/{key}")] for key, child in value.items()]}
        if isinstance(value, tuple):
            return {_TUPLE: [visit(child, f"{path}/{i}") for i, child in enumerate(value)]}
        if isinstance(value, list):
            return [visit(child, f"{path}/{i}") for i, child in enumerate(value)]
        if isinstance(value, numpy.generic):
            return value.item()
        if value is None or isinstance(value, bool | int | float | str):
            return value
        raise TypeError(f"{path}: a {type(value).__name__} cannot be stored in a checkpoint")

    return tensors, visit(tree, "")


def join_tree(tensors: Mapping[str, Tensor], value: Any) -> Any:
    """The inverse of `split_tree`."""
    if isinstance(value, list):
        return [join_tree(tensors, child) for child in value]
    if not isinstance(value, dict):
        return value
    if _TENSOR in value:
        return tensors[value[_TENSOR]]
    if _ARRAY in value:
        return tensors[value[_ARRAY]].numpy()
    if _TUPLE in value:
        return tuple(join_tree(tensors, child) for child in value[_TUPLE])
    if _MAP in value:
        return {join_tree(tensors, key): join_tree(tensors, child) for key, child in value[_MAP]}
    return {key: join_tree(tensors, child) for key, child in value.items()}
