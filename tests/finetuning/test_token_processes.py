"""Two processes tune motion tokens as one with twice the batch does; nothing is judged in both of them."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from motionrft.finetuning import token_run
from motionrft.finetuning.preset import FinetunePreset
from motionrft.finetuning.run import finetune
from motionrft.finetuning.token_run import TokenRun
from motionrft.preferences.judges.base import Item, Judgement
from motionrft.training.distribution import ALONE, Distribution
from motionrft.training.loop import train
from tests.finetuning.test_run import session
from tests.finetuning.test_tokens import QUIET, Whim, parts, words
from tests.pretraining.people_data import write_people
from tests.processes import together

__all__ = ["parts", "words"]
CPU = torch.device("cpu")


class Counting(Whim):
    """Keeps how many motions it was shown."""

    shown = 0

    def judge(self, items: Sequence[Item]) -> Iterator[tuple[int, Judgement]]:
        Counting.shown += len(items)
        return super().judge(items)


def tuned(values: dict[str, Any], batch: int, place: Path, company: Distribution) -> dict[str, Any]:
    """Weights, losses and judged motions of three updates."""
    Counting.shown = 0
    given = {"updates": 3, "batch": batch, "lora": {"enabled": True}, "optimiser": {"lr": 1.0, "eps": 1.0}}
    run = TokenRun(FinetunePreset.of({**given, **QUIET, **values}, "test"), session(place), company)
    torch.manual_seed(0)
    with torch.no_grad():
        for name, parameter in run.trainer.parameters.items():
            parameter.add_(0.05 * torch.randn_like(parameter)) if "lora_B" in name else None
    losses: list[float] = []
    update = run.trainer.update

    def kept(step: int) -> dict[str, Any]:
        found = update(step)
        losses.append(company.mean({"loss": float(found["loss"])})["loss"])
        return found

    run.trainer.update = kept  # type: ignore[method-assign]
    train(run.trainer, updates=3, distribution=company)
    weights = torch.cat([p.detach().flatten() for p in run.trainer.parameters.values()])
    return {"weights": weights.tolist(), "losses": losses, "shown": Counting.shown}


@pytest.mark.parametrize("method", ["dpo", "fresh", "sft", "grpo"])
def test_two_processes_equal_one_with_twice_the_batch(
    parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    monkeypatch.setattr(token_run, "judge_of", lambda part, device: Counting())
    write_people(tmp_path / "people", ["kinematic"])
    events = {"events": {"prompts": str(parts / "prompts.jsonl")}}
    values: dict[str, Any] = {
        "dpo": {"method": {"method": "dpo"}, "pairs": str(parts / "pairs.jsonl")},
        "fresh": {"method": {"method": "dpo", "fresh": 2, "candidates": 3}, **events},
        "sft": {"method": {"method": "sft", "drop_text": 0.3}, "data": str(tmp_path / "people")},
        "grpo": {"method": {"method": "grpo", "group": 3, "updates": 1}, **events},
    }[method]
    values["generator"] = str(parts / "generator")

    def act(rank: int) -> None:
        with Distribution.join(CPU, timeout=60) as company:
            found = tuned(values, 3, tmp_path / "none", company)
        (tmp_path / str(rank)).write_text(json.dumps(found))

    assert together(act) == [0, 0]
    alone = tuned(values, 6, tmp_path / "none", ALONE)
    both = [json.loads((tmp_path / str(rank)).read_text()) for rank in range(2)]
    assert both[0]["weights"] == both[1]["weights"]
    torch.testing.assert_close(both[0]["losses"], alone["losses"], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(
        torch.tensor(both[0]["weights"]), torch.tensor(alone["weights"]), rtol=1e-3, atol=1e-5
    )
    assert sum(each["shown"] for each in both) == alone["shown"]


def test_the_first_process_looks_judges_and_writes_for_both(
    parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(token_run, "judge_of", lambda part, device: Counting())
    given = {
        "generator": str(parts / "generator"), "pairs": str(parts / "pairs.jsonl"), "method": {"method": "dpo"},
        "updates": 4, "batch": 3, "checkpoint_every": 2, "lora": {"enabled": True}, "watch": {"every": 2, "seeds": 2},
        "evaluation": {"prompts": 0, "seeds": 1},
    }  # fmt: skip

    def act(rank: int) -> None:
        Counting.shown = 0
        done = finetune(FinetunePreset.of(given, "test"), session(tmp_path / "run"))
        (tmp_path / str(rank)).write_text(json.dumps([Counting.shown, done.outcome.step]))

    assert together(act) == [0, 0]
    (first, steps), (second, others) = (json.loads((tmp_path / str(rank)).read_text()) for rank in range(2))
    assert steps == others == 4 and first > 0 and second == 0
    looks = [
        json.loads(line)["update"] for line in (tmp_path / "run" / "watch.jsonl").read_text().splitlines()
    ]
    assert looks[0] == 0 and looks[-1] == 4 and looks == sorted(set(looks))  # each written once
    assert (tmp_path / "run" / "generator" / "model.safetensors").is_file()
