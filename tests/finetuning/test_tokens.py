"""Preference tuning of motion tokens: where it starts, what it learns from, and that a killed run goes on as it was."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from motionrft.errors import Interrupted, UserError
from motionrft.finetuning import token_run
from motionrft.finetuning.estimate import estimate
from motionrft.finetuning.preset import FinetunePreset
from motionrft.finetuning.run import finetune
from motionrft.finetuning.token_looks import split_events, watch_for_events
from motionrft.finetuning.token_pairs import BalancedStream, read_token_pairs
from motionrft.finetuning.token_run import TokenRun
from motionrft.generators.folder import save_generator
from motionrft.loading import load_generator
from motionrft.preferences.candidates import codebook_identity
from motionrft.preferences.judges.base import Item, Judge, Judgement
from motionrft.preferences.prompts import EventPrompt, write_event_prompts
from motionrft.registry import TEXT_ENCODERS
from tests.finetuning.small import small_generator
from tests.finetuning.test_run import Terminated, lines, session
from tests.generators.families import WordEncoder
from tests.generators.token_families import tiny_tokens

QUIET = {"watch": {"every": 0}, "evaluation": {"prompts": 0}}
KINDS = ("integrity", "temporal", "frequency")


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny generator, event prompts, and pairs of them with their tokens."""
    folder = tmp_path_factory.mktemp("tokens")
    generator = tiny_tokens("token-decoder")
    object.__setattr__(generator.config, "text", "words")
    save_generator(generator, folder / "generator")
    (folder / "motions").mkdir()
    random, rows, prompts = np.random.default_rng(0), [], []
    for number in range(12):
        kind = KINDS[number % 3] if number < 6 else KINDS[0]
        text = f"a person bows and walks {number}"
        for side in ("better", "worse"):
            tokens = random.integers(0, 24, random.integers(4, 12))
            motion = random.normal(size=(len(tokens) * 4, 263)).astype(np.float32)
            file = folder / "motions" / f"{number}-{side}.npz"
            np.savez(file, motion=motion, fps=20.0, tokens=tokens, codebook=codebook_identity(generator))
        files = {side: f"motions/{number}-{side}.npz" for side in ("better", "worse")}
        rows.append({"prompt": text, "kind": kind, "degree": "Better", **files})
    for kind in KINDS:
        prompts += [
            EventPrompt(f"{kind}-{n}", kind, f"{kind} {n}", ("bow",), 2.0, 1, n >= 3) for n in range(7)
        ]
    (folder / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    write_event_prompts(folder / "prompts.jsonl", prompts)
    return folder


@pytest.fixture(autouse=True)
def words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TEXT_ENCODERS.added, "words", (lambda path, device: WordEncoder(), "a test"))


def preset(parts: Path, **values: object) -> FinetunePreset:
    method = {"method": "dpo", **values.pop("method", {})}  # type: ignore[dict-item]
    given = {"generator": str(parts / "generator"), "pairs": str(parts / "pairs.jsonl"), "method": method}
    usual = {
        "updates": 6,
        "batch": 6,
        "checkpoint_every": 2,
        "optimiser": {"lr": 0.01},
        "lora": {"enabled": True},
    }
    return FinetunePreset.of({**given, **usual, **QUIET, **values}, "test")


def run(parts: Path, **values: object) -> TokenRun:
    return TokenRun(preset(parts, **values), session(parts / "none"))


@pytest.mark.parametrize("adapters", [True, False])
@pytest.mark.parametrize("loss", ["sigmoid", "ipo", "hinge", "kto_pair"])
def test_nothing_is_preferred_before_the_first_update(parts: Path, loss: str, adapters: bool) -> None:
    lora = {"enabled": adapters, "dropout": 0.5}
    trainer = run(parts, method={"loss": loss}, lora=lora).trainer
    with trainer._learning():
        value, told = trainer.loss([0, 1, 2, 3])
    assert float(told["gap"]) == float(told["won_drift"]) == float(told["lost_drift"]) == 0.0
    assert_close(value.item(), {"sigmoid": np.log(2), "ipo": 25.0, "hinge": 1.0, "kto_pair": 0.5}[loss])


