"""convert: data set folders built, completed, checked, and written in another layout."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from motionrft.errors import UserError
from motionrft.files.preset import ConvertPreset
from motionrft.plurals import counted
from motionrft_cli.options import Call
from motionrft_cli.shares import refuse_several

if TYPE_CHECKING:
    from motionrft.files.composition import CompositionRecipe
    from motionrft.files.dataset_recipe import DatasetRecipe
    from motionrft.files.existing import DatasetCheck
    from motionrft.training.distribution import Distribution

ConvertCall = Call[ConvertPreset]
_SHOWN = 10
_BUILDS = ("captions", "splits", "compose", "mirror", "fps", "licence", "cut", "split_long")
"""Settings that mean nothing to a data set that is there already."""


def build_or_complete(call: ConvertCall, paths: list[Path], company: "Distribution") -> int:
    """The processes of a company convert the clips together; the first of them says what came of it."""
    from motionrft.files.existing import is_dataset

    if len(paths) == 1 and is_dataset(paths[0]):
        return _complete(call, paths[0], company)
    from motionrft.files.dataset import build_dataset

    recipe = company.known(lambda: _recipe(call, paths))
    out = company.known(call.output_folder)
    if call.dry_run:
        call.console.info(f"{counted(len(paths), 'input')} to a data set in {out}; nothing written.")
        return 0
    with call.console.progress("data set", None, "clips") as bar:
        report = build_dataset(recipe, out, lambda done, total: bar.advance(), company)
    if not company.main:
        return 0
    for fault in report.faults[:_SHOWN]:
        call.console.error(fault.message)
    for what, clips in (("too short", report.too_short), ("without captions", report.without_captions)):
        if clips:
            call.console.warn(f"{counted(len(clips), 'clip')} {what}, left out: {_some(clips)}")
    for sentence in report.shortfalls:
        call.console.warn(sentence)
    rows = [*report.splits.items(), ("frames", report.frames)]
    rows += [("of them composed", report.composed)] if call.preset.compose is not None else []
    call.console.table("data set", ["split", "clips"], rows)
    held_out = _hold_out(call, out)
    call.console.emit(report.plain() | {"out": out} | held_out)
    call.console.info(f"Next: motionrft train-reward --data {out} --out runs/reward")
    return 3 if report.faults else 0


def _hold_out(call: ConvertCall, folder: Path) -> dict[str, Any]:
    """The lists of a class that is held out, where one is named; for JSON."""
    from motionrft.files.hold_out import HeldOutClass, hold_out

    if call.preset.hold_out is None:
        return {}
    lists = hold_out(folder, HeldOutClass.parse(call.preset.hold_out))
    call.console.table("held out", ["list", "clips"], [*lists.items()])
    without = next(iter(lists))
    call.console.info(
        f"Next: motionrft pretrain --preset mini-mld --data {folder} --split {without} --out runs/base"
    )
    return {"held_out": lists}


def _recipe(call: ConvertCall, paths: list[Path]) -> "DatasetRecipe":
    from motionrft.files.dataset_recipe import DatasetRecipe

    preset = call.preset
    uncaptioned = preset.captions is None and preset.cut is None
    if uncaptioned or preset.splits is None:
        missing = "--captions FILE.jsonl" if uncaptioned else "--splits FILE.csv"
        raise UserError(f"{missing} is missing: --dataset needs captions and splits.")
    return DatasetRecipe(
        motions=tuple(paths),
        captions=Path(preset.captions) if preset.captions else None,
        splits=Path(preset.splits),
        split_column=preset.split_column,
        fps=preset.fps or 20.0,
        min_frames=preset.min_frames,
        mirror=preset.mirror,
        licence=preset.licence,
        reading=preset.reading_options(),
        jobs=preset.jobs,
        layout=preset.layout,
        compose=_composition(preset),
    )


def _composition(preset: ConvertPreset) -> "CompositionRecipe | None":
    from motionrft.files.composition import CompositionRecipe

    if preset.compose is None:
        return None
    settings = preset.compose.model_dump()
    sets = {name: frozenset(settings[name]) for name in ("cut", "bodies", "gestures")}
    return CompositionRecipe(
        **settings | sets | {"subjects": tuple(settings["subjects"]), "seed": preset.seed}
    )


def _complete(call: ConvertCall, folder: Path, company: "Distribution") -> int:
    from motionrft.data.captions import caption_fault
    from motionrft.files.existing import check_dataset, complete_dataset

    company.first(lambda: _check_settings(call, folder))
    if company.known(lambda: _asks_to_repack(call, folder)):
        refuse_several("convert --dataset into another layout")
        return _repack(call, folder)
    with call.console.progress("checking", None, "clips") as bar:
        found = company.known(lambda: check_dataset(folder, lambda done, total: bar.advance(), caption_fault))
    code = _report(call, found)
    if call.dry_run:
        return code
    with call.console.progress("completing", None, "clips") as bar:
        written = complete_dataset(found, lambda done, total: bar.advance(), call.preset.jobs, company)
    if company.main:
        call.console.info(f"{counted(written, 'clip')} completed in {folder}.")
        _hold_out(call, folder)
    return code


def _check_settings(call: ConvertCall, folder: Path) -> None:
    """Refuse what would do nothing here."""
    for name in _BUILDS:
        if getattr(call.preset, name) != ConvertPreset.model_fields[name].get_default():
            raise UserError(
                f"{name} acts where a data set is built, and {folder} is one, which is only completed: leave it out, or "
                "build another from its motions."
            )


def _asks_to_repack(call: ConvertCall, folder: Path) -> bool:
    """Whether a data set is wanted in the layout that it does not have, in another place."""
    from motionrft.files.packing import layout_of

    layout, elsewhere = layout_of(folder), call.out is not None and call.out.resolve() != folder.resolve()
    if call.preset.layout != layout and elsewhere:
        return True
    if elsewhere:
        other = "folders" if layout == "shards" else "shards"
        raise UserError(
            f"{folder}: is a data set already. It is completed in place: leave --out away. "
            f"(--set layout={other} writes it there in {other}.)"
        )
    if call.preset.layout == "shards" and layout == "folders":
        raise UserError(f"{folder}: shards are written into a new folder: name it with --out.")
    return False


def _repack(call: ConvertCall, folder: Path) -> int:
    from motionrft.files.packing import repack

    out = call.output_folder()
    if call.dry_run:
        call.console.info(f"{folder} in {call.preset.layout} to {out}; nothing written.")
        return 0
    with call.console.progress("writing", None, "clips") as bar:
        found = repack(folder, out, call.preset.layout, lambda done, total: bar.advance())
    for sentence in found.left_out[:_SHOWN]:
        call.console.warn(sentence)
    if len(found.left_out) > _SHOWN:
        call.console.warn(f"{len(found.left_out) - _SHOWN} more clips left out.")
    call.console.info(f"{counted(found.clips, 'clip')} written to {out} in {call.preset.layout}.")
    call.console.emit(
        {"out": out, "layout": call.preset.layout, "clips": found.clips, "left_out": found.left_out}
    )
    return 3 if found.left_out else 0


def check(call: ConvertCall, paths: list[Path]) -> int:
    from motionrft.data.captions import caption_fault
    from motionrft.files.existing import check_dataset

    refuse_several("convert --check")
    code = 0
    for path in paths:
        with call.console.progress("checking", None, "clips") as bar:
            found = check_dataset(path, lambda done, total: bar.advance(), caption_fault)
        code = max(code, _report(call, found))
    return code


def _report(call: ConvertCall, found: "DatasetCheck") -> int:
    rows: list[tuple[str, object]] = [
        ("features", found.width),
        ("frames", found.frames),
        *found.counts.items(),
    ]
    call.console.table(str(found.folder), ["what", "count"], rows)
    for kind, clips in found.problems.items():
        call.console.warn(f"{kind}: {counted(len(clips), 'clip')}: {_some(clips)}")
    for name in found.lacking:
        call.console.warn(f"no {name} folder; convert {found.folder} --dataset adds it")
    for remark in found.remarks:
        call.console.info(remark)
    call.console.emit(found.plain())
    return 3 if found.problems else 0


def _some(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
