"""Dotted paths through a model."""

import pytest

from motionrft.finetuning.preset import FinetunePreset
from motionrft.settings.fields import changed_fields, choices_of, field_at
from motionrft.settings.messages import unknown_field
from tests.settings.models import ToyPreset


@pytest.mark.parametrize("path", ["steps", "optimiser.lr", "method.k", "method.start", "seed"])
def test_a_path_finds_its_field_in_groups_and_variants(path: str) -> None:
    field = field_at(ToyPreset, path)
    assert field is not None and field.description


@pytest.mark.parametrize("path", ["stepz", "optimiser.k", "steps.k"])
def test_a_wrong_path_finds_nothing(path: str) -> None:
    assert field_at(ToyPreset, path) is None


@pytest.mark.parametrize(
    ("path", "words"),
    [("kind", ("semantic", "physics")), ("method", ("draft", "window")), ("steps", ()), ("reward", ())],
)
def test_legal_words(path: str, words: tuple[str, ...]) -> None:
    field = field_at(ToyPreset, path)
    assert field is not None and choices_of(field) == words


@pytest.mark.parametrize(
    "path", ["seed", "optimiser", "optimiser.lr", "method.k", "weights", "weights.my_own"]
)
def test_a_field_a_group_or_an_open_name_is_known(path: str) -> None:
    assert unknown_field(path, FinetunePreset) is None


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("optimizer", "unknown field. Did you mean optimiser"),
        ("optimiser.lrr", "unknown field. Did you mean lr"),
        ("steps.k", "unknown field; it has no parts"),
        ("", "unknown field. Valid names: balance, batch, "),
    ],
)
def test_an_unknown_path_is_answered_with_the_nearest(path: str, said: str) -> None:
    assert str(unknown_field(path, FinetunePreset)).startswith(said)


def test_changed_fields_are_those_that_differ_from_their_defaults_group_by_group() -> None:
    preset = FinetunePreset(steps=20, method={"method": "draft", "k": 3}, optimiser={"lr": 1e-4})
    assert dict(changed_fields(preset)) == {
        "method.method": "draft",
        "method.k": 3,
        "steps": 20,
        "optimiser.lr": 1e-4,
        "optimiser.warmup": 0,
    }
    assert list(changed_fields(FinetunePreset())) == []
