"""Dotted paths through a model."""

import pytest

from motionrft.presets.fields import choices_of, field_at
from tests.presets.models import ToyPreset


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
