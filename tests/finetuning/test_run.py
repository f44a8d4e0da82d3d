"""Whole runs on small models: what they leave behind, and what a signal, a resume or a wrong name does to
them.
"""

import itertools
import json
import os
import signal

import pytest
import torch
import yaml

from motionrft.errors import Interrupted, UserError
from motionrft.finetuning.comparison import compare_methods, table
from motionrft.finetuning.diagnostics import gradients, memory, similarity
from motionrft.finetuning.estimate import estimate
from motionrft.finetuning.fitting import other_rate
from motionrft.finetuning.prompts import PromptSet
from motionrft.finetuning.run import FinetuneRun, finetune
from motionrft.finetuning.session import FinetuneSession
from motionrft.generators.folder import read_generator, save_generator
from motionrft.loading import load_reward
from motionrft.registry import TEXT_ENCODERS
from motionrft.reward.folder import save_reward
from motionrft.training.progress import Silent
from motionrft.training.weights import load_weights
from tests.finetuning.small import TEXTS, HashedText, small_generator, small_preset, small_reward


@pytest.fixture
def parts(tmp_path, monkeypatch):
    """Folders of a small generator and reward, and a prompt file."""
    monkeypatch.setitem(TEXT_ENCODERS.added, "hashed", (lambda path, device: HashedText(), "a test"))
    save_generator(small_generator(), tmp_path / "generator")
    save_reward(tmp_path / "reward", small_reward())
    (tmp_path / "prompts.txt").write_text("\n".join(TEXTS))
    return tmp_path


def preset(parts, **values):
    names = {name: str(parts / name) for name in ("generator", "reward")}
    quiet = {"watch": {"every": 0}, "evaluation": {"prompts": 0}, "checkpoint_every": 4, "frames": 24}
    return small_preset(**names, prompts=str(parts / "prompts.txt"), **{**quiet, **values})


def session(out, **options):
    return FinetuneSession(out, torch.device("cpu"), **options)


class Terminated(Silent):
    """Sends this process a SIGTERM at an update."""

    def __init__(self, at):
        self.at = at

    def update(self, done, metrics):
        if done == self.at:
            os.kill(os.getpid(), signal.SIGTERM)


def lines(folder):
    timeless = ("seconds", "rss_bytes", "peak_bytes")
    found = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key not in timeless} for line in found]


def test_a_run_leaves_its_folder(parts):
    done = finetune(preset(parts), session(parts / "run"))
    run = parts / "run"
    assert {p.name for p in run.iterdir()} >= {
        "preset.yaml", "env.json", "metrics.jsonl", "checkpoints", "LATEST", "report.html", "plots", "generator",
    }  # fmt: skip
    assert done.outcome.step == 8 and (run / "LATEST").read_text() == "step-8\n"
    assert [line["update"] for line in lines(run)] == list(range(1, 9))
    assert set(json.loads((run / "env.json").read_text())["hashes"]) == {"generator", "reward", "data"}
    assert list((run / "plots").glob("*.svg"))
    tuned, before = read_generator(run / "generator"), read_generator(parts / "generator")
    assert (tuned.denoiser.latent_post.weight - before.denoiser.latent_post.weight).abs().max() > 0
    assert torch.equal(tuned.vae.leave.conv.weight, before.vae.leave.conv.weight)


@pytest.mark.parametrize("method", [{"method": "easytune", "k": 4}, {"method": "easytune-chain", "k": 4}])
def test_a_terminated_run_goes_on_to_the_same_end(parts, method):
    wanted = preset(parts, method=method, updates=12)
    finetune(wanted, session(parts / "whole"))
    with pytest.raises(Interrupted) as stopped:
        finetune(wanted, session(parts / "parted", progress=lambda stage: Terminated(at=6)))
    assert stopped.value.exit_code == 75
    finetune(wanted, session(parts / "parted", resume=True))
    assert lines(parts / "parted") == lines(parts / "whole")
    whole, _ = load_weights(parts / "whole" / "generator")
    parted, _ = load_weights(parts / "parted" / "generator")
    assert all(torch.equal(whole[name], parted[name]) for name in whole)


