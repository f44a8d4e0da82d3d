"""What the experiments of "No MoCap Needed" need: prompts alone, another data set's test clips, and the source's."""

import json
import re

import numpy as np
import pytest
import torch

from motionrft.data import MotionDataset
from motionrft.evaluation.generation import evaluate_generator
from motionrft.finetuning import held_out, run
from motionrft.finetuning.loading import identities
from motionrft.finetuning.run import finetune
from motionrft.finetuning.session import FinetuneSession
from motionrft.generators.folder import save_generator
from motionrft.preferences.prompts import template_prompts, write_event_prompts
from motionrft.registry import TEXT_ENCODERS
from motionrft.reward.folder import save_reward
from tests.evaluation.toys import toy_evaluator, write_dataset
from tests.finetuning.small import TEXTS, HashedText, small_generator, small_preset, small_reward


@pytest.fixture
def parts(tmp_path, monkeypatch):
    """Folders of a small generator, a small reward, a prompt file and two data sets; a toy evaluator judges."""
    monkeypatch.setitem(TEXT_ENCODERS.added, "hashed", (lambda path, device: HashedText(), "a test"))
    monkeypatch.setattr(held_out, "load_evaluator", lambda path, device: toy_evaluator(len(str(path)) % 2))
    save_generator(small_generator(), tmp_path / "generator")
    save_reward(tmp_path / "reward", small_reward())
    (tmp_path / "prompts.txt").write_text("\n".join(TEXTS))
    for name in ("target", "source"):
        write_dataset(tmp_path / name)
    return tmp_path


def tuned(parts, resume=False, say=lambda told: None, **values):
    names = {name: str(parts / name) for name in ("generator", "reward")}
    preset = small_preset(
        **names,
        **{
            "method": {"method": "ddpo", "group": 2},
            "steps": 4, "updates": 2, "seconds": 1.2, "weights": {"semantic": 1.0},
            "watch": {"every": 0}, "evaluation": {"prompts": 0}, **values,
        },
    )  # fmt: skip
    return finetune(preset, FinetuneSession(parts / "run", torch.device("cpu"), resume=resume, say=say))


@pytest.mark.parametrize("source", ["prompts", "data"])
def test_policy_gradients_read_no_motion(parts, source, monkeypatch):
    """Captions and lengths are all that is taken of a data set; a prompt file has no more."""

    def hidden(self, index, representation="kinematic"):
        raise AssertionError("a motion was read")

    monkeypatch.setattr(MotionDataset, "motion", hidden)
    for path in (parts / "target" / "new_joint_vecs").glob("*.npy"):
        np.save(path, np.full_like(np.load(path), 3e38))  # infinite as soon as anyone computes with it
    given = (
        {"prompts": str(parts / "prompts.txt")} if source == "prompts" else {"data": str(parts / "target")}
    )
    done = tuned(parts, **given)
    lines = [json.loads(line) for line in (parts / "run" / "metrics.jsonl").read_text().splitlines()]
    assert done.outcome.step == 2 and all(np.isfinite(line["reward"]) for line in lines)


def test_tuned_on_prompts_and_judged_on_the_targets_and_the_sources_clips(parts):
    looked_at = {"prompts": 32, "seeds": 1, "data": str(parts / "target"), "source": str(parts / "source")}
    done = tuned(parts, prompts=str(parts / "prompts.txt"), evaluator="ours", evaluation=looked_at)
    assert list(done.tables) == ["guidance 1", "source source, guidance 1"]
    for rows in done.tables.values():
        found = {row.metric: row.values for row in rows}
        assert all(value is not None for value in found["FID"]), "real clips are there to compare with"
    kept = {path.name for path in (parts / "run" / "evaluation").iterdir()}
    assert {"before-guidance-1.json", "after-source-source-guidance-1.json"} <= kept


