"""What of a generator's tuned part is trained: everything, all but some named parts, or low-rank adapters (peft).

peft imports transformers, which takes as long as torch itself: only where there are adapters.
"""

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

from torch import nn

from motionrft.errors import UserError
from motionrft.finetuning.preset import LoraPart
from motionrft.generators.text_to_motion import TextToMotion
from motionrft.training.atomic import atomic_folder

if TYPE_CHECKING:
    from peft import PeftModel


def prepare_training(
    generator: TextToMotion, lora: LoraPart, freeze: Sequence[str] = ()
) -> list[tuple[str, nn.Parameter]]:
    """Freeze the generator but for what is to be trained, in evaluation mode, and name that.

    Evaluation mode stays on: dropout would make the trajectory another one than is sampled later, and differ
        between the two guidance halves.

    Raises:
        UserError: a name of `freeze` or of the adapters' targets is not in the tuned part.
    """
    generator.eval().requires_grad_(False)
    if lora.enabled:
        _add_adapters(generator, lora)
    else:
        generator.tuned.requires_grad_(True)
        _freeze(generator, freeze)
    generator.eval()
    return [(name, p) for name, p in generator.tuned.named_parameters() if p.requires_grad]


def merged(generator: TextToMotion) -> TextToMotion:
    """The generator to be saved: adapters folded into the weights of a copy; without adapters, itself."""
    if not _adapted(generator.tuned):
        return generator
    folded = copy.deepcopy(generator)
    folded.use_tuned(cast(nn.Module, cast("PeftModel", folded.tuned).base_model.model))
    _fold(folded.tuned)
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


def save_adapters(generator: TextToMotion, folder: Path) -> None:
    """Write the adapters as a peft folder; nothing where there are none."""
    if _adapted(generator.tuned):
        with atomic_folder(folder) as temporary:
            cast("PeftModel", generator.tuned).save_pretrained(str(temporary))


def _add_adapters(generator: TextToMotion, lora: LoraPart) -> None:
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
        generator.use_tuned(get_peft_model(generator.tuned, config))
    except ValueError as error:
        raise UserError(f"lora.targets {targets}: {error}") from None
    adopt(generator.tuned)


def _freeze(generator: TextToMotion, names: Sequence[str]) -> None:
    network, what = generator.tuned, generator.tuned_part.replace("_", " ")
    parts = dict(network.named_modules())
    for name in names:
        if name not in parts:
            known = ", ".join(child for child, _ in network.named_children())
            raise UserError(f"freeze: the {what} has no part {name!r}; its parts are {known}")
        parts[name].requires_grad_(False)