def test_the_same_seed_gives_the_same_run_with_adapters(parts):
    wanted = preset(parts, lora={"enabled": True}, optimiser={"lr": 1e-2})
    for name in ("one", "two"):
        finetune(wanted, session(parts / name))
    assert lines(parts / "one") == lines(parts / "two")
    assert (parts / "one" / "adapters" / "adapter_config.json").is_file()


def test_a_changed_preset_or_generator_is_refused_on_resume(parts):
    finetune(preset(parts), session(parts / "run"))
    with pytest.raises(UserError, match="batch: 3 -> 2"):
        finetune(preset(parts, batch=2), session(parts / "run", resume=True))
    save_generator(small_generator(seed=5), parts / "generator")
    with pytest.raises(UserError, match="generator"):
        finetune(preset(parts), session(parts / "run", resume=True))


def test_a_run_of_an_older_version_is_taken_up_and_may_be_made_longer(parts):
    run = parts / "run"
    finetune(preset(parts, updates=4), session(run))
    former = yaml.safe_load((run / "preset.yaml").read_text())
    del former["epochs"], former["method"]["recompute"]
    (run / "preset.yaml").write_text(yaml.safe_dump(former))
    with pytest.raises(UserError, match="something else: updates: 4 -> 8"):
        finetune(preset(parts), session(run, resume=True))
    done = finetune(preset(parts), session(run, resume=True, allow_changed=("updates",)))
    assert done.outcome.step == 8
    assert lines(run)[-1]["lr"] < lines(run)[4]["lr"]


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("generator", "nowhere", "nowhere: no such generator"),
        ("reward", "nowhere", "nowhere: no such reward"),
        ("prompts", "nowhere.txt", "nowhere.txt"),
    ],
)
def test_what_is_not_there_is_named_and_nothing_written(parts, field, value, message):
    wrong = preset(parts).model_copy(update={field: value})
    with pytest.raises(UserError, match=message):
        finetune(wrong, session(parts / "run"))
    assert not (parts / "run").exists()


@pytest.mark.parametrize(
    ("weights", "mended", "message"),
    [
        ({"semantic": 1.0}, None, "never trained on noisy motions"),
        ({"semantic": 1.0, "jitter": 0.01}, 500, "physics terms measure the noise"),
        ({"semantic": 1.0}, 500, None),
    ],
)
def test_noisy_states_are_shown_to_a_reward_that_learnt_noise_alone(parts, weights, mended, message):
    reward = small_reward()
    reward.noise_steps = mended
    save_reward(parts / "reward", reward)
    perceiving = {"method": "easytune", "k": 4, "judge": "next"}
    wanted = preset(parts, method=perceiving, weights=weights, updates=2)
    if message is None:
        assert finetune(wanted, session(parts / "run")).outcome.step == 2
        return
    with pytest.raises(UserError, match=message):
        finetune(wanted, session(parts / "run"))
    assert not (parts / "run").exists()
    only_the_end = {"method": "easytune", "k": 1, "rho": 0, "judge": "next"}
    finetune(preset(parts, method=only_the_end, weights=weights, updates=1), session(parts / "run"))


def test_a_time_limit_alone_ends_the_run_and_sets_the_schedule(parts, monkeypatch):
    ticks = itertools.count()  # a clock that a busy machine does not hurry
    monkeypatch.setattr("time.perf_counter", lambda: next(ticks) / 50)
    done = finetune(preset(parts, updates=None, time_limit="2s"), session(parts / "run"))
    assert done.outcome.reason == "time" and done.outcome.step >= 4
    rates = [line["lr"] for line in lines(parts / "run")]
    assert rates[-1] < rates[0]


def test_an_estimate_writes_nothing(parts):
    found = estimate(preset(parts), session(parts / "run"))
    assert found.trained < found.parameters and found.graph_bytes > 0 and found.seconds > 0
    assert not (parts / "run").exists()


def test_an_estimate_encodes_no_text(parts, monkeypatch):
    asked = []
    monkeypatch.setattr(HashedText, "encode", lambda self, texts: asked.append(texts))
    assert estimate(preset(parts), session(parts / "run")).seconds_an_update > 0
    assert asked == []


