"""How fast and how lean fine-tuning is, against a plain loop on the same task, measured in one run.

    python -m tests.benchmarks.finetune                     # one CPU thread, batch 4: CPU seconds a trajectory
    python -m tests.benchmarks.finetune --against DIR       # a working tree of another commit, turn by turn
    python -m tests.benchmarks.finetune --device cuda       # also batch 64 and 256, and bytes against steps

MLD at its published size (denoiser 8.2 M, VAE 18 M), reward `tiny` with adapters of rank 128 and four terms,
64 frames, 50 steps, the last 10 judged, guidance 7.5, AdamW; random weights, text features given.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from random import Random

import torch
from torch import Tensor

from motionrft.diffusion.rollout import Start
from motionrft.finetuning.methods.base import MethodPreset, plan_of
from motionrft.finetuning.methods.draft import DraftPreset
from motionrft.finetuning.methods.easytune import EasyTunePreset
from motionrft.finetuning.objective import MicroBatch, TuningContext
from motionrft.finetuning.trajectory import updates
from motionrft.generators.base import Condition
from motionrft.generators.mld import Mld, MldConfig
from motionrft.representations.statistics import Statistics
from motionrft.reward.base import RewardCondition
from motionrft.reward.motionreward.adapters import Critic
from motionrft.reward.motionreward.encoder import MotionRewardNetwork
from motionrft.reward.motionreward.motionreward import MotionReward
from motionrft.reward.motionreward.sizes import PUBLISHED_SIZES
from motionrft.text.base import TextEncoder, TextFeatures
from motionrft.training.memory import GraphBytes
from motionrft.training.optimiser import AdamWSettings, Optimiser
from motionrft.training.precision import autocast
from tests.benchmarks import two_trees
from tests.benchmarks.reference_loop import ReferenceLoop

FRAMES, STEPS, K, GUIDANCE = 64, 50, 10, 7.5
MIB = 2**20


class NoText(TextEncoder):
    """Stands in for an encoder whose features are given."""

    name, identity, width, pooled_width = "given", "given", 1024, 768

    def encode(self, texts):
        raise AssertionError("text features are given")


class Ours:
    """The product's own parts, put together as the trainer does."""

    def __init__(
        self,
        batch: int,
        method: MethodPreset,
        device: str = "cpu",
        steps: int = STEPS,
        frames: int = FRAMES,
        dtype: torch.dtype = torch.float32,
        parts: tuple[Mld, MotionReward] | None = None,
    ):
        torch.manual_seed(0)
        self.device = torch.device(device)
        generator, reward = parts or (Mld(MldConfig()), reward_of_four_terms())
        self.generator = generator.to(self.device).eval().requires_grad_(False)
        self.generator.denoiser.requires_grad_(True)
        self.reward = reward.to(self.device)
        self.reward.settle()
        self.meter = GraphBytes([self.generator, self.reward], self.device)
        self.optimiser = Optimiser(self.generator.denoiser, AdamWSettings(1e-5))
        self.method, self.steps = method, steps
        self.context = TuningContext(
            self.generator, self.generator.process(steps), self.reward, GUIDANCE, method, nullcontext,
            lambda: autocast(self.device, dtype), self.meter, self.optimiser.backward,
        )  # fmt: skip
        self.micro_batch = MicroBatch(_start(batch, frames, self), 1.0, torch.arange(batch))
        self.losses: list[Tensor] = []
        """Of every update so far, still on the device."""

    def trajectory(self) -> int:
        """Walk one; the number of updates."""
        plan = plan_of(self.method, self.steps, 1.0, Random(0))
        points, made = updates(self.context, [self.micro_batch], plan, Random(0)), 0
        while True:
            with self.meter:
                point = next(points, None)
            if point is None:
                return made
            self.losses.append(point.loss)
            self.optimiser.step()
            made += 1


def reward_of_four_terms() -> MotionReward:
    size = replace(PUBLISHED_SIZES["tiny"], representations=("kinematic",), widths=(263,), mode="M1T0")
    network = MotionRewardNetwork(size)
    critics = {
        "preference": Critic(network.motion, 1, 128, 256.0),
        "authenticity": Critic(network.motion, 2, 128, 256.0),
    }
    weights = {"semantic": 1.0, "similarity": 1.0, "preference": 0.002, "authenticity": 0.002}
    statistics = {"kinematic": Statistics(torch.zeros(263), torch.ones(263))}
    reward = MotionReward(network, statistics, NoText(), weights, critics=critics)
    reward.adapter_time = True  # as the published adapter does
    return reward


def _start(batch: int, frames: int, ours: Ours) -> Start:
    generator, reward = ours.generator, ours.reward
    pooled = generator.config.text_features == "pooled"
    width = generator.config.denoiser.get("text_width", 768)

    def features(rows: int) -> TextFeatures:
        tokens = torch.randn(rows, 1 if pooled else 5, width)
        return TextFeatures(tokens, torch.ones(tokens.shape[:2], dtype=torch.bool)).to(ours.device)

    unit = torch.nn.functional.normalize(torch.randn(2, batch, reward.width), dim=-1).to(ours.device)
    lengths = torch.full((batch,), frames)
    noise = torch.randn(generator.noise_shape(lengths)).to(ours.device)
    condition = Condition(features(batch), features(1))
    return Start(noise, condition, lengths.to(ours.device), RewardCondition(unit[0], unit[1]), frames)


