"""Good files, one small set a reader."""

import json
import pickle
import tarfile
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from motionrft.data.captions import Caption
from motionrft.evaluation.items import FixedItems, TestItem
from motionrft.evaluation.result import EvaluationResult
from motionrft.files import Motion, write_motion
from motionrft.files.bvh_writer import write_bvh
from motionrft.files.packing import repack
from motionrft.generators.folder import save_generator
from motionrft.official.generators import save_official
from motionrft.report.study import ASPECTS
from motionrft.representations.convert import convert
from motionrft.representations.statistics import Statistics
from motionrft.reward.folder import save_reward
from motionrft.reward.tmr import TMRNetwork, TMRReward
from motionrft.skeleton import SMPL22
from motionrft.training.run import RunFolder
from tests.abroad.checkpoints import write_evaluator, write_spm
from tests.abroad.layouts import HUMANML3D
from tests.generators.families import tiny
from tests.representations.people import people
from tests.reward import published
from tests.reward.conftest import WordVectors

RUN_PRESET = {"seed": 0, "method": "easytune", "data": None}
GENERATORS = ("mld", "mdm", "motiondiffuse", "acmdm", "hymotion", "stablemofusion")


def joints() -> np.ndarray:
    """(24, 22, 3) of a person."""
    return people(24, 0)[0].float().numpy()


def features() -> np.ndarray:
    """(23, 263) of the same."""
    return convert(torch.from_numpy(joints())[None], "joints", "kinematic")[0].numpy()


def npy(folder: Path) -> None:
    np.save(folder / "features.npy", features())
    np.save(folder / "batch.npy", np.stack([joints(), joints()]).astype(np.float64))


def npz(folder: Path) -> None:
    np.savez(folder / "plain.npz", motion=features(), fps=20.0)
    np.savez_compressed(
        folder / "batch.npz", motions=np.stack([joints()] * 2), lengths=[20, 24], names=["a", "b"]
    )


def safetensors(folder: Path) -> None:
    write_motion(folder / "a.safetensors", Motion(features(), "kinematic", 20.0, folder))


def bvh(folder: Path) -> None:
    write_bvh(folder / "a.bvh", torch.from_numpy(joints()), 30.0)


def pickled(folder: Path) -> None:
    content = {
        "motion": joints().transpose(1, 2, 0)[None],
        "text": ["a person walks"],
        "lengths": np.array([24]),
    }
    np.save(folder / "results.npy", np.array(content, dtype=object), allow_pickle=True)
    (folder / "a.pkl").write_bytes(pickle.dumps({"joints": joints(), "fps": 20.0}))


def bodies(folder: Path) -> None:
    frames = 24
    poses, trans = np.zeros((frames, 156)), np.linspace(0, 1, 3 * frames).reshape(frames, 3)
    np.savez(
        folder / "amass.npz",
        poses=poses,
        trans=trans,
        mocap_framerate=60.0,
        betas=np.zeros(16),
        gender="male",
    )
    np.savez(folder / "kimodo.npz", posed_joints=joints(), foot_contacts=np.zeros((frames, 4)))
    rows = np.zeros((frames, 36))
    rows[:, 2], rows[:, 3] = 0.8, 1
    np.savetxt(folder / "g1.csv", rows, delimiter=",", fmt="%.4f")


def tar(folder: Path) -> None:
    bvh(folder)
    with tarfile.open(folder / "motions.tar.gz", "w:gz") as archive:
        archive.add(folder / "a.bvh", "set/a.bvh")
    (folder / "a.bvh").unlink()


