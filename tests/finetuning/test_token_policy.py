"""Policy gradient on motion tokens: whose probabilities it moves, where it starts, and that a killed run goes on."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

from motionrft.errors import Interrupted, UserError
from motionrft.finetuning import token_run
from motionrft.finetuning.comparison import compare_methods, table
from motionrft.finetuning.estimate import estimate
from motionrft.finetuning.policy_losses import reference_divergence
from motionrft.finetuning.preset import FinetunePreset
from motionrft.finetuning.run import finetune
from motionrft.finetuning.token_policy import PolicyTrainer
from motionrft.generators.token_sampling import allowed_logits
from motionrft.loading import load_generator
from motionrft.preferences.judges.base import Item, Judge, Judgement
from tests.finetuning.test_run import Terminated, lines, session
from tests.finetuning.test_tokens import QUIET, Whim, parts, run, words
from tests.generators.token_families import tiny_tokens
from tests.pretraining.people_data import write_people

__all__ = ["parts", "words"]
GRPO = {"method": "grpo", "group": 3}


class Fixed(Judge):
    """Everything is as good, but what it is told not to judge."""

    name = identity = "fixed"

    def judge(self, items: Sequence[Item]) -> Iterator[tuple[int, Judgement]]:
        yield from ((place, Judgement(None if place == 0 else 0.5)) for place in range(len(items)))


@pytest.fixture(autouse=True)
def whim(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_run, "judge_of", lambda part, device: Whim())


def settings(parts: Path, **values: object) -> dict:
    events = {"prompts": str(parts / "prompts.jsonl")}
    method = {**GRPO, **values.pop("method", {})}  # type: ignore[dict-item]
    return {"pairs": None, "events": events, "batch": 3, "method": method, **values}


def trainer(parts: Path, **values: object) -> PolicyTrainer:
    found = run(parts, **settings(parts, **values)).trainer
    assert isinstance(found, PolicyTrainer)
    return found


@pytest.mark.parametrize(
    "family, guidance", [("token-decoder", 1.0), ("token-decoder", 2.5), ("motiongpt", 1.0)]
)
@pytest.mark.parametrize("ending, top_k", [("asked", 0), ("own", 5)])
@torch.no_grad()
def test_probabilities_are_those_that_were_drawn_from(
    family: str, guidance: float, ending: str, top_k: int
) -> None:
    generator = tiny_tokens(family)
    sampling = generator.sampling(0.8, top_k, None if guidance == 1 else guidance, ending=ending)  # type: ignore[arg-type]
    prompts = generator.encode_text(["a person walks", "someone waves the left hand"])
    lengths = torch.tensor([24, 38])
    tokens = generator.generate(prompts, lengths, [3, 4], sampling).tokens
    found = generator.drawn_log_prob(prompts, tokens, lengths, sampling)
    writer, v = generator._begun(prompts, lengths, guidance), generator.vocabulary
    logits = writer.logits(None)
    if v.start is not None:
        logits = writer.logits(torch.full((2,), v.start))
    least, most = generator._counts(lengths, ending)  # type: ignore[arg-type]
    for place in range(int(tokens.counts.max()) + 1):
        kept = allowed_logits(generator._possible(logits, place < least), 0.8, top_k).log_softmax(-1)
        assert_close(kept.exp().sum(-1), torch.ones(2))
        written = (
            tokens.codes[:, place] if place < tokens.codes.shape[1] else torch.zeros(2, dtype=torch.long)
        )
        for row in range(2):
            count = int(tokens.counts[row])
            drawn = place < count or (place == count and place < int(most[row]))
            assert bool(found.mask[row, place]) == drawn
            code = int(written[row]) if place < count else v.codes
            expected = float(kept[row, code]) if drawn else 0.0
            assert_close(float(found.each[row, place]), expected, atol=2e-5, rtol=1e-4)
        logits = writer.logits(torch.where(place < tokens.counts, written + v.first, v.end))


def test_the_first_update_starts_at_ratio_one_and_no_distance(parts: Path) -> None:
    made = trainer(parts)
    loss, told = made.loss(made.batch(0))
    assert_close(float(told["ratio"]), 1.0)
    assert float(told["drift"]) == pytest.approx(0, abs=1e-9) and float(told["clipped"]) == 0
    assert made.episodes is not None
    taught = made.episodes.advantages != 0
    assert_close(float(loss.detach()), -float(made.episodes.advantages[taught].mean()), atol=1e-5, rtol=1e-4)


def test_what_did_better_becomes_likelier(parts: Path) -> None:
    made = trainer(parts, method={"updates": 1, "epochs": 8}, optimiser={"lr": 0.02})
    for step in range(8):
        made.update(step)
    assert made.episodes is not None
    with torch.no_grad():
        change = (made._log_prob(made.episodes, range(9)).each - made.episodes.old).sum(-1)  # (N,)
    assert float((change * made.episodes.advantages).sum()) > 0


def test_a_group_that_is_all_alike_teaches_nothing(parts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_run, "judge_of", lambda part, device: Fixed())
    made = trainer(parts, method={"kl": 0.5})
    before = {name: parameter.detach().clone() for name, parameter in made.parameters.items()}
    told = made.update(0)
    assert float(told["loss"]) == float(told["taught"]) == 0 and told["reward"] == 0.5
    assert all(torch.equal(parameter, before[name]) for name, parameter in made.parameters.items())


def test_a_batch_is_gone_through_in_shares_and_more_than_once(parts: Path) -> None:
    made = trainer(parts, method={"updates": 2, "epochs": 2})
    shares = [made.batch(step) for step in range(4)]
    first = made.episodes
    for half in (shares[:2], shares[2:]):
        assert sorted(half[0] + half[1]) == list(range(9))
    made.batch(4)
    assert made.episodes is not first


def test_a_batch_in_parts_is_the_same_update(parts: Path) -> None:
    whole, split = trainer(parts), trainer(parts, micro_batch=4)
    told = [made.update(0) for made in (whole, split)]
    assert_close(float(told[0]["loss"]), float(told[1]["loss"]), atol=1e-6, rtol=1e-4)
    for name, parameter in whole.parameters.items():
        assert_close(parameter, split.parameters[name], atol=1e-5, rtol=1e-3)


def test_the_distance_is_never_negative_and_zero_where_nothing_changed() -> None:
    log_prob = torch.tensor([-1.0, -2.0, -3.0])
    assert_close(reference_divergence(log_prob, log_prob), torch.zeros(3))
    found = reference_divergence(log_prob, torch.tensor([-1.5, -2.0, -2.0]))
    assert_close(found, torch.tensor([0.5 + 0.60653066 - 1, 0.0, 2.71828183 - 2]))


def test_a_run_that_was_stopped_ends_as_one_that_was_not(parts: Path, tmp_path: Path) -> None:
    values = settings(parts, method={"updates": 2, "epochs": 2}, updates=6, checkpoint_every=1)
    preset = FinetunePreset.of(
        {"generator": str(parts / "generator"), "lora": {"enabled": True}, **QUIET, **values}, "test"
    )
    done = finetune(preset, session(tmp_path / "whole"))
    with pytest.raises(Interrupted):
        finetune(preset, session(tmp_path / "parts", progress=lambda stage: Terminated(3)))
    again = finetune(preset, session(tmp_path / "parts", resume=True))
    assert lines(tmp_path / "whole") == lines(tmp_path / "parts")
    tuned = [load_generator(one.generator).state_dict() for one in (done, again)]
    for name, value in tuned[0].items():
        assert torch.equal(value, tuned[1][name]), name


@pytest.mark.parametrize(
    "values, said",
    [
        ({"method": {"variant": "dance"}}, r"method.variant does not act on token-decoder"),
        ({"method": {"cut": None}}, r"method.cut does not act on token-decoder"),
        ({"method": {"advantages": "history"}}, "there are batch, group, flow, dance"),
        ({"reward": "builtin-world"}, "reward does not act on token-decoder"),
        ({"pairs": "pairs.jsonl"}, "pairs are what dpo learns from, not grpo"),
        ({"method": {"method": "ddpo"}}, r"ddpo tunes .* set --method to grpo or dpo or sft"),
    ],
)
def test_what_would_not_act_is_refused(parts: Path, values: dict, said: str) -> None:
    with pytest.raises(UserError, match=said):
        trainer(parts, **values)


def test_methods_are_compared_on_the_same_held_out_events(parts: Path, tmp_path: Path) -> None:
    write_people(tmp_path / "people", ["kinematic"])
    given = {
        "generator": str(parts / "generator"), "pairs": str(parts / "pairs.jsonl"), "data": str(tmp_path / "people"),
        "compare": {"dpo": {}, "sft": {}, "grpo": {"group": 2}}, "updates": 1, "batch": 2, "lora": {"enabled": True},
        "watch": {"every": 0}, "evaluation": {"prompts": 0, "seeds": 1},
    }  # fmt: skip
    found = compare_methods(FinetunePreset.of(given, "test"), session(tmp_path / "compared"))
    header, rows = table(found)
    assert [row[0] for row in rows] == ["real", "before", "dpo", "sft", "grpo"]
    assert header[1:5] == ["events, mean", "events happen", "in the order told", "as often as told"]
    results = [one.done.results for one in found]
    assert len({each[0].data["identity"] for each in results}) == 1
    assert all(each[0].metrics == results[0][0].metrics for each in results)
    assert len(list((tmp_path / "compared" / "before").glob("*.json"))) == 1


@pytest.mark.parametrize(
    "method", [{"method": "grpo", "group": 2, "updates": 2}, {"method": "dpo", "fresh": 2}]
)
def test_a_dry_run_asks_no_judge(
    parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: dict
) -> None:
    monkeypatch.setattr(token_run, "judge_of", lambda part, device: pytest.fail("it may cost money"))
    values = (
        settings(parts, method=method) if method["method"] == "grpo" else {"method": method, "pairs": None}
    )
    events = {"prompts": str(parts / "prompts.jsonl")}
    given = {
        "generator": str(parts / "generator"),
        "lora": {"enabled": True},
        "updates": 4,
        **QUIET,
        **values,
    }
    found = estimate(FinetunePreset.of({**given, "events": events}, "test"), session(tmp_path / "out"))
    assert found.seconds and found.seconds > 0 and not (tmp_path / "out").exists()
