"""Rows 29 to 32: numbers that must be the same, and numbers that must be right."""

import json

import numpy as np
import torch

from motionrft.rotations import yaw_rotate
from tests.files.test_bvh import SIMPLE
from tests.reliability.arrays import joints, lines
from tests.reliability.scene import Scene, row
from tests.representations.people import people


@row(29)
def same_seed(scene: Scene) -> None:
    """Same seed twice; batch 1 and 32; shuffled; 1 and 2 workers."""
    texts = ("a person waves", "someone bows", "a person walks")

    def made(name: str, *more: str, order: tuple[int, ...] = (0, 1, 2)) -> dict[str, np.ndarray]:
        chosen = [texts[number] for number in order]
        short = ("--seconds", "1", "--steps", "4", "--json", "--out", name, "--seed", "3")
        documents = lines(scene.done(scene.run("sample", *chosen, *short, *more)))
        return {each["prompt"]: np.load(scene.place / each["file"]) for each in documents}

    first = made("first")
    again, shuffled = made("again"), made("shuffled", order=(2, 0, 1))
    one, many = made("one", "--set", "batch=1"), made("many", "--set", "batch=32")
    for text in texts:
        scene.want(np.array_equal(first[text], again[text]), f"{text}: another motion with the same seed")
        scene.want(np.array_equal(first[text], many[text]), f"{text}: another motion at an equal shape")
        for other, what in ((shuffled, "shuffled"), (one, "in batches of one")):
            far = np.abs(first[text] - other[text]).max()
            scene.want(far < 1e-4, f"{text}: {far:.1e} away {what}")
    (scene.place / "in").mkdir()
    for number in range(4):
        np.save(scene.place / "in" / f"{number}.npy", joints(seed=number))
    for jobs in ("1", "2"):
        scene.done(scene.run("convert", "in", "--to", "kinematic", "--jobs", jobs, "--out", f"jobs-{jobs}"))
    for path in (scene.place / "jobs-1").iterdir():
        other = scene.place / "jobs-2" / path.name
        scene.want(path.read_bytes() == other.read_bytes(), f"{path.name} differs with two workers")


@row(30)
def odd_bvh(scene: Scene) -> None:
    """BVH: wrong rotation order, missing End Site, zero frames, 0 fps, decimal commas, two roots."""
    damages = {
        "order": (
            SIMPLE.replace("CHANNELS 3 Zrotation Xrotation Yrotation", "CHANNELS 3 Zrotation Zrotation Y"),
            "line 9",
        ),
        "no frames": (SIMPLE.replace("Frames:\t2", "Frames: 0").rsplit("\n", 3)[0] + "\n", "frames"),
        "no rate": (SIMPLE.replace("0.0333333", "0"), "Frame Time"),
        "commas": (SIMPLE.replace("0.0333333", "0,0333333").replace("5.1e-06", "5,1e-06"), "line"),
        "two roots": (
            SIMPLE.replace("MOTION", SIMPLE.split("MOTION")[0].split("\n", 1)[1] + "MOTION"),
            "line",
        ),
        "cut": (SIMPLE[: len(SIMPLE) // 2], "truncated"),
        "too few": (SIMPLE.replace("0 90 0 -0 5.1e-06 0", "0 90 0"), "line"),
    }
    for name, (text, said) in damages.items():
        (scene.place / f"{name}.bvh").write_text(text)
        scene.refused(scene.run("score", f"{name}.bvh", "--terms", "physics", "--json"), f"{name}.bvh", said)
    np.save(scene.place / "a.npy", joints())
    scene.done(scene.run("convert", "a.npy", "--to", "bvh", "--out", "out"))
    text = (scene.place / "out" / "a.bvh").read_text()
    kept, skipping = [], 0
    for line in text.splitlines():
        skipping = 4 if line.strip() == "End Site" else skipping
        if not skipping:
            kept.append(line)
        skipping = max(skipping - 1, 0)
    (scene.place / "no-end.bvh").write_text("\n".join(kept) + "\n")
    ended = scene.run("convert", "no-end.bvh", "--to", "joints", "--out", "no-end")
    scene.want(ended.code in (0, 2), f"exit {ended.code}")
    if ended.code == 0:  # ends are no joints of ours: the motion is the same without
        scene.done(scene.run("convert", "out/a.bvh", "--to", "joints", "--out", "whole"))
        both = [np.load(scene.place / name) for name in ("no-end/no-end.npy", "whole/a.npy")]
        scene.want(np.abs(both[0] - both[1]).max() < 1e-4, "another motion without its End Sites")


@row(31)
def round_trip(scene: Scene) -> None:
    """BVH round trip, person facing away, 360 degree spins."""
    steady = people(60, 1, turn=0.0).float()
    turned = {
        "away": torch.full((60,), torch.pi),
        "spins": torch.linspace(0, 4 * torch.pi, 60),
        "as-is": torch.zeros(60),
    }
    for name, angles in turned.items():
        spun = yaw_rotate(angles[:, None].expand(60, 22), steady[0])
        np.save(scene.place / f"{name}.npy", spun.numpy())
    files = [f"{name}.npy" for name in turned]
    scene.done(scene.run("convert", *files, "--to", "bvh", "--out", "bvh"))
    scene.done(scene.run("convert", "bvh", "--to", "joints", "--out", "again", "--up", "y"))
    for name in turned:
        before, after = np.load(scene.place / f"{name}.npy"), np.load(scene.place / "again" / f"{name}.npy")
        # A file of joints begins where it begins; a person's height above the floor is the file's own.
        far = np.abs(before - after).max() if before.shape == after.shape else float("inf")
        scene.want(far < 1e-4, f"{name}: {far:.1e} m away")
        height = _rest((scene.place / "bvh" / f"{name}.bvh").read_text())
        scene.want(height > 100, f"{name}: the rest pose is {height:.0f} cm high: it does not stand")


def _rest(text: str) -> float:
    """How high the rest pose is, in the file's unit, from the head of a BVH file."""
    heights, stack = [], [0.0]
    for line in text.split("MOTION")[0].splitlines():
        words = line.split()
        if words and words[0] == "OFFSET":
            stack[-1] += float(words[2])
            heights.append(stack[-1])
        elif words == ["{"]:
            stack.append(stack[-1])
        elif words == ["}"]:
            stack.pop()
    return max(heights) - min(heights)


@row(32)
def few_samples(scene: Scene) -> None:
    """FID with fewer samples than dimensions."""
    ended = scene.run(
        *("eval", "generation", "--generator", "builtin", "--steps", "2", "--repeats", "2", "--json"),
        *("--set", "limit=40", "--out", "out"),
    )
    result = json.loads(scene.done(ended).out or "{}")
    found = result.get("results", [result])[0]
    fids = found.get("metrics", {}).get("fid", [])
    scene.want(fids and all(np.isreal(each) and np.isfinite(each) for each in fids), f"FID {fids}")
    told = (
        json.dumps(found)
        + ended.err
        + "".join(path.read_text() for path in (scene.place / "out").glob("table.*"))
    )
    scene.want("too few to trust" in told, f"not flagged: {found.get('notes')}")