def test_prompts_that_tell_events_are_judged_event_by_event(parts):
    """In the table beside the field's metrics, kept, and in the report; a resumed run asks nobody again."""
    write_event_prompts(parts / "told.jsonl", template_prompts({"temporal": 6}, ["bow", "walk"], 0.5, 0))
    looked_at = {"prompts": 32, "seeds": 1, "data": str(parts / "target")}
    values = {"prompts": str(parts / "told.jsonl"), "evaluator": "ours", "evaluation": looked_at}
    done = tuned(parts, **values)
    (rows,) = done.tables.values()
    assert {"events, mean", "in the order told", "FID", "jitter", "jitter of events"} <= {
        r.metric for r in rows
    }
    kept = json.loads((parts / "run" / "evaluation" / "after-events-guidance-1.json").read_text())
    assert kept["judge"]["name"] == "rules" and kept["data"]["items"] == 3
    page = (parts / "run" / "report.html").read_text()
    assert '"marks":' in page and "3 event prompts, judged by rules" in done.protocol
    told = []
    assert tuned(parts, resume=True, say=told.append, **values).tables == done.tables
    assert sum("-events-" in sentence and "taken up" in sentence for sentence in told) == 2


def test_every_table_says_how_its_own_numbers_were_made(parts):
    looked_at = {
        "prompts": 32,
        "seeds": 1,
        "data": str(parts / "target"),
        "guidance": [2.0],
        "further_seeds": 2,
    }
    done = tuned(parts, prompts=str(parts / "prompts.txt"), evaluator="ours", evaluation=looked_at)
    seeds = {title: "2 seeds" in said for title, said in done.protocols.items()}
    assert seeds == {"guidance 1": False, "guidance 2": True}


def test_the_clips_of_one_class_are_all_judged(parts):
    """A class left out is one kind of motion: at most a dozen clips of a kind would be too few to rank."""
    index = parts / "target" / "index.csv"
    index.write_text(re.sub(r"(?m)^(clip-\d+),.*$", r"\1,run,old", index.read_text()))
    preset = small_preset(
        method={"method": "ddpo", "group": 2}, evaluator="ours", prompts=str(parts / "prompts.txt"),
        watch={"every": 0}, evaluation={"data": str(parts / "target")},
    )  # fmt: skip
    kept = held_out.held_out(preset, small_generator(), torch.device("cpu"), print)
    assert len(kept.test.items.items) == 40 and kept.test.evaluator.embeds


def test_the_source_can_have_an_evaluator_of_its_own(parts, monkeypatch):
    asked = []
    monkeypatch.setattr(
        held_out, "load_evaluator", lambda path, device: asked.append(path.name) or toy_evaluator(len(asked))
    )
    looked_at = {
        "prompts": 32, "seeds": 1, "data": str(parts / "target"), "source": str(parts / "source"),
        "source_evaluator": "theirs",
    }  # fmt: skip
    tuned(parts, prompts=str(parts / "prompts.txt"), evaluator="ours", evaluation=looked_at)
    assert asked == ["ours", "theirs"]


def test_lengths_in_a_prompt_file_belong_to_what_a_run_reads(parts):
    """A run that is taken up with other lengths would be another run."""
    found = []
    for frames in (40, 60):
        (parts / "prompts.txt").write_text("".join(f"{frames} {text}\n" for text in TEXTS))
        preset = small_preset(generator=str(parts / "generator"), prompts=str(parts / "prompts.txt"))
        found.append(identities(preset)["data"])
    assert found[0] != found[1]


@pytest.fixture
def evaluated(monkeypatch):
    """Names and seeds of the evaluations that are made, in order."""
    made = []

    def counted(*given, name, **options):
        made.append((name, len(given[4])))
        return evaluate_generator(*given, name=name, **options)

    monkeypatch.setattr(run, "evaluate_generator", counted)
    return made


def test_a_resumed_run_does_not_evaluate_again(parts, evaluated):
    looked_at = {"prompts": 32, "seeds": 1, "data": str(parts / "target")}
    values = {"prompts": str(parts / "prompts.txt"), "evaluator": "ours", "evaluation": looked_at}
    first = tuned(parts, **values)
    page = (parts / "run" / "report.html").read_text()
    (parts / "run" / "evaluation" / "after-guidance-1.json").unlink()
    told = []
    second = tuned(parts, resume=True, say=told.append, **values)
    assert evaluated == [("before", 1), ("after", 1), ("after", 1)]
    assert sum("taken up" in sentence for sentence in told) == 1
    assert second.tables == first.tables and (parts / "run" / "report.html").read_text() == page
