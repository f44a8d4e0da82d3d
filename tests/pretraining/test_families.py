"""Every pretrain preset at tiny size: it trains, its generator loads and samples, and a resumed run has the same bits."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from motionrft.errors import UserError
from motionrft.generators.base import Condition, Generator
from motionrft.generators.folder import read_generator
from motionrft.generators.sampling import sample
from motionrft.generators.text_to_motion import TextToMotion
from motionrft.pretraining.objective import Regression
from motionrft.pretraining.preset import PretrainPreset
from motionrft.pretraining.run import Pretraining
from motionrft.settings.discovery import shipped_folder
from motionrft.training.progress import Silent
from tests.generators.families import WordEncoder
from tests.pretraining.people_data import SMALLER, tiny, write_people

PRESETS = sorted(file.stem for file in (shipped_folder() / "pretrain").glob("*.yaml"))
LENGTHS = torch.tensor([24, 40])
CLIP_STATES = ("motiondiffuse", "stablemofusion")


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_people(tmp_path_factory.mktemp("people") / "set")


@pytest.fixture(autouse=True)
def texts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Texts are read without a pretrained encoder; CLIP's states come at a fixed number of positions."""
    monkeypatch.setattr(
        "motionrft.text.load_text_encoder",
        lambda name: WordEncoder(positions=16 if name == "clip-b32-states" else None),
    )


def run(preset: PretrainPreset, out: Path, **options: bool) -> Path:
    """Train every stage that there is."""
    pretraining = Pretraining.prepare(preset, out, torch.device("cpu"), lambda stage: Silent(), **options)
    if "autoencoder" in pretraining.stages:
        assert pretraining.train_autoencoder()["error_mm"] > 0
    if "denoiser" in pretraining.stages:
        pretraining.train_denoiser()
    if "language-model" in pretraining.stages:
        pretraining.train_language_model()
    return out


def second_stage(out: Path) -> Path:
    tokens = out / "language-model"
    return tokens if tokens.exists() else out / "denoiser"


def losses(out: Path) -> list[float]:
    lines = (second_stage(out) / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line)["loss"] for line in lines]


