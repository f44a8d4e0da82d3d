"""What goes into a checkpoint comes out of it, bit for bit and with its types."""

import json
import random

import numpy
import pytest
import torch

from motionrft.training.seeds import global_random_state, restore_global_random_state, seed_everything
from motionrft.training.state import join_tree, split_tree


def _round_trip(tree):
    tensors, value = split_tree(tree)
    return join_tree(tensors, json.loads(json.dumps(value)))


def test_plain_values_and_containers() -> None:
    tree = {"a": [1, 2.5, None, True, "x"], "b": (1, (2, [3])), 3: {"__tensor__": "not one"}, "empty": {}}
    assert _round_trip(tree) == tree


def test_floats_are_exact_and_not_finite_ones_survive() -> None:
    values = [0.1, 1e-308, 2**-1074, float("inf"), 1.7976931348623157e308]
    assert _round_trip(values) == values
    assert _round_trip([float("nan")])[0] != _round_trip([float("nan")])[0]


def test_tensors_keep_dtype_shape_and_bits() -> None:
    tree = {
        "half": torch.randn(3).bfloat16(),
        "step": torch.tensor(7.0),
        "none": torch.empty(0, 4),
        "i": torch.arange(3),
    }
    for name, tensor in _round_trip(tree).items():
        assert tensor.dtype == tree[name].dtype and torch.equal(tensor, tree[name])


def test_optimiser_state_round_trips() -> None:
    model = torch.nn.Linear(3, 2)
    adam = torch.optim.AdamW(model.parameters())
    model(torch.ones(1, 3)).sum().backward()
    adam.step()
    adam.load_state_dict(_round_trip(adam.state_dict()))
    assert adam.state[model.weight]["step"].item() == 1


def test_random_generators_round_trip() -> None:
    seed_everything(4)
    state = _round_trip(global_random_state())
    first = (random.random(), numpy.random.rand(), torch.rand(2))
    restore_global_random_state(state)
    second = (random.random(), numpy.random.rand(), torch.rand(2))
    assert first[:2] == second[:2] and torch.equal(first[2], second[2])


def test_what_cannot_be_stored_is_named() -> None:
    with pytest.raises(TypeError, match="/model/1"):
        split_tree({"model": [1, object()]})
