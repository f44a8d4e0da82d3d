"""Both stages on a small data set: losses fall, a resumed run equals an uninterrupted one, mistakes are said."""

import json
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

from motionrft.errors import UserError
from motionrft.generators.folder import read_generator
from motionrft.pretraining.preset import PretrainPreset
from motionrft.pretraining.run import Pretraining
from motionrft.training.progress import Silent

pytestmark = pytest.mark.usefixtures("hashed_words")
CPU = torch.device("cpu")


def _pretraining(preset: PretrainPreset, out: Path, **options) -> Pretraining:
    return Pretraining.prepare(preset, out, CPU, lambda stage: Silent(), **options)


def _metrics(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_both_stages_learn_and_leave_a_generator_that_samples(preset, tmp_path):
    pretraining = _pretraining(preset, tmp_path / "out")
    pretraining.train_autoencoder()
    pretraining.train_denoiser()
    for stage in ("autoencoder", "denoiser"):
        losses = [line["loss"] for line in _metrics(tmp_path / "out" / stage)]
        assert sum(losses[-5:]) < sum(losses[:5])
    generator = read_generator(tmp_path / "out" / "generator")
    latents = generator.encode(torch.randn(2, 20, 263), torch.tensor([20, 11]))
    assert generator.decode(latents, torch.tensor([20, 11])).shape == (2, 20, 263)


def test_training_latents_are_white(preset, tmp_path):
    pretraining = _pretraining(preset, tmp_path / "out")
    pretraining.train_autoencoder()
    pretraining.train_denoiser()
    generator = read_generator(tmp_path / "out" / "generator")
    clips = [pretraining.train.motion(item)[None] for item in range(len(pretraining.train))]
    latents = torch.cat([generator.encode(clip, torch.tensor([clip.shape[1]]))[0] for clip in clips])
    torch.testing.assert_close(latents.mean(0), torch.zeros(4), atol=0.05, rtol=0)
    assert ((latents.std(0) > 0.1) & (latents.std(0) < 1.1)).all()


def test_a_run_cut_short_and_resumed_equals_an_uninterrupted_one(preset, tmp_path):
    whole = _pretraining(preset, tmp_path / "whole")
    whole.train_autoencoder()
    stage = preset.autoencoder.model_copy(update={"updates": 30})
    part = _pretraining(preset.model_copy(update={"autoencoder": stage}), tmp_path / "part")
    part.train_autoencoder()
    for folder in (tmp_path / "part/autoencoder/checkpoints").glob("step-30"):
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()
    (tmp_path / "part/autoencoder/LATEST").write_text("step-20\n")
    again = _pretraining(preset, tmp_path / "part", resume=True)
    again.train_autoencoder()
    a, b = (read_generator(tmp_path / name / "autoencoder" / "model") for name in ("whole", "part"))
    for name, tensor in a.vae.state_dict().items():
        assert torch.equal(tensor, b.vae.state_dict()[name]), name


def test_a_second_stage_stopped_before_its_first_validation_goes_on(preset, tmp_path):
    pretraining = _pretraining(preset, tmp_path / "out")
    pretraining.train_autoencoder()
    stage = preset.denoiser.model_copy(update={"updates": 3, "validate_every": 1000})
    _pretraining(preset.model_copy(update={"denoiser": stage}), tmp_path / "out").train_denoiser()
    longer = preset.model_copy(update={"denoiser": stage.model_copy(update={"updates": 5})})
    _pretraining(longer, tmp_path / "out", resume=True, allow_changed=("denoiser.updates",)).train_denoiser()
    assert [line["update"] for line in _metrics(tmp_path / "out/denoiser")] == [1, 2, 3, 4, 5]


def test_the_second_stage_alone_needs_the_first(preset, tmp_path):
    with pytest.raises(UserError, match="Train the first stage"):
        _pretraining(preset, tmp_path / "out").train_denoiser()


def test_no_data_set_is_a_users_mistake(preset, tmp_path):
    with pytest.raises(UserError, match="--data"):
        _pretraining(preset.model_copy(update={"data": None}), tmp_path / "out")


def test_patience_ends_the_denoiser_once_validation_stops_falling(preset, tmp_path):
    stage = preset.denoiser.model_copy(
        update={
            "updates": 400,
            "patience": 1,
            "optimiser": preset.denoiser.optimiser.model_copy(update={"lr": 0.3}),
        }
    )
    pretraining = _pretraining(preset.model_copy(update={"denoiser": stage}), tmp_path / "out")
    pretraining.train_autoencoder()
    result = pretraining.train_denoiser()
    assert len(_metrics(tmp_path / "out/denoiser")) < 400
    assert result["update"] < len(_metrics(tmp_path / "out/denoiser"))


def test_a_generator_trained_further_begins_with_its_base_and_keeps_its_statistics(preset, tmp_path):
    first = _pretraining(preset, tmp_path / "first")
    first.train_autoencoder()
    first.train_denoiser()
    base = read_generator(tmp_path / "first" / "generator")

    still = preset.denoiser.optimiser.model_copy(update={"lr": 1e-9})
    stage = preset.denoiser.model_copy(update={"updates": 1, "optimiser": still})
    named = {
        "base": str(tmp_path / "first" / "generator"),
        "denoiser": stage,
        "stage": "denoiser",
        "generator": {},
    }
    _pretraining(preset.model_copy(update=named), tmp_path / "further").train_denoiser()
    further = read_generator(tmp_path / "further" / "generator")
    assert further.to_config() == base.to_config()
    for name, tensor in further.state_dict().items():
        torch.testing.assert_close(tensor, base.state_dict()[name], atol=1e-6, rtol=0, msg=name)


def test_an_autoencoder_trained_further_is_what_the_second_stage_stands_on(preset, tmp_path):
    first = _pretraining(preset, tmp_path / "first")
    first.train_autoencoder()
    first.train_denoiser()
    again = preset.model_copy(update={"base": str(tmp_path / "first" / "generator")})
    further = _pretraining(again, tmp_path / "further")
    further.train_autoencoder()
    further.train_denoiser()
    trained = read_generator(tmp_path / "further" / "autoencoder" / "model")
    result = read_generator(tmp_path / "further" / "generator")
    base = read_generator(tmp_path / "first" / "generator")
    for name, tensor in result.vae.state_dict().items():
        assert torch.equal(tensor, trained.vae.state_dict()[name]), name
    first_layer = "enter.conv.weight"
    assert not torch.equal(result.vae.state_dict()[first_layer], base.vae.state_dict()[first_layer])


def test_a_decoder_trained_alone_leaves_encoder_and_denoiser_as_they_were(preset, tmp_path):
    first = _pretraining(preset, tmp_path / "first")
    first.train_autoencoder()
    first.train_denoiser()
    base = read_generator(tmp_path / "first" / "generator")
    alone = preset.autoencoder.model_copy(update={"decoder_only": True})
    named = {"base": str(tmp_path / "first" / "generator"), "autoencoder": alone}
    _pretraining(preset.model_copy(update=named), tmp_path / "further").train_autoencoder()
    before, after = base.state_dict(), read_generator(tmp_path / "further/autoencoder/model").state_dict()
    changed = {name for name, tensor in after.items() if not torch.equal(tensor, before[name])}
    assert changed and all(name.startswith(("vae.from_latent", "vae.up", "vae.leave")) for name in changed)


def test_a_decoder_alone_needs_a_base(preset):
    with pytest.raises(ValidationError, match="name it with base"):
        PretrainPreset.model_validate(preset.model_dump() | {"autoencoder": {"decoder_only": True}})
