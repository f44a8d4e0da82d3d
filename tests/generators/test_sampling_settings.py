"""What motions are sampled with: chosen, published, saved with the tuned model, refused where it means nothing."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from motionrft.diffusion.sampler import sampler_named
from motionrft.errors import UserError
from motionrft.generators import Generator, read_generator, save_generator
from motionrft.generators.sampling import sample
from motionrft.generators.sampling_settings import SamplingSettings
from tests.generators.families import TINY, encoder_for, tiny

ONE_A_FAMILY = ("mld", "motionlcm", "mdm", "motiondiffuse", "stablemofusion", "acmdm", "hymotion")
EVERY_SAMPLER = [
    (name, sampler)
    for name in ONE_A_FAMILY
    for sampler in tiny(name).samplers
    if (name, sampler) != ("hymotion", "dopri5")  # seconds of small steps; ACMDM has the same solver
]


def drawn(generator: Generator, sampling: SamplingSettings | None = None) -> torch.Tensor:
    condition = generator.encode_text(["a person walks"])
    return sample(generator, condition, torch.tensor([24]), [5], sampling).motion


def other_settings(generator: Generator, sampler: str) -> SamplingSettings:
    """Settings with that sampler that differ from the published ones in whatever it takes."""
    adaptive = generator.samplers[sampler] is None
    usual = generator.sampling(sampler, steps=None if adaptive else 4)
    eta = 0.5 if sampler_named(sampler).takes_eta else 0.0
    return replace(usual, eta=eta, guidance=1.0 if usual.guidance == 1 else usual.guidance / 2)


@pytest.mark.parametrize("name, sampler", EVERY_SAMPLER)
def test_what_was_tuned_with_travels_with_the_saved_model(name: str, sampler: str, tmp_path: Path) -> None:
    generator = tiny(name)
    tuned_with = other_settings(generator, sampler)
    save_generator(generator, tmp_path / "tuned", sampling=tuned_with)
    tuned = read_generator(tmp_path / "tuned")
    tuned.use_text_encoder(encoder_for(name))
    assert tuned.sampling() == tuned_with
    torch.testing.assert_close(drawn(tuned), drawn(generator, tuned_with))
    save_generator(tuned, tmp_path / "again")
    assert read_generator(tmp_path / "again").sampling() == tuned_with


@pytest.mark.parametrize("name", TINY)
def test_the_published_choice_without_any_other(name: str) -> None:
    generator = tiny(name)
    published = generator.sampling()
    assert published.sampler == next(iter(generator.samplers))
    assert (published.eta, published.guidance, published.fps) == (0.0, generator.guidance, generator.fps)


def test_another_sampler_than_the_tuned_one_means_its_published_steps_without_eta() -> None:
    generator = tiny("mdm")
    generator.tuned_with = SamplingSettings("ddim", 0.7, 5, 1.5, 20.0)
    assert generator.sampling("ddpm") == SamplingSettings("ddpm", 0.0, 10, 1.5, 20.0)
    assert generator.sampling(guidance=3.0) == SamplingSettings("ddim", 0.7, 5, 3.0, 20.0)


@pytest.mark.parametrize(
    "name, wrong, message",
    [
        ("mdm", {"sampler": "ddmp"}, "no sampler 'ddmp' for the family mdm; there are ddpm, ddim"),
        ("mdm", {"eta": 0.5}, "ddpm takes no noise"),
        ("motionlcm", {"eta": 0.5}, "lcm takes no noise"),
        ("stablemofusion", {"eta": 0.5}, "dpm-sde takes no noise"),
        ("acmdm", {"sampler": "heun", "eta": 0.5}, "heun takes no noise"),
        ("acmdm", {"sampler": "dopri5", "steps": 50}, "steps of its own choice"),
    ],
)
def test_settings_that_would_do_nothing_are_refused(name: str, wrong: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        tiny(name).sampling(**wrong)


def test_a_distilled_model_keeps_its_guidance_embedding_under_another_sampler() -> None:
    generator = tiny("motionlcm")
    ddim = generator.sampling("ddim", steps=4)
    assert generator.encode_text(["walk"]).null is None
    assert not torch.equal(drawn(generator, ddim), drawn(generator, replace(ddim, guidance=2.0)))


def test_frames_are_derived_from_seconds() -> None:
    seconds = torch.tensor([0.1, 2.0, 6.0, 60.0])
    assert tiny("hymotion").frames(seconds).tolist() == [20, 60, 180, 360]
    assert tiny("mdm").frames(seconds).tolist() == [16, 40, 120, 196]
