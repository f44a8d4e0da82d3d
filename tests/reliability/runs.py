"""Rows 15 and 17 to 21: runs that are killed, stopped, out of disk, resumed with something else, or not alone."""

import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from tests.cli.conftest import clean_environment
from tests.kills.commands import COMMANDS
from tests.kills.engine import differences
from tests.reliability.arrays import joints
from tests.reliability.scene import Ended, Scene, row

KILLS = 50
RESUMABLE = COMMANDS["pretrain"]
METRICS = Path("autoencoder") / "metrics.jsonl"


def started(words: Sequence[str], scene: Scene, **environment: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "motionrft_cli.main", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=scene.place,
        env=clean_environment(**environment),
    )


def ended(scene: Scene, process: "subprocess.Popen[str]") -> Ended:
    began = time.monotonic()
    out, err = process.communicate(timeout=300)
    words = tuple(map(str, process.args)) if isinstance(process.args, list) else ()
    return scene.saw(Ended(words, process.returncode, out, err, time.monotonic() - began, 0.0, 0))


def shot(
    scene: Scene,
    words: Sequence[str],
    file: Path,
    after: int,
    shoot: Callable[["subprocess.Popen[str]"], None],
) -> Ended:
    """A run to which something is done once its file of metrics has so many lines."""
    process = started(words, scene)
    while process.poll() is None and (not file.is_file() or file.read_bytes().count(b"\n") < after):
        time.sleep(0.002)
    if process.poll() is None:
        shoot(process)
    return ended(scene, process)


def sends(*numbers: signal.Signals) -> Callable[["subprocess.Popen[str]"], None]:
    return lambda process: [process.send_signal(number) for number in numbers] and None


@row(15)
def disk_full(scene: Scene) -> None:
    """Disk full in a save."""
    words = RESUMABLE.scene(scene.place)
    out = scene.place / "out"

    def fill(process: "subprocess.Popen[str]") -> None:
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (20_000, 20_000))

    failed = shot(scene, [*words, "--out", "out"], out / METRICS, 30, fill)
    scene.refused(failed, "writing failed", code=1)
    scene.clean(out)
    scene.done(scene.run(words[0], "--out", "out", "--resume"), "Going on after update")
    np.save(scene.place / "a.npy", joints(400))
    small = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))  # noqa: E731
    for command in (
        ("convert", "a.npy", "--to", "kinematic", "--out", "converted"),
        ("sample", "a person waves", "--steps", "2", "--seconds", "8", "--out", "samples"),
        ("eval", "physics", "--motions", "a.npy", "--out", "numbers"),
    ):
        if command[0] == "eval":
            (scene.place / "motions").mkdir()
            (scene.place / "a.npy").rename(scene.place / "motions" / "a.npy")
            command = ("eval", "physics", "--motions", "motions", "--out", "numbers")
        full = scene.run(*command, prepare=small, MOTIONRFT_CACHE=str(scene.place / "cache"))
        scene.want(full.code == 1 and len(full.errors) == 1, f"{command[0]}: exit {full.code}: {full.err}")
        if (scene.place / command[-1]).is_dir():
            scene.clean(scene.place / command[-1])


@row(17)
def killed(scene: Scene) -> None:
    """SIGKILL at 50 random moments of a save."""
    command = ["-m", "tests.kills", "--kills", str(KILLS), "--command", "pretrain"]
    root = Path(__file__).parents[2]
    done = scene.execute([sys.executable, *command], b"", root, None, longest=3600.0)
    scene.want(done.code == 0 and f"{KILLS} kills" in done.out, done.out[-400:])


@row(18)
def signals(scene: Scene) -> None:
    """SIGTERM in a step; SIGINT once, twice; SIGUSR1; SIGHUP."""
    words = RESUMABLE.scene(scene.place)
    scene.done(scene.run(*words, "--out", "whole"))
    out = scene.place / "out"
    metrics = out / METRICS
    again = [words[0], "--out", "out", "--resume"]
    scene.done(shot(scene, [*words, "--out", "out"], metrics, 20, sends(signal.SIGTERM)), "--resume", code=75)
    scene.done(shot(scene, again, metrics, 50, sends(signal.SIGHUP)), "--resume", code=75)
    scene.done(shot(scene, again, metrics, 80, sends(signal.SIGINT)), "--resume", code=130)

    def save_then_interrupt(process: "subprocess.Popen[str]") -> None:
        process.send_signal(signal.SIGUSR1)
        made = metrics.read_bytes().count(b"\n")
        while process.poll() is None and metrics.read_bytes().count(b"\n") < made + 20:
            time.sleep(0.002)
        scene.want(process.poll() is None, "SIGUSR1 ended the run")
        process.send_signal(signal.SIGINT)
        time.sleep(0.001)
        process.send_signal(signal.SIGINT)

    scene.want(shot(scene, again, metrics, 110, save_then_interrupt).code == 130, "SIGINT twice: not 130")
    scene.done(scene.run(*again))
    for fault in differences(RESUMABLE, scene.place / "whole", out):
        scene.want(False, fault)
    scene.clean(out)