def test_the_better_motions_become_likelier_than_the_worse(parts: Path) -> None:
    trainer = run(parts, updates=20, lora={"enabled": False}).trainer
    for step in range(20):
        trainer.update(step)
    assert float(trainer.loss(list(range(12)))[1]["accuracy"]) > 0.9


def test_a_guard_weighs_what_the_better_motions_lost(parts: Path) -> None:
    plain, guarded = (run(parts, method={"guard": guard}).trainer for guard in (0.0, 2.0))
    for trainer in (plain, guarded):
        torch.manual_seed(5)
        for name, parameter in trainer.parameters.items():
            if "lora_B" in name:
                parameter.data.normal_(std=0.3)
    (low, _), (high, _) = plain.loss([0, 1, 2]), guarded.loss([0, 1, 2])
    singles = [-float(guarded.loss([item])[1]["won_drift"]) for item in range(3)]
    assert_close(float(high - low), 2.0 * sum(max(fall, 0.0) for fall in singles) / 3, atol=1e-4, rtol=1e-4)


def test_a_batch_in_parts_is_the_same_update(parts: Path) -> None:
    whole, split = run(parts).trainer, run(parts, micro_batch=2).trainer
    lines_of = [trainer.update(0) for trainer in (whole, split)]
    assert_close(float(lines_of[0]["loss"]), float(lines_of[1]["loss"]))
    for name, parameter in whole.parameters.items():
        assert_close(parameter, split.parameters[name], atol=1e-5, rtol=1e-4)


def test_every_kind_has_its_share_of_a_batch() -> None:
    kinds = ["a"] * 10 + ["b"] * 2 + ["c"]
    stream = BalancedStream(kinds, 4, seed=0)
    drawn = [item for _ in range(6) for item in stream.next()]
    counts = [sum(kinds[item] == kind for item in drawn) for kind in "abc"]
    assert counts == [8, 8, 8]
    other = BalancedStream(kinds, 4, seed=0)
    other.load_state_dict(json.loads(json.dumps(stream.state_dict())))
    assert other.next() == stream.next()


def test_tokens_are_read_as_they_were_written_or_it_is_said(parts: Path, tmp_path: Path) -> None:
    generator, said = load_generator(parts / "generator"), list[str]()
    pairs = read_token_pairs(parts / "pairs.jsonl", generator, "degree", said.append)  # type: ignore[arg-type]
    assert said == [] and pairs.smoothing == (0.2,) * 12 and pairs.kinds[:3] == KINDS
    own = np.load(parts / "motions" / "0-better.npz")["tokens"]
    assert pairs.better[0].tolist() == own.tolist()
    for side in ("better", "worse"):
        held = dict(np.load(parts / "motions" / f"0-{side}.npz"))
        np.savez(tmp_path / f"{side}.npz", motion=held["motion"], fps=20.0)
    line = {"prompt": "a person bows", "better": "better.npz", "worse": "worse.npz"}
    (tmp_path / "pairs.jsonl").write_text(json.dumps(line))
    again = read_token_pairs(tmp_path / "pairs.jsonl", generator, 0.0, said.append)  # type: ignore[arg-type]
    assert "not what was sampled" in said[0] and len(again.better[0]) == len(own)


def test_a_published_label_file_is_learnt_from(parts: Path, tmp_path: Path) -> None:
    (tmp_path / "tokens").mkdir()
    for name in ("a", "b"):
        np.save(tmp_path / "tokens" / f"{name}_token.npy", np.arange(5)[None])
    samples = {f"sample_{n}": {"features": f"features/{name}.npy"} for n, name in ((1, "a"), (2, "b"))}
    chosen = [{"choice": "sample_2", "degree of preference": "Better", "user": "u"}]
    (tmp_path / "labels.jsonl").write_text(
        json.dumps({"id": 0, "prompt": "bow", **samples, "chosen": chosen})
    )
    trainer = run(parts, pairs=str(tmp_path / "labels.jsonl"), method={"smoothing": "degree"}).trainer
    assert len(trainer.pairs) == 1 and trainer.pairs.smoothing == (0.2,)