def captions(folder: Path) -> None:
    rows = [{"clip_id": clip, "captions": ["a person walks", "someone walks"]} for clip in "abc"]
    (folder / "captions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def splits(folder: Path) -> None:
    (folder / "splits.csv").write_text('clip_id,split,style\na,train,calm\nb,val,"wild, very"\nc,test,calm\n')


def cuts(folder: Path) -> None:
    (folder / "cuts.csv").write_text(
        "file,start,end,caption\na,0.5,1.5,a person walks\nb,0,2,someone turns\n"
    )


def pairs(folder: Path) -> None:
    for name in ("a", "b"):
        np.save(folder / f"{name}.npy", joints())
    (folder / "pairs.jsonl").write_text('{"better": "a.npy", "worse": "b.npy", "kind": "x"}\n')


def prompts(folder: Path) -> None:
    (folder / "prompts.txt").write_text("a person walks\nsomeone waves\n\nein Läufer 走る\n")


def joint_map(folder: Path) -> None:
    lines = [f"{name}: {name}_src" for name in SMPL22.names[3:]]
    lines += [
        f"{SMPL22.names[0]}: [a, b]",
        f"{SMPL22.names[1]}: c",
        f"{SMPL22.names[2]}: {{d: 0.25, e: 0.75}}",
    ]
    (folder / "map.yaml").write_text("\n".join(lines) + "\n")


def preset(folder: Path) -> None:
    (folder / "p.yaml").write_text(
        "# motionrft finetune --preset p.yaml\nmethod:\n  method: easytune\n  k: 4\nsteps: 20\nbatch: 4\n"
        "updates: 100\nweights: {semantic: 1.0, jitter: 0.5}\noptimiser:\n  lr: 1e-4\nlora: {enabled: true}\n"
    )


def data_set(folder: Path) -> None:
    for name in ("new_joint_vecs", "new_joints", "texts"):
        (folder / name).mkdir()
    for clip in ("a", "b"):
        np.save(folder / "new_joint_vecs" / f"{clip}.npy", features())
        np.save(folder / "new_joints" / f"{clip}.npy", joints()[:23])
        (folder / "texts" / f"{clip}.txt").write_text("a person walks#a/DET person/NOUN walk/VERB#0.0#0.0\n")
    (folder / "train.txt").write_text("a\nb\n")
    (folder / "index.csv").write_text("clip_id,split,content,style\na,train,walk,calm\nb,train,walk,wild\n")
    (folder / "dataset.json").write_text('{"fps": 20.0, "licence": "none"}\n')
    Statistics.of_clips([features()]).save(folder)


def sharded(folder: Path) -> None:
    with TemporaryDirectory() as loose:
        data_set(Path(loose))
        repack(Path(loose), folder / "set", "shards")
    for path in (folder / "set").iterdir():
        path.rename(folder / path.name)
    (folder / "set").rmdir()


def run(folder: Path) -> None:
    with RunFolder.open(folder / "run", RUN_PRESET, {"device": "cpu"}) as opened:
        for step in (1, 2):
            opened.append_metrics({"update": step, "loss": 0.5})
            state = {"weights": torch.ones(3), "seen": {1: (2, 3)}, "rate": 1e-3}
            opened.save_checkpoint(step, state)
        opened.mark_best(1)
    (folder / "run" / "watch.jsonl").write_text(
        '{"update": 0, "jitter": 0.1}\n{"update": 5, "jitter": 0.2}\n'
    )


def results(folder: Path) -> None:
    EvaluationResult(
        kind="generation",
        subject={"name": "a", "identity": "a" * 20},
        judge={"name": "judge", "identity": "j" * 20, "comparable": False},
        data={"identity": "d" * 20, "split": "test", "items": 40},
        protocol={"selection": "fixed", "steps": 50},
        seeds=[0, 1],
        environment={"device": "cpu"},
        metrics={"label_r1": [0.5, 0.6], "fid": [1.0, 2.0]},
        real={"label_r1": [0.9, 0.9]},
        notes=["a note"],
    ).save(folder / "result.json")


def ratings(folder: Path) -> None:
    key = {"study": "s", "systems": ["a", "b"], "seed": 0, "left": {"s-0": "first"}, "texts": {"s-0": "walk"}}
    (folder / "key.json").write_text(json.dumps(key))
    answer = {"pair": "s-0", **dict.fromkeys(ASPECTS, "left")}
    (folder / "rating.json").write_text(json.dumps({"study": "s", "rater": "r", "answers": [answer]}))


def generator(folder: Path) -> None:
    save_generator(tiny("built-in"), folder / "model")


def reward(folder: Path) -> None:
    torch.manual_seed(0)
    statistics = Statistics(torch.zeros(263), torch.ones(263))
    save_reward(folder / "model", TMRReward(TMRNetwork(published.TMR), statistics, WordVectors()))


def items(folder: Path) -> None:
    listed = [TestItem(name, (Caption("a person walks"),), 40, "walk") for name in ("a", "b")]
    FixedItems(listed, None, None, "test").save(folder / "model")


def official_generator(family: str) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        from motionrft.official.generators import _reader

        save_official(tiny(family), folder / _reader(family).FILE)

    return make


def _with_statistics(write: Callable[[Path], object]) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        Statistics(torch.zeros(263), torch.ones(263)).save(folder)
        write(folder)

    return make


def _spm(folder: Path) -> None:
    data = folder / "data"
    data.mkdir()
    data_set(data)
    path = write_spm(data, HUMANML3D, folder / "written")
    for each in path.parent.iterdir():
        each.rename(folder / each.name)


def _backbone(folder: Path) -> None:
    torch.manual_seed(0)
    from tests.abroad.checkpoints import write_motionreward

    data = folder / "data"
    data.mkdir()
    data_set(data)
    path = write_motionreward(data, HUMANML3D, folder / "written")
    for each in path.parent.iterdir():
        each.rename(folder / each.name)


REWARDS: dict[str, Callable[[Path], None]] = {
    "motionreward": _backbone,
    "spm": _spm,
    "tmr": _with_statistics(published.write_tmr),
    "motioncritic": _with_statistics(published.write_motioncritic),
}


def guo(folder: Path) -> None:
    data = folder / "data"
    data.mkdir()
    data_set(data)
    write_evaluator(data, HUMANML3D, folder)
