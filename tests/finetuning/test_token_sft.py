"""Supervised tuning of motion tokens: what it learns, that a killed run goes on as it was, what it refuses."""

from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

from motionrft.data.folder import MotionDataset
from motionrft.errors import Interrupted, UserError
from motionrft.finetuning.estimate import estimate
from motionrft.finetuning.preset import FinetunePreset
from motionrft.finetuning.run import finetune
from motionrft.finetuning.token_run import TokenRun
from motionrft.finetuning.token_supervised import RecordedTokens, SupervisedTrainer, check_dropping
from motionrft.generators.folder import save_generator
from motionrft.generators.token_generator import TokenGenerator
from motionrft.loading import load_generator
from motionrft.registry import TEXT_ENCODERS
from tests.finetuning.test_run import Terminated, lines, session
from tests.generators.families import WordEncoder
from tests.generators.token_families import TINY_TOKENS, tiny_tokens
from tests.pretraining.people_data import write_people

QUIET = {"watch": {"every": 0}, "evaluation": {"prompts": 0}, "events": {"kinds": {"integrity": 6}}}


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny generator and a data set of eight clips."""
    folder = tmp_path_factory.mktemp("sft")
    generator = tiny_tokens("token-decoder")
    object.__setattr__(generator.config, "text", "words")
    save_generator(generator, folder / "generator")
    write_people(folder / "people", ["kinematic"])
    return folder


@pytest.fixture(autouse=True)
def words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TEXT_ENCODERS.added, "words", (lambda path, device: WordEncoder(), "a test"))


def preset(parts: Path, **values: object) -> FinetunePreset:
    given = {
        "generator": str(parts / "generator"),
        "data": str(parts / "people"),
        "method": {"method": "sft"},
        "updates": 6,
        "batch": 4,
        "checkpoint_every": 2,
        "optimiser": {"lr": 0.01, "warmup": 0},
    }
    return FinetunePreset.of({**given, **QUIET, **values}, "test")


def trainer(parts: Path, **values: object) -> SupervisedTrainer:
    found = TokenRun(preset(parts, **values), session(parts / "none")).trainer
    assert isinstance(found, SupervisedTrainer)
    return found


def recorded(parts: Path, generator: TokenGenerator) -> RecordedTokens:
    return RecordedTokens(MotionDataset(parts / "people", "train"), generator)


def alone(parts: Path, generator: TokenGenerator, **values: object) -> SupervisedTrainer:
    """A trainer of that generator without a run around it."""
    weights = list(generator.language_model.named_parameters())
    given = preset(parts, **values)
    return SupervisedTrainer(given, generator, weights, nullcontext, recorded=recorded(parts, generator))


@pytest.mark.parametrize("adapters", [True, False])
def test_the_recorded_motions_become_likelier(parts: Path, adapters: bool) -> None:
    learning = trainer(parts, updates=30, lora={"enabled": adapters})
    losses = [float(learning.update(step)["loss"]) for step in range(30)]
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])


@pytest.mark.parametrize("family", list(TINY_TOKENS))
def test_the_loss_is_the_cross_entropy_of_start_codes_and_end(parts: Path, family: str) -> None:
    generator = tiny_tokens(family)
    learning = alone(parts, generator)
    items = learning.batch(0)
    loss, _ = learning.loss(items)
    each = [learning.loss([item])[0] * learning.weight([item]) for item in items]
    ids = sum(len(item.codes) for item in items) + len(items) * {"motiongpt": 3, "token-decoder": 1}[family]
    assert learning.weight(items) == ids
    assert_close(loss, sum(each) / ids)


def test_what_is_learnt_is_the_clips_own_tokens_and_captions(parts: Path) -> None:
    learning = trainer(parts, method={"method": "sft", "drop_text": 0.0})
    dataset, generator = learning.recorded.dataset, learning.generator
    clip = dataset.motion(3, "kinematic")
    codes = generator.encode(clip[None], torch.tensor([len(clip)])).codes[0]
    assert learning.recorded.codes(3).tolist() == codes.tolist() and len(codes) == len(clip) // 4
    shown = {(item.text, tuple(item.codes.tolist())) for step in range(2) for item in learning.batch(step)}
    known = {
        (each.captions[0].text, tuple(learning.recorded.codes(n).tolist()))
        for n, each in enumerate(dataset.items)
    }
    assert shown == known


def test_some_prompts_are_the_null_prompt(parts: Path) -> None:
    learning = trainer(parts, batch=64, method={"method": "sft", "drop_text": 0.5})
    dropped = sum(item.text == "" for item in learning.batch(0))
    assert 20 < dropped < 44 and "" in learning.texts


def test_a_batch_in_parts_is_the_same_update(parts: Path) -> None:
    whole, split = trainer(parts), trainer(parts, micro_batch=3)
    first, second = (each.update(0) for each in (whole, split))
    for name in ("loss", "grad_norm"):
        assert_close(float(first[name]), float(second[name]), msg=name)


def test_a_run_that_was_stopped_ends_as_one_that_was_not(parts: Path, tmp_path: Path) -> None:
    values = {"lora": {"enabled": True, "dropout": 0.2}, "watch": {"every": 3, "seeds": 2}}
    done = finetune(preset(parts, **values), session(tmp_path / "whole"))
    with pytest.raises(Interrupted):
        finetune(preset(parts, **values), session(tmp_path / "parts", progress=lambda stage: Terminated(3)))
    again = finetune(preset(parts, **values), session(tmp_path / "parts", resume=True))
    assert lines(tmp_path / "whole") == lines(tmp_path / "parts")
    tuned = [load_generator(one.generator).state_dict() for one in (done, again)]
    for name, value in tuned[0].items():
        assert torch.equal(value, tuned[1][name]), name
    before = load_generator(parts / "generator").state_dict()
    moved = {name.split(".")[0] for name, value in before.items() if not torch.equal(value, tuned[0][name])}
    assert moved == {"language_model"}
    assert "motions" in done.report.read_text()
    assert done.protocols.keys() == done.tables.keys()


@pytest.mark.parametrize(
    "values, said",
    [
        ({"steps": 20}, "steps does not act on token-decoder"),
        ({"weights": {"semantic": 2.0}}, "weights does not act"),
        ({"method": {"method": "dpo"}}, "data does not act on token-decoder"),
        ({"pairs": "p.jsonl", "data": None}, "pairs are what dpo learns from"),
        ({"data": None}, "name a data set with --data"),
    ],
)
def test_what_would_not_act_is_refused(parts: Path, values: dict, said: str) -> None:
    with pytest.raises(UserError, match=said):
        trainer(parts, **values)


def test_a_model_without_a_null_prompt_drops_none(parts: Path) -> None:
    generator = tiny_tokens("motiongpt")
    with pytest.raises(UserError, match="drop_text does not act on motiongpt"):
        check_dropping(preset(parts, method={"method": "sft", "drop_text": 0.3}).method, generator)  # type: ignore[arg-type]
    learning = alone(parts, generator, batch=64)
    assert all(item.text for item in learning.batch(0)) and "" not in learning.texts


def test_a_clip_shorter_than_a_token_is_named(parts: Path) -> None:
    generator = tiny_tokens("token-decoder")
    generator.fps = 1.0
    with pytest.raises(UserError, match="train0 is shorter than a token"):
        recorded(parts, generator)


def test_a_dry_run_encodes_no_text_and_writes_nothing(parts: Path, tmp_path: Path) -> None:
    found = estimate(preset(parts, lora={"enabled": True}), session(tmp_path / "out"))
    assert found.trained < found.parameters and found.seconds and not (tmp_path / "out").exists()
