"""The measurements of `tests.benchmarks.gpu`, a generator of rows each."""

import platform
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from motionrft.diffusion.rollout import Start
from motionrft.diffusion.rollout import sample as walk
from motionrft.finetuning.captured import captured
from motionrft.finetuning.compiled import compiled
from motionrft.finetuning.methods.alignprop import AlignPropPreset
from motionrft.finetuning.methods.base import MethodPreset
from motionrft.finetuning.methods.draft import DraftPreset
from motionrft.finetuning.methods.drtune import DRTunePreset
from motionrft.finetuning.methods.easytune import EasyTunePreset
from motionrft.finetuning.methods.refl import ReflPreset
from motionrft.generators import build_generator
from motionrft.generators.mld import Mld, MldConfig
from motionrft.text.base import TextEncoder, TextFeatures
from tests.benchmarks.finetune import MIB, Ours, reward_of_four_terms
from tests.benchmarks.reference_loop import ReferenceLoop
from tests.finetuning.small import small_generator, small_reward
from tests.generators.families import TEXT_WIDTH
from tests.generators.families import TINY as TINY_FAMILIES

Row = dict[str, Any]
_LONGEST = 50
"""Denoising steps that are sampled at most: some families' published number is 1000, and a step costs what it costs."""


class GivenText(TextEncoder):
    """Random features of a published encoder's shape."""

    name, identity = "given", "given"

    def __init__(self, tokens: int, width: int, pooled_width: int):
        self.tokens, self.width, self.pooled_width = tokens, width, pooled_width

    def encode(self, texts: Sequence[str]) -> TextFeatures:
        states = torch.randn(len(texts), self.tokens, self.width)
        mask = torch.ones(states.shape[:2], dtype=torch.bool)
        return TextFeatures(states, mask, torch.randn(len(texts), self.pooled_width))


@dataclass(frozen=True)
class Size:
    """How large everything is. parts: makes generator and reward; families: configuration, and what its texts are."""

    batches: tuple[int, ...]
    steps: tuple[int, ...]
    frames: int
    k: int
    repeats: int
    updates: int
    parts: Callable[[], tuple[Mld, Any]]
    families: dict[str, tuple[dict[str, Any], "GivenText"]]
    sampled: int


FULL = Size(
    (64, 256), (10, 25, 50, 100), 196, 10, 2, 50,
    lambda: (Mld(MldConfig()), reward_of_four_terms()),
    {
        "mld": ({"family": "mld"}, GivenText(20, 1024, 768)),
        "mdm": ({"family": "mdm"}, GivenText(20, 512, 512)),
        "motiondiffuse": ({"family": "motiondiffuse"}, GivenText(77, 512, 512)),
        "stablemofusion": ({"family": "stablemofusion"}, GivenText(77, 512, 512)),
        "acmdm": ({"family": "acmdm"}, GivenText(20, 512, 512)),
        "hymotion": ({"family": "hymotion"}, GivenText(20, 4096, 768)),
    },
    32,
)  # fmt: skip
TINY = Size(
    (2,), (4, 6), 24, 2, 1, 4, lambda: (small_generator(), small_reward()),
    {name: (TINY_FAMILIES[name], GivenText(5, TEXT_WIDTH, TEXT_WIDTH)) for name in ("mld", "mdm")}, 2,
)  # fmt: skip


def environment(device: str) -> Iterator[Row]:
    """What it ran on."""
    row: Row = {"torch": torch.__version__, "python": platform.python_version(), "device": device}
    if device.startswith("cuda"):
        free, total = torch.cuda.mem_get_info()
        row |= {
            "gpu": torch.cuda.get_device_name(),
            "cuda": torch.version.cuda,
            "free GiB": round(free / 2**30, 1),
        }
        row |= {"total GiB": round(total / 2**30, 1)}
    yield row


