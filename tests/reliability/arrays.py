"""Rows 1 to 10: files of motions."""

import io
import json
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import torch

from motionrft import builtin
from motionrft.representations.convert import convert
from motionrft.representations.statistics import Statistics
from motionrft.training.weights import load_weights
from tests.official.test_pickles import Payload
from tests.reliability.scene import Ended, Scene, row
from tests.representations.people import people

PAGE = b"<!DOCTYPE html><html><body>404</body></html>"
GIB = 1 << 30


def joints(frames: int = 40, seed: int = 0) -> np.ndarray:
    """(T, 22, 3) of a person."""
    return people(frames, seed)[0].float().numpy()


def features(frames: int = 41, seed: int = 0) -> np.ndarray:
    """(T - 1, 263) of the same."""
    return convert(torch.from_numpy(joints(frames, seed))[None], "joints", "kinematic")[0].numpy()


def scored(scene: Scene, *files: Path, terms: str = "physics") -> Ended:
    return scene.run("score", *files, "--terms", terms, "--json")


def lines(ended: Ended) -> list[dict]:
    """The JSON lines of stdout; strictly, no NaN."""
    return [json.loads(line, parse_constant=lambda word: 1 / 0) for line in ended.out.splitlines()]


def claiming(shape: str, path: Path, size: int = 128) -> Path:
    """A `.npy` whose header says more than there is."""
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".encode()
    path.write_bytes((b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header).ljust(size, b"\0"))
    return path


