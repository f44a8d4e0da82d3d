"""pretrain: the base generator by ordinary supervised training, or by distillation from a teacher."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

from motionrft.pretraining.preset import PretrainPreset
from motionrft_cli.dry_run import measure_cost
from motionrft_cli.following import Log, check_log, followed
from motionrft_cli.options import Call, command, sets
from motionrft_cli.resuming import AllowChanged


@command(
    PretrainPreset,
    "motionrft pretrain --preset mini-mld --data data/mine --out runs/base",
    "motionrft pretrain --preset mdm --data HumanML3D --dry-run",
)
def pretrain(
    call: Call[PretrainPreset],
    data: Annotated[str | None, sets("data")] = None,
    split: Annotated[str | None, sets("split")] = None,
    base: Annotated[str | None, sets("base")] = None,
    teacher: Annotated[str | None, sets("teacher")] = None,
    stage: Annotated[
        Literal["autoencoder", "denoiser", "language-model", "all"] | None, sets("stage")
    ] = None,
    allow_changed: AllowChanged = None,
    log: Log = None,
) -> int:
    """Train a base generator of any family: its autoencoder where it has one, then its denoiser or language model.

    With --base they begin with the weights of a generator there is. With --teacher a MotionLCM is distilled from an
    MLD instead.
    OUT/generator is what sample, finetune and eval take as --generator.
    """
    if log is not None:
        check_log(log, call.dry_run)
    if call.dry_run:
        return measure_cost(call, partial(_begin, call))
    from motionrft.pretraining.run import Pretraining
    from motionrft.training.distribution import Distribution

    console = call.console
    if call.preset.base is not None:
        console.warn_of_all(
            f"{call.preset.base} is trained further: its configuration and statistics stay; `generator` and "
            "`feature_bias` do not count."
        )
    result: dict[str, float] = {}
    with Distribution.join(call.device()) as company, followed(call, log) as progress:
        company.first(call.output_folder)
        out = call.output_folder()
        pretraining = Pretraining.prepare(
            call.preset,
            out,
            company.device or call.device(),
            progress,
            call.dtype(),
            resume=call.resume,
            overwrite=call.overwrite,
            allow_changed=allow_changed or (),
            company=company,
        )
        if "autoencoder" in pretraining.stages:
            result |= pretraining.train_autoencoder()
        if "denoiser" in pretraining.stages:
            result |= pretraining.train_denoiser()
        if "language-model" in pretraining.stages:
            result |= pretraining.train_language_model()
    rows = [[name, f"{value:.4g}"] for name, value in result.items()]
    console.table("validation split", ["measure", "value"], rows)
    console.emit({"out": str(out), **result})
    alone = pretraining.stages == ("autoencoder",)
    # A base whose decoder alone was trained further is a whole generator still.
    if not alone or call.preset.autoencoder.decoder_only:
        made = out / ("autoencoder/model" if alone else "generator")
        console.info(f'Next: motionrft sample "a person waves" --generator {made} --out samples')
    return 0


def _begin(call: Call[PretrainPreset], folder: Path, progress: Callable[[str], Any]) -> None:
    """Start the first stage that was asked for; the second stands on the first one's result."""
    from motionrft.pretraining.run import Pretraining

    pretraining = Pretraining.prepare(call.preset, folder, call.device(), progress)
    if "autoencoder" in pretraining.stages:
        pretraining.train_autoencoder()
        return
    if call.out is not None and (call.out / "autoencoder").is_dir():
        folder.mkdir()
        (folder / "autoencoder").symlink_to((call.out / "autoencoder").absolute())
    if "language-model" in pretraining.stages:
        pretraining.train_language_model()
    else:
        pretraining.train_denoiser()
