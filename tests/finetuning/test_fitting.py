"""What a run is told, or refused, where its reward and its prompts do not fit."""

from dataclasses import replace

import pytest
import torch

from motionrft.errors import UserError
from motionrft.finetuning.fitting import check_contrast, check_perception
from motionrft.finetuning.prompts import PromptSet
from motionrft.reward.unified import Part, UnifiedReward
from tests.finetuning.small import small_preset, small_reward

TELLING, SILENT = "a person bows twice", "a person bows"


def prompts(*texts: str) -> PromptSet:
    return PromptSet(list(texts), torch.full((len(texts),), 24))


def contrasting(mode: str = "M1T0") -> UnifiedReward:
    """A reward asked for the term, among others as in a run."""
    reward = small_reward()
    reward.network.size = replace(reward.network.size, mode=mode)
    reward.noise_steps = 500
    reward.weigh({"semantic": 1.0, "contrast": 1.0})
    return UnifiedReward([Part(reward, reward.width)])


def test_prompts_of_which_a_contrast_knows_nothing_are_counted_and_refused_where_it_knows_none() -> None:
    assert check_contrast(contrasting(), prompts(TELLING)) is None
    assert "1 of 2 prompts" in str(check_contrast(contrasting(), prompts(TELLING, SILENT)))
    with pytest.raises(UserError, match="none of the 1 prompts tells an order"):
        check_contrast(contrasting(), prompts(SILENT))
    assert check_contrast(small_reward(), prompts(SILENT)) is None


def test_every_caption_of_a_prompt_counts() -> None:
    several = PromptSet([SILENT], torch.tensor([24]), captions=[(SILENT, TELLING)])
    assert "1 of 2" in str(check_contrast(contrasting(), several))


@pytest.mark.parametrize(
    "mode, judge, fits", [("M1T0", "next", True), ("M1T1", "x0", True), ("M1T1", "next", False)]
)
def test_a_contrast_of_texts_that_are_read_at_each_noise_level_is_refused(
    mode: str, judge: str, fits: bool
) -> None:
    preset = small_preset(method={"method": "easytune", "k": 4, "judge": judge})
    if fits:
        check_perception(preset, contrasting(mode))
    else:
        with pytest.raises(UserError, match="at each noise level"):
            check_perception(preset, contrasting(mode))