class Whim(Judge):
    """Scores by a number of the motion that means nothing."""

    name = identity = "whim"

    def judge(self, items: Sequence[Item]) -> Iterator[tuple[int, Judgement]]:
        yield from (
            (place, Judgement(float(abs(item.joints.mean()) % 0.01 * 100)))
            for place, item in enumerate(items)
        )


def test_a_run_that_was_stopped_ends_as_one_that_was_not(
    parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(token_run, "judge_of", lambda part, device: Whim())
    values = {
        "method": {"fresh": 2, "candidates": 3},
        "watch": {"every": 3, "seeds": 2},
        "lora": {"enabled": True, "dropout": 0.2},
    }
    done = finetune(preset(parts, **values), session(tmp_path / "whole"))
    stopping = session(tmp_path / "parts", progress=lambda stage: Terminated(3))
    with pytest.raises(Interrupted):
        finetune(preset(parts, **values), stopping)
    again = finetune(preset(parts, **values), session(tmp_path / "parts", resume=True))
    assert lines(tmp_path / "whole") == lines(tmp_path / "parts")
    tuned = [load_generator(one.generator).state_dict() for one in (done, again)]
    for name, value in tuned[0].items():
        assert torch.equal(value, tuned[1][name]), name
    rounds = [line["round"] for line in lines(tmp_path / "whole")]
    assert rounds == [0, 0, 1, 1, 2, 2][: len(rounds)]
    assert (tmp_path / "whole" / "adapters").is_dir() and done.report.is_file()
    assert "events, mean" in {row.metric for row in next(iter(done.tables.values()))}


def test_the_worst_kind_stops_the_run() -> None:
    prompts = [EventPrompt(kind, kind, kind, ("bow",), 2.0) for kind in KINDS]
    watch = watch_for_events(FinetunePreset.of({"watch": {"stop": 2.0}}, "test").watch, prompts)
    start = {f"events/{kind}": 0.5 for kind in KINDS} | {"jitter": 50.0}
    watch.begin(start, {})
    better = start | {"events/integrity": 0.9, "events/temporal": 0.7}
    assert watch.look(10, better).best
    found = watch.look(20, better | {"events/frequency": 0.39})
    assert found.stop is not None and "events/frequency" in found.stop and not found.best


def test_no_text_is_tuned_on_and_looked_at() -> None:
    prompts = [EventPrompt(str(n), "frequency", f"text {n % 5}", ("bow",), 2.0, 1, n >= 3) for n in range(9)]
    found = split_events(prompts)
    tuned = {prompt.text for prompt in found.tuned}
    assert not tuned & {prompt.text for prompt in (*found.watched, *found.shown)}


@pytest.mark.parametrize(
    "values, said",
    [
        ({"steps": 20}, "steps does not act on token-decoder"),
        ({"guidance": 2.0}, "guidance does not act"),
        ({"pairs": None}, "dpo learns from pairs"),
        ({"method": {"loss": "ipo", "smoothing": 0.1}}, "smoothing is for the loss sigmoid"),
    ],
)
def test_what_would_not_act_is_refused(parts: Path, values: dict, said: str) -> None:
    with pytest.raises(UserError, match=said):
        run(parts, **values)


def test_settings_of_tokens_are_refused_for_a_diffusion(parts: Path, tmp_path: Path) -> None:
    save_generator(small_generator(), tmp_path / "diffusion")
    wanted = preset(parts, generator=str(tmp_path / "diffusion"), method={"guard": 1.0})
    with pytest.raises(UserError, match=r"method\.guard does not act on mld"):
        finetune(wanted, session(tmp_path / "out"))


def test_a_dry_run_says_what_it_costs_and_writes_nothing(parts: Path, tmp_path: Path) -> None:
    found = estimate(preset(parts), session(tmp_path / "out"))
    assert found.trained < found.parameters and found.seconds and not (tmp_path / "out").exists()