@pytest.fixture(scope="module")
def teacher(people: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("motionrft.text.load_text_encoder", lambda name: WordEncoder())
        return run(tiny("mldpp", people, 2), tmp_path_factory.mktemp("teacher") / "out") / "generator"


def shrunk(name: str, people: Path, teacher: Path, updates: int, *settings: str) -> PretrainPreset:
    more = [f"teacher={teacher}"] if name == "motionlcm" else []
    return tiny(name, people, updates, *more, *settings)


def motions_of(generator: TextToMotion) -> torch.Tensor:
    condition = generator.encode_text(["left hand", "both hand"])
    few = generator.sampling()
    if isinstance(generator, Generator):
        few = generator.sampling(steps=min(4, generator.process().steps))
    return sample(generator, condition, LENGTHS, [1, 2], few).motion


def same_weights(one: Path, other: Path) -> bool:
    a, b = (read_generator(path / "generator").state_dict() for path in (one, other))
    return all(torch.equal(tensor, b[name]) for name, tensor in a.items())


def test_every_shipped_preset_has_a_tiny_size() -> None:
    assert sorted(SMALLER) == PRESETS


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_trains_and_its_generator_samples(
    name: str, people: Path, teacher: Path, tmp_path: Path
) -> None:
    out = run(shrunk(name, people, teacher, 3), tmp_path / "out")
    assert len(losses(out)) == 3 and all(loss > 0 for loss in losses(out))
    generator = read_generator(out / "generator")
    found = motions_of(generator)
    assert found.shape[:2] == (2, 40) and torch.isfinite(found).all() and (found[0, :24] != 0).any()
    assert (generator.std > 0).any() and not torch.equal(generator.std, torch.ones_like(generator.std))


def test_some_words_of_captions_are_hidden_and_the_null_text_is_whole(
    people: Path, teacher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, loss, states = [], Regression.loss, WordEncoder._states
    # As T5's: the null text is one token.
    monkeypatch.setattr(WordEncoder, "_states", lambda self, text: states(self, text)[: None if text else 1])

    def watched(
        self: Regression, x0: torch.Tensor, lengths: torch.Tensor, condition: Condition, *more: Any
    ) -> Any:
        seen.append(condition.text)
        return loss(self, x0, lengths, condition, *more)

    monkeypatch.setattr(Regression, "loss", watched)

    def masks(share: float) -> list[torch.Tensor]:
        seen.clear()
        sets = [f"denoiser.token_drop={share}", "denoiser.text_drop=0.4", "denoiser.batch=8"]
        run(shrunk("mini-mld", people, teacher, 2, *sets), tmp_path / str(share))
        for text in seen:
            assert (text.tokens[~text.mask] == 0).all() and text.mask[:, 0].all()
        return [text.mask for text in seen]

    whole, hidden = masks(0), masks(0.5)
    told = torch.cat([there.sum(1) for there in whole])
    left = torch.cat([there.sum(1) for there in hidden])
    null = told == told.min()
    assert null.any() and (left[null] == told[null]).all()
    assert (left <= told).all() and (left < told).any()


@pytest.mark.parametrize(("name", "decodes"), [("acmdm", "ae.decoder"), ("mini-motiongpt", "vq.decoder")])
def test_a_decoder_trained_alone_is_all_that_changes(
    name: str, decodes: str, people: Path, teacher: Path, tmp_path: Path
) -> None:
    preset = shrunk(name, people, teacher, 2)
    base = run(preset, tmp_path / "base") / "generator"
    alone = preset.autoencoder.model_copy(update={"decoder_only": True})
    named = {"base": str(base), "autoencoder": alone, "stage": "autoencoder"}
    further = run(preset.model_copy(update=named), tmp_path / "further") / "autoencoder" / "model"
    before, after = (read_generator(folder).state_dict() for folder in (base, further))
    changed = {key for key, tensor in after.items() if not torch.equal(tensor, before[key])}
    assert changed and all(key.startswith(decodes) for key in changed)


@pytest.mark.parametrize("name", PRESETS)
def test_a_run_cut_short_and_resumed_has_the_same_bits(
    name: str, people: Path, teacher: Path, tmp_path: Path
) -> None:
    preset = shrunk(name, people, teacher, 4)
    whole = run(preset, tmp_path / "whole")
    shutil.copytree(whole, tmp_path / "part")
    stage = second_stage(tmp_path / "part")
    shutil.rmtree(stage / "checkpoints" / "step-4")
    (stage / "LATEST").write_text("step-2\n")
    shutil.rmtree(tmp_path / "part" / "generator")
    part = run(preset, tmp_path / "part", resume=True)
    assert losses(part) == losses(whole)
    assert same_weights(part, whole)


@pytest.mark.parametrize("name", ["mdm", "motiondiffuse", "stablemofusion", "acmdm", "hymotion", "motionlcm"])
def test_the_loss_falls(name: str, people: Path, teacher: Path, tmp_path: Path) -> None:
    fast = ("denoiser.optimiser.lr=1e-2", "denoiser.optimiser.warmup=0", "denoiser.validate_every=100")
    found = losses(run(shrunk(name, people, teacher, 40, *fast, "denoiser.batch=8"), tmp_path / "out"))
    assert sum(found[-10:]) < 0.95 * sum(found[:10])


def test_a_codebook_goes_on_as_if_it_had_not_been_interrupted(people: Path, tmp_path: Path) -> None:
    preset = tiny("mini-motiongpt", people, 4, "stage=autoencoder")
    whole = run(preset, tmp_path / "whole")
    shutil.copytree(whole, tmp_path / "part")
    stage = tmp_path / "part" / "autoencoder"
    shutil.rmtree(stage / "checkpoints" / "step-4")
    (stage / "LATEST").write_text("step-2\n")
    shutil.rmtree(stage / "model")
    part = run(preset, tmp_path / "part", resume=True)
    one, other = (read_generator(path / "autoencoder" / "model").state_dict() for path in (whole, part))
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert one["vq.quantizer.codebook"].abs().sum() > 0


def test_a_settled_decoder_learns_on_while_codes_stay(people: Path, tmp_path: Path) -> None:
    plain = run(
        tiny("mini-motiongpt", people, 2, "stage=autoencoder", "autoencoder.settle=0"), tmp_path / "a"
    )
    more = run(tiny("mini-motiongpt", people, 2, "stage=autoencoder", "autoencoder.settle=3"), tmp_path / "b")
    one, other = (read_generator(path / "autoencoder" / "model").state_dict() for path in (plain, more))
    changed = {name for name in one if not torch.equal(one[name], other[name])}
    assert changed and all(name.startswith("vq.decoder.") for name in changed)


def test_text_layers_are_trained_with_their_denoiser(people: Path, tmp_path: Path) -> None:
    preset = tiny("motiondiffuse", people, 2)
    pretraining = Pretraining.prepare(preset, tmp_path / "out", torch.device("cpu"), lambda stage: Silent())
    before = pretraining.build().state_dict()
    after = read_generator(run(preset, tmp_path / "out") / "generator").state_dict()
    changed = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"denoiser", "text_layers"}


def test_a_distilled_generator_keeps_its_teachers_autoencoder(
    people: Path, teacher: Path, tmp_path: Path
) -> None:
    ours = read_generator(run(shrunk("motionlcm", people, teacher, 2), tmp_path / "out") / "generator")
    theirs = read_generator(teacher)
    for name, tensor in theirs.state_dict().items():
        assert name.startswith("denoiser.") or torch.equal(tensor, ours.state_dict()[name]), name
    assert not torch.equal(theirs.denoiser.query_pos.pe, ours.denoiser.query_pos.pe)


@pytest.mark.parametrize(
    ("name", "settings", "words"),
    [
        ("mdm", ["stage=autoencoder"], "no autoencoder to train"),
        ("mini-motiongpt", ["stage=denoiser"], "no denoiser to train"),
        ("mini-motiongpt", ["stage=language-model"], "Train the first stage"),
        ("mdm", ["generator.denoiser.features=251"], "statistics of 263 values"),
        ("hymotion", ["feature_bias=5"], "feature_bias is of kinematic"),
        ("motionlcm", ["teacher=null"], "--teacher"),
        ("motionlcm", ["generator.denoiser.feedforward=16"], "they are the teacher's"),
        ("motionlcm", ["generator.sampler=ddim"], "guidance_width"),
        ("motionlcm", ["generator.family=mdm"], "only the family mld"),
        ("mdm", ["teacher={teacher}"], "only the family mld"),
        ("motiondiffuse", ["denoiser.text_drop=0.5"], "no null prompt"),
        ("mdm", ["denoiser.token_drop=0.5"], "one vector a text"),
    ],
)
def test_what_does_not_fit_is_said(
    name: str, settings: list[str], words: str, people: Path, teacher: Path, tmp_path: Path
) -> None:
    settings = [setting.format(teacher=teacher) for setting in settings]
    with pytest.raises(UserError, match=words):
        run(shrunk(name, people, teacher, 2, *settings), tmp_path / "out")
    assert not (tmp_path / "out" / "denoiser").exists()