def against_steps(size: Size, device: str) -> Iterator[Row]:
    """Seconds an update and bytes for several numbers of denoising steps: EasyTune against the whole chain."""
    middle = size.steps[len(size.steps) // 2]
    rivals: dict[str, MethodPreset] = {
        "refl": ReflPreset(m=size.k),
        "drtune": DRTunePreset(k=size.k, m=size.k),
        "alignprop": AlignPropPreset(),
        "draft-1": DraftPreset(k=1),
    }
    for batch in size.batches:
        for steps in size.steps:
            for name, method in (
                ("easytune", EasyTunePreset(k=min(size.k, steps), judge="next")),
                (f"draft-{steps}", DraftPreset(k=steps)),
            ):
                yield _tried({"method": name, "batch": batch, "steps": steps}, size, device, method)
    for name, method in rivals.items():
        yield _tried({"method": name, "batch": size.batches[0], "steps": middle}, size, device, method)


def _tried(head: Row, size: Size, device: str, method: MethodPreset, **how: Any) -> Row:
    """A row of a method's cost, or of why there is none."""
    try:
        return head | cost(size, device, method, head["batch"], head["steps"], **how)
    except Exception as error:
        return head | {"error": f"{type(error).__name__}: {error}".splitlines()[0][:200]}


def optimisations(size: Size, device: str) -> Iterator[Row]:
    """EasyTune with and without each: product at its plainest, TF32, bf16, CUDA graphs, and together."""
    steps = size.steps[len(size.steps) // 2]
    method = EasyTunePreset(k=size.k, judge="next")
    bf16 = {"dtype": torch.bfloat16}
    ways: dict[str, dict[str, Any]] = {
        "plain": {},
        "adapters merged anew": {"settled": False},
        "tf32": {"tf32": True},
        "bf16": bf16,
        "graphs": {"faster": captured},
        "graphs, tf32": {"faster": captured, "tf32": True},
        "graphs, bf16": {"faster": captured, **bf16},
    }
    if not device.startswith("cuda"):
        ways = {name: way for name, way in ways.items() if "faster" not in way}
    for batch in size.batches:
        if size is FULL:
            yield _textbook({"way": "a textbook loop", "batch": batch, "steps": steps}, size, device)
        for name, how in ways.items():
            yield _tried({"way": name, "batch": batch, "steps": steps}, size, device, method, **how)


def _textbook(head: Row, size: Size, device: str) -> Row:
    """The plain loop that ours is compared with on a processor too (`tests.benchmarks.reference_loop`)."""
    steps = head["steps"]
    try:
        with torch.device(device):
            states = torch.randn(head["batch"], 20, 1024)
            loop = ReferenceLoop(
                head["batch"], size.frames, steps, range(steps - size.k, steps), lambda: states
            )
            loop.trajectory()
            if device.startswith("cuda"):
                torch.cuda.reset_peak_memory_stats()
            taken = seconds_of(loop.trajectory, device)
            row: Row = {"s/update": round(taken / size.k, 5), "s/trajectory": round(taken, 4)}
            if device.startswith("cuda"):
                row["peak MiB"] = round(torch.cuda.max_memory_allocated() / MIB, 1)
                row |= launches(loop.trajectory)
        return head | row
    except Exception as error:
        return head | {"error": f"{type(error).__name__}: {error}".splitlines()[0][:200]}


def compiled_calls(size: Size, device: str) -> Iterator[Row]:
    """`compile: true`, whose first trajectory compiles."""
    head: Row = {"batch": size.batches[0], "steps": size.steps[len(size.steps) // 2]}
    method = EasyTunePreset(k=size.k, judge="next")
    yield _tried({"way": "plain", **head}, size, device, method)
    # On a processor only traced: what is tried there is whether the section runs.
    backend = {} if device.startswith("cuda") else {"backend": "eager"}
    how = {"faster": lambda generator, judge: compiled(generator, judge, **backend)}
    yield _tried({"way": "compiled", **head}, size, device, method, **how)
    yield _tried({"way": "compiled, tf32", **head}, size, device, method, tf32=True, **how)


def cost(
    size: Size,
    device: str,
    method: MethodPreset,
    batch: int,
    steps: int,
    *,
    dtype: torch.dtype = torch.float32,
    faster: Callable[..., Any] | None = None,
    tf32: bool = False,
    settled: bool = True,
) -> Row:
    """Seconds, bytes and launches of one way to make updates; the first trajectory is not timed."""
    torch.set_float32_matmul_precision("high" if tf32 else "highest")
    torch.manual_seed(0)  # every way tunes the same weights
    ours = Ours(batch, method, device, steps, size.frames, dtype, size.parts())
    if not settled:
        for critic in ours.reward.critics.values():
            critic.requires_grad_(True)  # a loop that never merges: adapters meet the weights at every call
    if faster is not None:
        context = ours.context
        ours.context = replace(context, compiled=faster(context.generator, context.reward))
    first = seconds_of(ours.trajectory, device)
    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats()
    made = [0]
    taken = seconds_of(
        lambda: made.__setitem__(0, sum(ours.trajectory() for _ in range(size.repeats))), device
    )
    row: Row = {
        "s/update": round(taken / made[0], 5),
        "s/trajectory": round(taken / size.repeats, 4),
        "first s": round(first, 2),
        "graph MiB": round(ours.meter.peak / MIB, 1),
    }
    if device.startswith("cuda"):
        row["peak MiB"] = round(torch.cuda.max_memory_allocated() / MIB, 1)
        row |= launches(ours.trajectory)
    row["last loss"] = round(float(ours.losses[-1]), 4)
    torch.set_float32_matmul_precision("highest")
    return row


def seconds_of(call: Callable[[], object], device: str) -> float:
    """Wall time, the device's work included."""
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    began = time.perf_counter()
    call()
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return time.perf_counter() - began


def launches(call: Callable[[], object]) -> Row:
    """What the host asked of the device in one call: kernel launches, graph launches, synchronisations."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CUDA]) as seen:
        call()
        torch.cuda.synchronize()
    counts = {"launches": 0, "graph launches": 0, "waits": 0}
    for event in seen.events():
        if event.name.startswith(("cudaLaunchKernel", "cuLaunchKernel")):
            counts["launches"] += 1
        elif event.name.startswith("cudaGraphLaunch"):
            counts["graph launches"] += 1
        elif "Synchronize" in event.name:
            counts["waits"] += 1
    return counts


@torch.no_grad()
def sampling(size: Size, device: str) -> Iterator[Row]:
    """Every family at its published size and number of steps, one batch."""
    for name, (config, text) in size.families.items():
        try:
            yield {"family": name, **_sampled(size, device, config, text)}
        except Exception as error:
            yield {"family": name, "error": f"{type(error).__name__}: {error}".splitlines()[0][:200]}
        if device.startswith("cuda"):
            torch.cuda.empty_cache()


def _sampled(size: Size, device: str, config: dict[str, Any], text: GivenText) -> Row:
    torch.manual_seed(0)
    with torch.device(device):
        generator = build_generator(config)
    generator = generator.to(device).eval()
    frames = max(min(size.frames, generator.max_frames), generator.min_frames)
    lengths = torch.full((size.sampled,), frames)
    shape = generator.noise_shape(lengths)
    generator.use_text_encoder(text)
    condition = generator.encode_text(["a person walks"] * size.sampled)
    process, row = generator.process(min(generator.process().steps, _LONGEST)), Row()
    start = Start(
        torch.randn(shape, device=device), condition, lengths.to(device), None, frames,
        lambda _: torch.randn(shape, device=device),
    )  # fmt: skip

    def sampled() -> Tensor:
        return generator.decode(walk(generator, process, start, generator.guidance), start.lengths, frames)

    row["steps"] = process.steps
    for how, tf32, dtype in (("fp32", False, None), ("tf32", True, None), ("bf16", False, torch.bfloat16)):
        torch.set_float32_matmul_precision("high" if tf32 else "highest")
        with torch.autocast(torch.device(device).type, dtype, enabled=dtype is not None):
            walk(generator, generator.process(min(2, process.steps)), start, generator.guidance)
            row[f"{how} ms/motion"] = round(1e3 * seconds_of(sampled, device) / size.sampled, 2)
    torch.set_float32_matmul_precision("highest")
    return row


def precision(size: Size, device: str) -> Iterator[Row]:
    """The losses of the same updates in fp32, TF32 and bf16."""
    method = EasyTunePreset(k=size.k, judge="next")
    steps, series = size.steps[len(size.steps) // 2], {}
    for name, dtype, tf32 in (
        ("fp32", torch.float32, False), ("tf32", torch.float32, True), ("bf16", torch.bfloat16, False),
    ):  # fmt: skip
        torch.set_float32_matmul_precision("high" if tf32 else "highest")
        torch.manual_seed(0)
        ours = Ours(size.batches[0], method, device, steps, size.frames, dtype, size.parts())
        while len(ours.losses) < size.updates:
            ours.trajectory()
        series[name] = torch.stack([loss.float() for loss in ours.losses]).cpu()
    torch.set_float32_matmul_precision("highest")
    for name, losses in series.items():
        apart = (losses - series["fp32"]).abs()
        yield {
            "precision": name,
            "first": round(float(losses[0]), 5),
            "last": round(float(losses[-1]), 5),
            "updates": len(losses),
            "largest difference": float(f"{apart.max():.3g}"),
            "of the first": float(f"{apart[0]:.3g}"),
        }
