"""Every method's plan as a literal table, and laws that hold for all of them."""

import random
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motionrft.diffusion.plan import plan_rows, updates, visited
from motionrft.errors import UserError
from motionrft.finetuning.methods.alignprop import AlignPropPreset
from motionrft.finetuning.methods.base import method_named, plan_of, usable_methods
from motionrft.finetuning.methods.draft import DraftPreset
from motionrft.finetuning.methods.drtune import DRTunePreset
from motionrft.finetuning.methods.easytune import EasyTunePreset, window
from motionrft.finetuning.methods.easytune_chain import EasyTuneChainPreset
from motionrft.finetuning.methods.refl import ReflPreset


def table(preset, steps=6, progress=1.0, seed=0):
    rows = plan_rows(plan_of(preset, steps, progress, random.Random(seed)))
    return "\n".join(" ".join(cell or "." for cell in row) for row in rows)


def test_easytune_begins_at_the_noisiest_steps_and_stops_after_its_window():
    assert table(EasyTunePreset(k=2), progress=0) == (
        "0 yes all x0 step .\n"
        "1 yes all x0 step yes\n"
        "2-5 . . . . ."
    )  # fmt: skip


def test_easytune_ends_at_the_cleanest_steps():
    assert table(EasyTunePreset(k=3, judge="next")) == (
        "0-2 . . . . .\n"
        "3-4 yes all next step .\n"
        "5 yes all next step yes"
    )  # fmt: skip


def test_easytune_chain_updates_the_second_copy():
    assert table(EasyTuneChainPreset(k=2)) == (
        "0-3 . . . . .\n"
        "4 yes all x0 chain .\n"
        "5 yes all x0 chain yes"
    )  # fmt: skip


def test_refl_judges_one_random_step_near_the_clean_end():
    assert table(ReflPreset(m=1)) == (
        "0-4 . . . . .\n"
        "5 yes all x0 step yes"
    )  # fmt: skip
    assert table(ReflPreset(m=3), seed=0) == (
        "0-3 . . . . .\n"
        "4 yes all x0 step yes\n"
        "5 . . . . ."
    )  # fmt: skip
    stops = {table(ReflPreset(m=3), seed=s) for s in range(50)}
    assert len(stops) == 3, "all of the last m steps are drawn, and no other"


def test_draft_keeps_graph_only_for_the_last_k_steps():
    assert table(DraftPreset(k=3)) == (
        "0-2 . . . . .\n"
        "3-4 yes . . . .\n"
        "5 yes . next step yes"
    )  # fmt: skip


def test_draft_lv_repeats_the_last_step():
    assert table(DraftPreset(copies=2)) == (
        "0-4 . . . . .\n"
        "5 yes . next x2 step yes"
    )  # fmt: skip


def test_alignprop_keeps_graph_for_a_random_suffix():
    assert table(AlignPropPreset(start="uniform"), seed=1) == (
        "0-1 . . . . .\n"
        "2-4 yes . . . .\n"
        "5 yes . next step yes"
    )  # fmt: skip
    plans = [plan_of(AlignPropPreset(), 50, 0, random.Random(n)) for n in range(300)]
    starts = [sum(not step.graph for step in plan) for plan in plans]
    assert 40 < sum(starts) / 300 < 42 and min(starts) >= 1 and max(starts) == 49


def test_alignprop_by_coin_keeps_graph_independently():
    assert table(AlignPropPreset(coin=0.5), seed=1) == (
        "0 yes . . . .\n"
        "1-2 . . . . .\n"
        "3-4 yes . . . .\n"
        "5 yes . next step yes"
    )  # fmt: skip


def test_drtune_spaces_its_steps_and_stops_early():
    assert table(DRTunePreset(k=2, m=2), seed=0) == (
        "0 yes net . . .\n"
        "1-2 . net . . .\n"
        "3 yes net . . .\n"
        "4 . net . . .\n"
        "5 . net x0 step yes"
    )  # fmt: skip


def test_the_curriculum_slides_from_the_noisiest_to_the_cleanest_window():
    starts = [window(50, 10, 0.4, p)[0] for p in (-1, 0, 0.1, 0.2, 0.4, 1, 2)]
    assert starts == [0, 0, 10, 20, 40, 40, 40]
    assert window(50, 10, 0.0, 0.0) == range(40, 50)


def test_halves_round_to_even_as_documented():
    assert [window(7, 2, 1.0, p)[0] for p in (0.1, 0.3, 0.5)] == [0, 2, 2]  # 0.5, 1.5 and 2.5


@pytest.mark.parametrize(
    "preset",
    [EasyTunePreset(k=7), ReflPreset(m=7), DraftPreset(k=7), DRTunePreset(k=7), DRTunePreset(k=1, m=7)],
)
def test_more_steps_than_the_trajectory_has_are_refused(preset):
    with pytest.raises(UserError, match=r"7, but the trajectory has 6 denoising steps"):
        table(preset)


def test_copies_of_the_last_step_refuse_a_longer_chain():
    with pytest.raises(ValueError, match="needs k 1, but k is 2"):
        DraftPreset(k=2, copies=2)


PLANNED = [name for name, method in usable_methods().items() if method.follows_plan]


@given(
    name=st.sampled_from(PLANNED),
    steps=st.integers(10, 60),
    progress=st.floats(0, 1),
    seed=st.integers(0, 999),
)
def test_every_plan_can_run(name, steps, progress, seed):
    """One answer a step; what is judged updates; the trajectory ends with an update."""
    plan = plan_of(method_named(name).preset(), steps, progress, random.Random(seed))
    assert len(plan) == steps
    walked = visited(plan)
    assert walked[-1].last and walked[-1].update and updates(plan) >= 1
    assert all((step.reward is None) == (step.update is None) for step in walked)
    assert all(step.update is None or step.detach or i == len(walked) - 1 for i, step in enumerate(walked))
    again = plan_of(method_named(name).preset(), steps, progress, random.Random(seed))
    assert plan == again, "a plan is a pure function"


def test_plans_need_no_torch():
    code = "import sys, motionrft.finetuning.preset; sys.exit(bool({'torch', 'numpy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