@row(1)
def not_a_motion(scene: Scene) -> None:
    """`.npy` empty; truncated; a web page named `.npy` or `.ckpt`."""
    np.save(scene.place / "good.npy", joints())
    whole = (scene.place / "good.npy").read_bytes()
    contents = {
        "empty": (b"", "empty"),
        "cut": (whole[: len(whole) // 2], "truncated"),
        "page": (PAGE, "web page"),
    }
    files = []
    for name, (content, said) in contents.items():
        files.append(scene.place / f"{name}.npy")
        files[-1].write_bytes(content)
        scene.refused(scored(scene, files[-1]), f"{name}.npy", said)
        (scene.place / f"{name}.ckpt").write_bytes(content)
        told = "web page" if name == "page" else "empty" if name == "empty" else ""
        ended = scene.run("convert", f"{name}.ckpt", "--to", "motionrft", "--out", "out")
        scene.refused(ended, f"{name}.ckpt", told)
    batch = scene.refused(scored(scene, *files, scene.place / "good.npy"), code=3, lines=3)
    scene.want(len(lines(batch)) == 1, "the good one was not scored")
    scene.want(len({line.split(": ", 2)[-1] for line in batch.errors}) == 3, "not a message each")


@row(2)
def pickles(scene: Scene) -> None:
    """Object array or pickle inside `.npy`."""
    planted = np.array([Payload(scene.place / "ran")], dtype=object)
    np.save(scene.place / "objects.npy", planted, allow_pickle=True)
    (scene.place / "raw.npy").write_bytes(planted.dumps())
    for name in ("objects.npy", "raw.npy"):
        ended = scene.refused(scored(scene, scene.place / name), name)
        scene.want("allow_pickle" not in ended.err, "suggests to enable pickles")
    scene.want(not (scene.place / "ran").exists(), "the payload ran")


@row(3)
def claims(scene: Scene) -> None:
    """The header claims 957 TiB, or 8 GB in a file of 128 bytes."""
    np.save(scene.place / "good.npy", joints())
    usual = scored(scene, scene.place / "good.npy")
    for shape in ("(1000000000000, 263)", "(7604562, 263)"):
        ended = scored(scene, claiming(shape, scene.place / "claim.npy"))
        scene.refused(ended, "claim.npy", "the header claims", "the file holds")
        scene.want(ended.processor < usual.processor + 1, f"{ended.processor:.1f} s, not within a second")
        scene.want(ended.peak < usual.peak + GIB // 8, f"{ended.peak >> 20} MiB")


@row(4)
def bombs(scene: Scene) -> None:
    """`.npz` of 0.8 MB that expands to 800 MB; a member named `../../x`."""
    deep = scene.place / "a" / "b"
    deep.mkdir(parents=True)
    with (
        zipfile.ZipFile(deep / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("motion.npy", "w") as out,
    ):
        out.write(claiming("(800000, 263)", scene.place / "head.npy").read_bytes())
        for _ in range(800):
            out.write(bytes(1_000_000))
    ended = scene.refused(scored(scene, deep / "bomb.npz"), "bomb.npz")
    scene.want(ended.peak < GIB, f"{ended.peak >> 20} MiB")
    content = io.BytesIO()
    np.save(content, joints())
    for name in ("../../x.npy", "/x.npy", "a/../../../x.npy"):
        with zipfile.ZipFile(deep / "out.npz", "w") as archive:
            archive.writestr(name, content.getvalue())
        with tarfile.open(deep / "out.tar", "w") as tar:
            member = tarfile.TarInfo(name)
            member.size = len(content.getvalue())
            tar.addfile(member, io.BytesIO(content.getvalue()))
        for file in ("out.npz", "out.tar"):
            ended = scene.run("convert", deep / file, "--to", "joints", "--out", deep / "out", "--overwrite")
            scene.want(ended.code in (0, 2), f"exit {ended.code}: {ended.err}")
        found = [path for path in scene.place.rglob("x*.npy") if deep / "out" not in path.parents]
        scene.want(not found and not Path("/x.npy").exists(), f"{name}: written outside: {found}")


@row(5)
def shapes(scene: Scene) -> None:
    """Width 251 where 263 is wanted; rank (263,), (T, 22), (0, 263); one frame."""
    wrong = {
        "kit": (np.zeros((40, 251), np.float32), ("251", "263", "motionrft convert")),
        "flat": (np.zeros(263, np.float32), ("(263,)", "motionrft convert")),
        "twenty-two": (np.zeros((40, 22), np.float32), ("22", "motionrft convert")),
        "none": (np.zeros((0, 263), np.float32), ("empty motion", "(0, 263)")),
        "one": (features()[:1], ("1 frame",)),
    }
    told = set()
    for name, (array, said) in wrong.items():
        np.save(scene.place / f"{name}.npy", array)
        ended = scene.run("score", f"{name}.npy", "--terms", "semantic", "--text", "a person walks", "--json")
        told.add(scene.refused(ended, f"{name}.npy", *said).err.split(".npy", 1)[-1])
    scene.want(len(told) == len(wrong), "not a message each")


@row(6)
def one_of_a_hundred(scene: Scene) -> None:
    """NaN or infinity in one of 100 files."""
    (scene.place / "in").mkdir()
    for number in range(100):
        np.save(scene.place / "in" / f"{number:02}.npy", joints(seed=number % 7))
    for value in (np.nan, np.inf):
        bad = joints()
        bad[[3, 7], 2] = value
        np.save(scene.place / "in" / "50.npy", bad)
        ended = scene.refused(scored(scene, scene.place / "in"), "50.npy", "3", "7", code=3)
        scene.want(len(lines(ended)) == 99, f"{len(lines(ended))} scored")
        scene.want("NaN" not in ended.out and "Infinity" not in ended.out, "no JSON")


@row(7)
def number_formats(scene: Scene) -> None:
    """Int, float16, float64, big-endian, Fortran-order arrays."""
    exact = np.round(joints() * 64) / 64  # every format holds it
    kinds = ("<f4", "<f2", "<f8", ">f4", ">f8", "<i4", ">i2")
    expected: dict[bool, dict] = {}
    for kind in kinds:
        whole = np.dtype(kind).kind in "iu"
        np.save(scene.place / "a.npy", (np.round(exact * 100) if whole else exact).astype(kind))
        ended = scene.done(scored(scene, scene.place / "a.npy"))
        found = lines(ended)[0]["scores"] if ended.out else {}
        reference = expected.setdefault(whole, found)
        far = [name for name in reference if abs((found.get(name) or 0) - (reference[name] or 0)) > 1e-5]
        scene.want(found and not far, f"{kind}: other scores: {far}")
    np.save(scene.place / "a.npy", np.asfortranarray(exact.astype("<f4")))
    found = lines(scene.done(scored(scene, scene.place / "a.npy")))[0]["scores"]
    scene.want(found == expected[False], "Fortran order: other scores")


@row(8)
def normalised(scene: Scene) -> None:
    """Features already normalised given as raw, and the reverse."""
    tensors, _ = load_weights(builtin.path("generator"))
    statistics = Statistics(tensors["mean"], tensors["std"])
    raw = torch.from_numpy(features(120))
    np.save(scene.place / "normalised.npy", statistics.normalise(raw).numpy())
    np.save(scene.place / "twice.npy", statistics.denormalise(raw).numpy())
    np.save(scene.place / "raw.npy", raw.numpy())
    for name in ("normalised", "twice"):
        scene.done(scored(scene, scene.place / f"{name}.npy"), f"{name}.npy", "normalised")
    scene.want(
        "normalised" not in scene.done(scored(scene, scene.place / "raw.npy")).err, "raw features are doubted"
    )


@row(9)
def a_million_frames(scene: Scene) -> None:
    """A clip of 1,000,000 frames."""
    for name, shape in (("features", "(1000000, 263)"), ("joints", "(1000000, 22, 3)")):
        path = claiming(shape, scene.place / f"{name}.npy")
        with path.open("r+b") as file:
            file.truncate(128 + 4 * 1_000_000 * (263 if name == "features" else 66))
        for words in (
            ["score", path, "--terms", "physics", "--json"],
            ["convert", path, "--to", "rotation", "--out", "o"],
        ):
            ended = scene.refused(scene.run(*words), path.name, "1,000,000 frames", "at most")
            scene.want(ended.peak < GIB, f"{ended.peak >> 20} MiB")


@row(10)
def nothing_moves(scene: Scene) -> None:
    """All zeros; a constant pose."""
    still = {
        "zero-features": np.zeros((40, 263), np.float32),
        "still-features": np.repeat(features()[:1], 40, 0),
        "still-joints": np.repeat(joints()[:1], 40, 0),
    }
    for name, array in still.items():
        np.save(scene.place / f"{name}.npy", array)
        ended = scene.run("score", f"{name}.npy", "--text", "a person stands", "--json")
        scores = lines(scene.done(ended))[0]["scores"]
        missing = [term for term, value in scores.items() if value is None or not np.isfinite(value)]
        scene.want(not missing, f"{name}: not finite: {missing}")
    np.save(scene.place / "zero-joints.npy", np.zeros((40, 22, 3), np.float32))
    ended = scene.run("score", "zero-joints.npy", "--text", "a person stands", "--json")
    scene.want(ended.code in (0, 2), f"exit {ended.code}")
