"""The models that travel with the package load by name, and say what they were trained on."""

import json
from pathlib import Path

import pytest

import motionrft.builtin
from motionrft import builtin
from motionrft.errors import UserError
from motionrft.evaluation.evaluators import load_evaluator
from motionrft.evaluation.items import FixedItems
from motionrft.loading import load_generator, load_reward
from motionrft.text.loading import load_text_encoder

CARDS = sorted(Path(motionrft.builtin.__file__).parent.rglob("README.md"))


@pytest.mark.parametrize("name", builtin.NAMES)
def test_every_set_has_a_generator_a_reward_and_an_evaluator(name: str) -> None:
    generator = load_generator(name)
    assert (generator.representation, generator.fps) == ("kinematic", builtin.FPS)
    assert load_reward(name).width > 0
    assert load_evaluator(name) is not None


@pytest.mark.parametrize("name", builtin.NAMES)
@pytest.mark.parametrize("split", ["val", "test"])
def test_items_were_embedded_by_the_evaluator_that_is_here(name: str, split: str) -> None:
    items = FixedItems.load(builtin.items_path(split, name))
    items.check_evaluator(load_evaluator(name))
    assert len(items.items) >= 96 and items.real is not None and items.labels is not None


def test_the_models_of_the_wider_world_stay_small() -> None:
    files = [file for file in builtin.resolve(builtin.WORLD, "generator").parent.rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) <= 30 * 2**20


def test_the_generator_of_motion_tokens_is_small_and_alone() -> None:
    generator = load_generator(builtin.TOKENS)
    assert (generator.kind, generator.representation, generator.fps) == ("tokens", "kinematic", builtin.FPS)
    folder = builtin.resolve(builtin.TOKENS, "generator")
    assert sum(file.stat().st_size for file in folder.iterdir()) <= 6 * 2**20
    with pytest.raises(UserError, match="a generator alone: its evaluator is that of builtin"):
        load_evaluator(builtin.TOKENS)


@pytest.mark.parametrize("name", builtin.NAMES)
def test_rewards_were_trained_on_the_texts_that_are_read_here(name: str) -> None:
    config = json.loads((builtin.resolve(name, "reward") / "config.json").read_text())
    assert config["text_identity"] == load_text_encoder(config["text"]).identity


def test_a_reward_of_the_wider_world_learnt_noise() -> None:
    assert load_reward(builtin.WORLD, {"semantic": 1.0}).learnt_noise


@pytest.mark.parametrize("critic", ["preference", "authenticity"])
def test_a_reward_of_the_wider_world_has_critics(critic: str) -> None:
    assert critic in load_reward(builtin.WORLD, {"semantic": 1.0, critic: 0.1}).term_weights


@pytest.mark.parametrize("card", CARDS, ids=lambda path: "-".join(path.parts[-3:-1]))
def test_every_card_names_the_licence_of_the_data(card: Path) -> None:
    assert "CC BY-NC 4.0" in card.read_text()
