"""Methods that learn from chance find a sampler that has some, say so, and refuse what has none."""

import pytest

from motionrft.errors import UserError
from motionrft.finetuning.preset import FinetunePreset
from motionrft.finetuning.sampling_choice import tuning_sampling
from tests.generators.families import TINY, tiny


def chosen(family, method="ddpo", **values):
    said = []
    preset = FinetunePreset.of({"method": method, **values})
    generator = tiny(family)
    sampling = tuning_sampling(generator, preset, said.append)
    return sampling, generator.process_with(sampling), said


@pytest.mark.parametrize("family", sorted(TINY))
def test_every_family_is_sampled_with_noise_without_being_told(family):
    sampling, process, said = chosen(family, {"method": "ddpo"}, steps=4)
    assert any(process.stochastic) and process.steps == 4
    assert not said or sampling.title in said[0]
    plain, _, quiet = chosen(family, {"method": "easytune", "k": 4}, steps=4)
    assert plain == tiny(family).sampling(steps=4) and quiet == []


def test_flows_get_the_noise_of_the_variant():
    for variant, sampler, eta in (("flow", "flow-sde", 0.7), ("dance", "dance-sde", 0.3)):
        sampling, _, said = chosen("acmdm", {"method": "grpo", "variant": variant}, steps=4)
        assert (sampling.sampler, sampling.eta) == (sampler, eta) and sampler in said[0]


def test_what_the_user_set_stays():
    sampling, _, said = chosen("mld", {"method": "ddpo"}, steps=4, eta=0.5)
    assert sampling.eta == 0.5 and said == []
    sampling, _, _ = chosen("acmdm", {"method": "ddpo"}, steps=4, sampler="euler")
    assert (sampling.sampler, sampling.eta) == ("euler", 0.7)


@pytest.mark.parametrize("values", [{"eta": 0.0}, {"sampler": "dpm"}])
def test_a_deterministic_sampler_is_refused(values):
    with pytest.raises(UserError, match="ddpo learns from stochastic steps"):
        chosen("mld", {"method": "ddpo"}, steps=4, **values)


def test_a_shift_is_for_flows_and_travels():
    sampling, process, _ = chosen("acmdm", {"method": "grpo"}, steps=4, shift=3.0)
    plain = tiny("acmdm").process_with(tiny("acmdm").sampling("flow-sde", steps=4))
    assert sampling.plain()["shift"] == 3.0 and process.timesteps[1] < plain.timesteps[1]
    with pytest.raises(UserError, match="mld is no flow"):
        chosen("mld", {"method": "ddpo"}, shift=3.0)


def test_compiled_sampling_is_refused_where_ratios_are_taken():
    with pytest.raises(ValueError, match="leave compile out"):
        FinetunePreset.of({"method": {"method": "grpo"}, "compile": True})
