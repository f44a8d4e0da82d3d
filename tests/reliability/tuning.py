"""Rows 22 and 34: rewards that misbehave, and a reward that can be exploited."""

import json

from tests.cli.test_finetune_runs import EXPLOITING
from tests.reliability.scene import Ended, Scene, row

REWARDS = '''"""Rewards that misbehave."""

import torch

CALLS = 0


def _quality(joints):
    return -joints[:, :, 20:22, 1].mean(dim=(1, 2))


def nan_once(joints, lengths, texts, fps):
    global CALLS
    CALLS += 1
    return _quality(joints) * (float("nan") if CALLS == 5 else 1.0)


def nan_later(joints, lengths, texts, fps):
    global CALLS
    CALLS += 1
    return _quality(joints) * (float("nan") if CALLS > 8 else 1.0)


def constant(joints, lengths, texts, fps):
    return _quality(joints) * 0.0 + 1.0


def wrong_shape(joints, lengths, texts, fps):
    return _quality(joints)[:, None]


def raises(joints, lengths, texts, fps):
    global CALLS
    CALLS += 1
    if CALLS > 8:
        raise ZeroDivisionError("item 1: no left hand")
    return _quality(joints)
'''


@row(22)
def rewards(scene: Scene) -> None:
    """Loss NaN at step k; reward NaN, constant, wrong shape, raising on one item."""
    (scene.place / "mine.py").write_text(REWARDS)

    def tuned(name: str, updates: int = 12) -> Ended:
        small = ("--batch", "2", "--steps", "6", "--set", "method.k=3", "--set", "checkpoint_every=3")
        plain = ("--set", "watch.every=0", "--set", "evaluation.prompts=0")
        return scene.run(
            "finetune", "--reward", f"mine:{name}", *small, *plain, "--updates", str(updates), "--out", name
        )

    def metrics(name: str) -> list[dict]:
        return [json.loads(line) for line in (scene.place / name / "metrics.jsonl").read_text().splitlines()]

    scene.done(tuned("nan_once"))
    skipped = [line["skipped"] for line in metrics("nan_once")]
    scene.want(skipped[-1] == 1 and len(skipped) == 12, f"skipped {skipped}")
    scene.refused(tuned("nan_later", 60), "no finite gradient", "First:", code=1)
    scene.done(tuned("constant"), "No gradient")
    scene.refused(tuned("wrong_shape"), "one number a motion", code=scene.calls[-1].code)
    scene.want(scene.calls[-1].code in (1, 2), f"exit {scene.calls[-1].code}")
    scene.refused(tuned("raises"), "no left hand", "reward raises", code=1)
    scene.want((scene.place / "raises" / "LATEST").is_file(), "no checkpoint is left of the run that fell")
    for name in ("nan_once", "nan_later", "constant", "raises"):
        scene.clean(scene.place / name)


@row(34)
def exploited(scene: Scene) -> None:
    """A planted exploitable reward."""
    ended = scene.run("finetune", *EXPLOITING, "--out", "run")
    scene.done(ended, "jitter went from", "the watch stopped the run")
    last, best = ((scene.place / "run" / name).read_text().strip() for name in ("LATEST", "BEST"))
    scene.want(last != best, "the best checkpoint is the last")