def text_encoder() -> Callable[[int], Tensor]:
    """A T5-large-sized encoder with random weights: (B,) texts of 20 tokens to (B, 20, 1024) states."""
    from transformers import T5Config, T5EncoderModel

    config = T5Config(d_model=1024, d_kv=64, d_ff=4096, num_layers=24, num_heads=16)
    model = T5EncoderModel(config).eval().requires_grad_(False)
    return lambda batch: model(torch.randint(0, 30000, (batch, 20))).last_hidden_state


def held(loop: ReferenceLoop) -> int:
    """Peak bytes that autograd holds in the plain loop.

    EasyTune is measured at its last update alone: under the meter's hooks, a branch that is decoded and never
        used stays alive until Python's collector comes, which is no fault of the loop.
    """
    window, loop.window = loop.window, loop.window if loop.draft else loop.window[-1:]
    meter = GraphBytes([loop.denoiser, loop.decoder, loop.reward])
    with meter:
        loop.trajectory()
    loop.window = window
    return meter.peak


def seconds(runs: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median CPU seconds of each, taken in turn so that a busy machine hits all of them."""
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for run in runs.values():
        run()
    for _ in range(repeats):
        for name, run in runs.items():
            began = time.process_time()
            run()
            taken[name].append(time.process_time() - began)
    return {name: statistics.median(times) for name, times in taken.items()}


def compare_on_cpu(repeats: int, with_text: bool) -> Iterator[str]:
    """Ours against the plain loop, one thread."""
    torch.set_num_threads(1)
    batch, window = 4, range(STEPS - K, STEPS)
    states = torch.randn(batch, 20, 1024)
    plain = ReferenceLoop(batch, FRAMES, STEPS, window, lambda: states)
    ours = Ours(batch, EasyTunePreset(k=K, judge="next"))
    found = seconds({"plain": plain.trajectory, "ours": ours.trajectory}, repeats)
    memory = held(plain) / MIB
    yield _line("EasyTune, text given", found, memory, ours.meter.peak / MIB)
    if with_text:
        encode = text_encoder()
        plain.states = lambda: encode(batch)

        def encode_once() -> None:
            encode(batch)
            ours.trajectory()

        found = seconds({"plain": plain.trajectory, "ours": encode_once}, max(1, repeats // 3))
        yield _line("EasyTune, T5-large-sized text encoder", found, memory, ours.meter.peak / MIB)
        del encode
        plain.states = lambda: states
    plain = ReferenceLoop(batch, FRAMES, STEPS, range(STEPS), lambda: states, draft=True)
    ours = Ours(batch, DraftPreset(k=STEPS))
    found = seconds({"plain": plain.trajectory, "ours": ours.trajectory}, max(1, repeats // 2))
    memory = held(plain) / MIB
    yield _line("DRaFT-50", found, memory, ours.meter.peak / MIB)


def _line(name: str, found: dict[str, float], plain_mib: float, our_mib: float) -> str:
    ratio = found["plain"] / found["ours"]
    return (
        f"{name:40} plain {found['plain']:6.2f} s {plain_mib:6.1f} MiB   "
        f"ours {found['ours']:6.2f} s {our_mib:6.1f} MiB   {ratio:.2f}x"
    )


def against_steps(device: str, batch: int) -> Iterator[str]:
    """Seconds an update and bytes for backward, for several numbers of denoising steps."""
    methods = {
        "easytune": lambda steps: EasyTunePreset(k=K, judge="next"),
        "draft": lambda steps: DraftPreset(k=steps),
    }
    for name, make in methods.items():
        for steps in (10, 25, 50, 100):
            ours = Ours(batch, make(steps), device, steps)
            made = ours.trajectory()
            _synchronise(device)
            began = time.perf_counter()
            ours.trajectory()
            _synchronise(device)
            taken = (time.perf_counter() - began) / made
            yield (
                f"{name:9} batch {batch:4} steps {steps:4}: {taken:8.4f} s an update, "
                f"{ours.meter.peak / MIB:9.1f} MiB for backward"
            )


def _synchronise(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--repeats", type=int, help="turns after the first: 7; with --against 5")
    parser.add_argument("--no-text", action="store_true", help="leave the 1.3 GB text encoder out")
    parser.add_argument(
        "--steps", action="store_true", help="also bytes and seconds against the number of steps"
    )
    parser.add_argument(
        "--against", type=Path, help="a working tree of another commit: both trees in one run"
    )
    parser.add_argument(
        "--batches", default="4,16", help="with --against: batch sizes, separated by commas (%(default)s)"
    )
    options = parser.parse_args()
    if options.against is not None:
        batches = [int(each) for each in options.batches.split(",")]
        for line in two_trees.compare(options.against, options.device, batches, options.repeats or 5):
            print(line, flush=True)
        return
    for line in compare_on_cpu(options.repeats or 7, not options.no_text):
        print(line, flush=True)
    if options.device != "cpu" or options.steps:
        for batch in (64, 256) if options.device != "cpu" else (4,):
            for line in against_steps(options.device, batch):
                print(line, flush=True)


if __name__ == "__main__":
    main()