def company(scene: Scene, words: Sequence[str], count: int = 2) -> list["subprocess.Popen[str]"]:
    """The program in several processes, as `torchrun` starts it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "LOCAL_WORLD_SIZE": str(count)}
    place["WORLD_SIZE"] = str(count)
    return [started(words, scene, **place, RANK=str(rank), LOCAL_RANK=str(rank)) for rank in range(count)]


SMALL = ("--batch", "2", "--steps", "6", "--set", "method.k=3", "--set", "checkpoint_every=3")
UNWATCHED = ("--set", "watch.every=0", "--set", "evaluation.prompts=0", "--updates", "4000")


@row(19)
def one_of_two(scene: Scene) -> None:
    """One of two distributed ranks killed."""
    for number, victim in (
        (signal.SIGKILL, 1),
        (signal.SIGKILL, 0),
        (signal.SIGTERM, 1),
        (signal.SIGTERM, 0),
    ):
        out = scene.place / f"run-{victim}-{number}"
        both = company(scene, ["finetune", *SMALL, *UNWATCHED, "--device", "cpu", "--out", str(out)])
        metrics = out / "metrics.jsonl"
        while all(each.poll() is None for each in both) and not (metrics.is_file() and metrics.read_bytes()):
            time.sleep(0.05)
        both[victim].send_signal(number)
        began = time.monotonic()
        codes = [ended(scene, each).code for each in both]
        scene.want(time.monotonic() - began < 120, "the other went on for two minutes")
        right = all(codes) if number == signal.SIGKILL else codes == [75, 75]
        scene.want(right, f"{number.name} to process {victim}: {codes}")
        if number == signal.SIGTERM:  # who is killed leaves its lock, which the next one finds to be stale
            scene.clean(out)


@row(20)
def changed(scene: Scene) -> None:
    """Resume with a changed preset or data set."""
    words = RESUMABLE.scene(scene.place)
    scene.done(scene.run(*words, "--out", "out", "--set", "autoencoder.updates=20"))
    again = [words[0], "--out", "out", "--resume"]
    ended = scene.run(*again, "--set", "autoencoder.batch=5", "--set", "autoencoder.window=12")
    scene.refused(ended, "autoencoder.batch: 4 -> 5", "autoencoder.window: 16 -> 12", "--allow-changed")
    allowed = ("--allow-changed", "autoencoder.batch")
    scene.done(scene.run(*again, "--set", "autoencoder.batch=5", *allowed))
    motion = scene.place / "data" / "new_joint_vecs" / "c0.npy"
    changed = np.load(motion)
    changed[3, 7] += 1
    np.save(motion, changed)
    scene.refused(scene.run(*again, "--set", "autoencoder.batch=5", *allowed), "data", "--allow-changed")
    scene.done(scene.run(*again, "--set", "autoencoder.batch=5", *allowed, "--allow-changed", "data"))


@row(21)
def two_in_one_folder(scene: Scene) -> None:
    """Two processes, one run folder; a stale lock."""
    words = RESUMABLE.scene(scene.place)
    out = scene.place / "out"
    seen: list[Ended] = []

    def knock(process: "subprocess.Popen[str]") -> None:
        os.kill(process.pid, signal.SIGSTOP)
        seen.append(scene.run(words[0], "--out", "out", "--resume"))
        os.kill(process.pid, signal.SIGKILL)

    killed = shot(scene, [*words, "--out", "out"], out / METRICS, 20, knock)
    scene.want(killed.code == -signal.SIGKILL, "the first was over before the second came")
    for second in seen:
        scene.refused(second, "in use by process")
    scene.want(
        any(path.name == ".lock" for path in out.rglob("*")), "the killed one left no lock: nothing shown"
    )
    scene.done(scene.run(words[0], "--out", "out", "--resume"))
    scene.clean(out)
