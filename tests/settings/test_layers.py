"""flag > --set > environment > --preset file > defaults, and every mistake at once."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motionrft.errors import UserError
from motionrft.finetuning.preset import FinetunePreset
from motionrft.settings.layers import merge, nest, resolve
from motionrft.settings.plain_yaml import read_yaml
from tests.settings.models import Draft, ToyPreset, Window


def toy(*set_arguments: str, **arguments: Any) -> ToyPreset:
    arguments.setdefault("environment", {})
    return resolve(ToyPreset, settings=set_arguments, **arguments)


def test_nothing_given_is_the_defaults() -> None:
    assert toy() == ToyPreset()


def test_each_layer_wins_over_the_one_below(tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    file.write_text("steps: 2\nseed: 2\nreward: file\nkind: physics\noptimiser: {lr: 2, warmup: 2}\n")
    environment = {"MOTIONRFT_SET_steps": "3", "MOTIONRFT_SET_seed": "3", "MOTIONRFT_SET_optimiser__lr": "3"}
    preset = toy(
        "seed=4", "steps=4", preset=str(file), environment=environment, flags={"steps": ("--steps", 5)}
    )
    assert (preset.steps, preset.seed, preset.optimiser.lr, preset.optimiser.warmup) == (5, 4, 3.0, 2)
    assert (preset.reward, preset.kind, preset.precision) == ("file", "physics", "auto")


def test_the_device_variable_is_environment() -> None:
    environment = {"MOTIONRFT_DEVICE": "cuda:1"}
    assert toy(environment=environment).device == "cuda:1"
    assert toy("device=cpu", environment=environment).device == "cpu"


def test_a_later_setting_wins() -> None:
    assert toy("steps=3", "steps=4").steps == 4


def test_a_setting_may_hold_equals_signs_and_a_mapping() -> None:
    assert toy("reward=a=b").reward == "a=b"
    assert toy("weights={physics: 0.5}", "weights.semantic=2").weights == {"physics": 0.5, "semantic": 2.0}


def test_one_word_chooses_a_variant() -> None:
    assert toy("method=window").method == Window()
    assert toy(flags={"method": ("--method", "window")}).method == Window()


def test_choosing_another_variant_drops_the_fields_of_the_old_one(tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    file.write_text("method: {method: draft, k: 7}\n")
    assert toy(preset=str(file)).method == Draft(k=7)
    assert toy("method=window", "method.start=5", preset=str(file)).method == Window(start=5)
    assert toy("method=draft", preset=str(file)).method == Draft(k=7)


def test_a_field_without_a_variant_is_meant_for_the_chosen_one(tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    file.write_text("method: {method: draft, k: 7}\n")
    flag = {"method": ("--method", "window")}
    assert toy("method.start=5", preset=str(file), flags=flag).method == Window(start=5)
    assert toy("method.k=5").method == Draft(k=5)


def test_every_mistake_is_reported_at_once_with_its_source_value_and_nearest_name(tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    file.write_text("optimizer: {lr: 1}\nmethod: {method: window, k: 3}\nkind: phisics\n")
    with pytest.raises(UserError) as raised:
        toy("optimiser.lrr=3", "optimiser.lr=fast", preset=str(file), flags={"steps": ("--steps", 0)})
    lines = str(raised.value).splitlines()
    assert len(lines) == 6
    assert f"{file}: optimizer: unknown field (value {{'lr': 1}}). Did you mean optimiser?" in lines
    assert f"{file}: method.k: unknown field (value 3). Valid names: method, start" in lines
    assert (
        f"{file}: kind = 'phisics': input should be 'semantic' or 'physics'. Did you mean physics?" in lines
    )
    assert "--set optimiser.lrr: unknown field (value 3). Did you mean lr?" in lines
    assert any(
        line.startswith("--set optimiser.lr = 'fast': input should be a valid number") for line in lines
    )
    assert "--steps = 0: input should be greater than or equal to 1" in lines


def test_an_unknown_variant_names_the_nearest() -> None:
    with pytest.raises(UserError, match=r"Did you mean draft\?"):
        toy("method=drafd")


def test_an_unknown_variable_is_an_error_that_names_it() -> None:
    with pytest.raises(UserError, match="MOTIONRFT_SET_stepz: stepz: unknown field"):
        toy(environment={"MOTIONRFT_SET_stepz": "3"})


@pytest.mark.parametrize("argument", ["steps", "=3", "a..b=3", ".=1", ""])
def test_a_setting_without_key_or_value_is_explained(argument: str) -> None:
    with pytest.raises(UserError, match="KEY=VALUE"):
        toy(argument)


def test_a_preset_that_is_a_list_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    file.write_text("- a\n")
    with pytest.raises(UserError, match="this is a list"):
        toy(preset=str(file))


def test_not_finite_numbers_are_refused() -> None:
    with pytest.raises(UserError, match="finite"):
        toy("optimiser.lr=.nan")


@settings(deadline=None, max_examples=50)
@given(
    steps=st.integers(1, 1000),
    lr=st.floats(1e-12, 1e3),
    reward=st.none() | st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=20),
    weights=st.dictionaries(
        st.sampled_from(["a", "no", "on", "1e4", "x y"]), st.floats(-1e6, 1e6), max_size=4
    ),
    method=st.sampled_from([Draft(k=3), Window(start=0)]),
)
def test_what_is_shown_resolves_to_the_same(
    steps: int, lr: float, reward: str | None, weights: dict[str, float], method: Draft | Window
) -> None:
    preset = ToyPreset(steps=steps, reward=reward, weights=weights, method=method, optimiser={"lr": lr})
    assert ToyPreset.of(read_yaml(preset.to_yaml(), "shown")) == preset


def test_merge_leaves_its_input_alone() -> None:
    update = {"a": {"b": [1]}}
    base: dict[str, Any] = {}
    merge(base, update, (), {})
    merge(base, nest("a.b", [2]), (), {})
    assert base == {"a": {"b": [2]}} and update == {"a": {"b": [1]}}


def test_a_group_that_is_given_in_part_keeps_the_rest_of_its_own_default() -> None:
    """The optimiser of fine-tuning warms up for 100 updates unless it is told otherwise, whatever its rate."""
    preset = resolve(FinetunePreset, settings=["optimiser.lr=1e-4"], environment={})
    assert (preset.optimiser.lr, preset.optimiser.warmup) == (1e-4, FinetunePreset().optimiser.warmup)


def test_one_entry_of_a_dictionary_leaves_the_others() -> None:
    weights = resolve(FinetunePreset, settings=["weights.similarity=0"], environment={}).weights
    assert weights == {"semantic": 1.0, "similarity": 0.0}
    given = resolve(FinetunePreset, environment={"MOTIONRFT_SET_weights__jitter": "-0.1"}).weights
    assert given == {"semantic": 1.0, "similarity": 1.0, "jitter": -0.1}
    whole = resolve(
        FinetunePreset, settings=["weights={semantic: 2}", "weights.jitter=-1"], environment={}
    ).weights
    assert whole == {"semantic": 2.0, "jitter": -1.0}


def test_nothing_is_added_to_a_dictionary_that_is_a_word() -> None:
    with pytest.raises(UserError, match="weights is 'balanced', to which nothing can be added"):
        resolve(FinetunePreset, settings=["weights=balanced", "weights.semantic=0"], environment={})


def test_settings_beside_several_methods_go_to_each_that_has_them() -> None:
    flags = {"method": ("--method", "easytune,draft,refl")}
    preset = resolve(FinetunePreset, settings=["method.k=3"], flags=flags, environment={})
    found = {name: getattr(variant.method, "k", None) for name, variant in preset.variants().items()}
    assert found == {"easytune": 3, "draft": 3, "refl": None}
    again = FinetunePreset.of(read_yaml(preset.to_yaml(), "written"))
    assert again == preset and again.variants() == preset.variants()


@pytest.mark.parametrize(
    ("method", "settings", "said"),
    [
        ("draft,refl", ["method.rho=0.5"], "method.rho: none of draft, refl has this setting"),
        ("draft", ["compare={refl: {}}", "method.k=3"], "draft is not compared"),
        *(
            (method, ["method.recompute=true"], "method.recompute: ")
            for method in ("ddpo", "grpo", "sopo", "dpo", "sft")
        ),
    ],
)
def test_a_setting_of_a_method_that_would_do_nothing_is_refused(
    method: str, settings: list[str], said: str
) -> None:
    with pytest.raises(UserError, match=said):
        resolve(
            FinetunePreset,
            settings=[*settings, "data=folder"],
            flags={"method": ("--method", method)},
            environment={},
        )
