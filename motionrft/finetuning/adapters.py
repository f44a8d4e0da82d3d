"""What of a denoiser is trained: everything, all but some named parts, or low-rank adapters (peft).

peft imports transformers, which takes as long as torch itself: only where there are adapters.
"""

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

from torch import nn

from motionrft.errors import UserError
from motionrft.finetuning.preset import LoraPart
from motionrft.generators.base import Generator
from motionrft.training.atomic import atomic_folder

if TYPE_CHECKING:
    from peft import PeftModel


def prepare_training(
    generator: Generator, lora: LoraPart, freeze: Sequence[str] = ()
) -> list[tuple[str, nn.Parameter]]:
    """Freeze the generator but for what is to be trained, in evaluation mode, and name that.

    Evaluation mode stays on: dropout would make the trajectory another one than is sampled later, and differ
        between the two guidance halves.

    Raises:
        UserError: a name of `freeze` or of the adapters' targets is not in the denoiser.
    """
    generator.eval().requires_grad_(False)
    if lora.enabled:
        _add_adapters(generator, lora)
    else:
        generator.denoiser.requires_grad_(True)
        _freeze(generator.denoiser, freeze)
    generator.eval()
    return [(name, p) for name, p in generator.denoiser.named_parameters() if p.requires_grad]


def merged(generator: Generator) -> Generator:
    """The generator to be saved: adapters folded into the weights of a copy; without adapters, itself."""
    if not _adapted(generator.denoiser):
        return generator
    folded = copy.deepcopy(generator)
    folded.denoiser = cast(nn.Module, cast("PeftModel", folded.denoiser).base_model.model)
    _fold(folded.denoiser)
    return folded


def _adapted(denoiser: nn.Module) -> bool:
    """Whether it is a `PeftModel`, told without importing peft."""
    return hasattr(denoiser, "peft_config")


def _fold(module: nn.Module) -> None:
    """Put every adapted layer back, its update added, the innermost first: peft's own folding knows no adapters within
    adapters (the output projection of an attention whose packed projection is adapted).
    """
    from peft.tuners.lora import LoraLayer

    for name, child in list(module.named_children()):
        _fold(child)
        if isinstance(child, LoraLayer):
            child.merge()
            setattr(module, name, child.get_base_layer())


def save_adapters(generator: Generator, folder: Path) -> None:
    """Write the adapters as a peft folder; nothing where there are none."""
    if _adapted(generator.denoiser):
        with atomic_folder(folder) as temporary:
            cast("PeftModel", generator.denoiser).save_pretrained(str(temporary))


def _add_adapters(generator: Generator, lora: LoraPart) -> None:
    from peft import LoraConfig, get_peft_model

    from motionrft.finetuning.packed_adapter import adopt

    targets = lora.targets or [*generator.lora_targets, *generator.lora_parameters]
    packed = [name for name in targets if name in generator.lora_parameters]
    config = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=[name for name in targets if name not in packed],
        target_parameters=packed or None,
        bias="none",
    )
    try:
        generator.denoiser = get_peft_model(generator.denoiser, config)
    except ValueError as error:
        raise UserError(f"lora.targets {targets}: {error}") from None
    adopt(generator.denoiser)


def _freeze(denoiser: nn.Module, names: Sequence[str]) -> None:
    parts = dict(denoiser.named_modules())
    for name in names:
        if name not in parts:
            known = ", ".join(child for child, _ in denoiser.named_children())
            raise UserError(f"freeze: the denoiser has no part {name!r}; its parts are {known}")
        parts[name].requires_grad_(False)