def test_an_estimate_of_memory_holds_for_the_longest_prompts(parts, monkeypatch):
    lengths = torch.tensor([24] * 20 + [40] * 3)
    prompts = PromptSet([f"walks {number}" for number in range(23)], lengths)
    monkeypatch.setattr("motionrft.finetuning.loading.load_prompts", lambda preset, generator: prompts)
    wanted = preset(parts, batch=3, updates=32)
    found = estimate(wanted, session(parts / "guess"))
    finetune(wanted, session(parts / "run"))
    held = [line["graph_bytes"] for line in lines(parts / "run")]
    assert min(held) < max(held) <= found.graph_bytes


def test_a_list_of_methods_is_compared_from_the_same_start(parts):
    wanted = preset(parts, method="easytune,draft", updates=4)
    assert set(wanted.variants()) == {"easytune", "draft"}
    found = compare_methods(wanted, session(parts / "all"))
    assert [one.name for one in found] == ["easytune", "draft"]
    assert [one.done.outcome.step for one in found] == [4, 4]
    header, rows = table(found)
    assert header[0] == "method" and [row[0] for row in rows] == ["easytune", "draft"]
    assert {path.name for path in (parts / "all").iterdir()} >= {
        "easytune",
        "draft",
        "report.html",
        "plots",
        "preset.yaml",
    }


def test_the_articles_figures_stand_beside_a_comparisons_own(parts, monkeypatch):
    monkeypatch.setattr("motionrft.finetuning.comparison._STEPS", (5, 10))
    wanted = preset(parts, method="easytune,draft", updates=2, figures={"draw": True})
    with pytest.raises(UserError, match="nowhere"):
        compare_methods(
            preset(parts, method="easytune,draft", figures={"refined": "nowhere"}), session(parts / "no")
        )
    assert not (parts / "no").exists(), "a reward that is missing is said before hours are spent"
    with pytest.raises(UserError, match="figures are those of a comparison"):
        preset(parts, figures={"draw": True})
    compare_methods(wanted, session(parts / "figures"))
    page = (parts / "figures" / "report.html").read_text(encoding="utf-8")
    assert all(f"Figure {number}<" in page for number in (4, 5, 6, 9, 10))
    assert {"gradient_at_each_denoising_step.svg", "similarity_to_the_finished_motion.svg"} <= {
        path.name for path in (parts / "figures" / "plots").iterdir()
    }


def test_each_method_of_a_comparison_may_have_its_own_settings(parts):
    own = {"draft": {"optimiser": {"lr": 0.5}, "method": {"k": 3}}, "refl": {}}
    variants = preset(parts, compare=own, method={"method": "easytune"}).variants()
    assert variants["draft"].optimiser.lr == 0.5 and variants["draft"].method.k == 3
    assert variants["refl"].optimiser.lr == 1e-3
    with pytest.raises(UserError, match="no method 'drft'"):
        preset(parts, compare={"drft": {}}, method={"method": "easytune"}).variants()


def test_the_diagnostics_tell_the_papers_story(parts):
    tuning = FinetuneRun(preset(parts, steps=8), session(parts / "charts"))
    chained, alone = gradients(tuning, batch=2)
    assert len(chained.y) == len(alone.y) == 8 and min(alone.y) > 0
    states, cleans = similarity(tuning, batch=3)
    assert cleans.y[-1] == pytest.approx(1.0, abs=0.05) and states.y[-1] == pytest.approx(1.0, abs=1e-4)
    held = {series.name: series.y for series in memory(tuning, batch=2, steps=(5, 10))}
    assert held["easytune"][1] == pytest.approx(held["easytune"][0], rel=0.01)
    assert held["refl"][1] == pytest.approx(held["refl"][0], rel=0.01)
    assert held["draft"][1] > 1.3 * held["draft"][0]


def test_similarity_needs_a_reference_to_be_drawn(parts):
    tuning = FinetuneRun(preset(parts, weights={"semantic": 1.0}), session(parts / "charts"))
    with pytest.raises(UserError, match=r"set weights\.similarity"):
        similarity(tuning, batch=2)


def test_a_reward_of_another_frame_rate_is_said_to_be_one() -> None:
    reward = load_reward("builtin", {"semantic": 1.0, "jitter": -0.1})
    assert other_rate(reward, 20.0) is None
    said = other_rate(reward, 30.0)
    assert said is not None and "20" in said and "30" in said and "0.67 times as fast" in said
