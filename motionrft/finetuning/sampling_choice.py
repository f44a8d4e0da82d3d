"""What a run samples with: what its preset says, and noise where the method learns from chance and nothing is said."""

from collections.abc import Callable, Iterator

from motionrft.errors import UserError
from motionrft.finetuning.preset import FinetunePreset
from motionrft.generators.base import Generator
from motionrft.generators.sampling_settings import SamplingSettings


def tuning_sampling(
    generator: Generator, preset: FinetunePreset, say: Callable[[str], None] = lambda _: None
) -> SamplingSettings:
    """The sampling settings of a run, which are also those of its watch, its tables and the saved generator.

    Args:
        say: told of a choice that the preset left open.

    Raises:
        UserError: the method learns from stochastic steps, and what is asked for has none.
    """
    asked = generator.sampling(preset.sampler, preset.eta, preset.steps, preset.guidance, preset.shift)
    if "noise" not in preset.method.needs or _noisy(generator, asked):
        return asked
    name = preset.method.method
    for sampler, eta in _chances(generator, preset):
        found = generator.sampling(sampler, eta, preset.steps, preset.guidance, preset.shift)
        if _noisy(generator, found):
            say(
                f"{name} learns from chance, and {asked.sampler} has none: tuning and tables use {found.title}."
            )
            return found
    raise UserError(
        f"{name} learns from stochastic steps, and {asked.title} has none. Leave sampler and eta out, or set eta "
        "(--set eta=1 is usual for ddim, 0.7 for euler)."
    )


def _chances(generator: Generator, preset: FinetunePreset) -> Iterator[tuple[str | None, float | None]]:
    """Samplers and etas to try; what the user has set stays."""
    if preset.eta is not None:
        return
    if preset.sampler is not None:
        yield from ((preset.sampler, eta) for eta in _etas(preset.sampler))
        return
    variant = getattr(preset.method, "variant", "flow")
    for sampler in (f"{variant}-sde", "ddim", "dpm-sde"):
        if sampler in generator.samplers:
            yield from ((sampler, eta) for eta in _etas(sampler))


def _etas(sampler: str) -> tuple[float | None, ...]:
    return {"ddim": (1.0,), "euler": (0.7,)}.get(sampler, (None,))


def _noisy(generator: Generator, sampling: SamplingSettings) -> bool:
    return sampling.steps is not None and any(generator.process_with(sampling).stochastic)
