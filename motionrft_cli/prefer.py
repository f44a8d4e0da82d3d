"""prefer: from event-level prompts to preference pairs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from motionrft.errors import UserError
from motionrft.plurals import counted
from motionrft.preferences.preset import PreferPreset
from motionrft_cli.options import Call, command, sets
from motionrft_cli.shares import share_of

if TYPE_CHECKING:
    from motionrft.preferences.run import Stage
    from motionrft.training.distribution import Distribution


@command(
    PreferPreset,
    "motionrft prefer --preset mini --out runs/prefer",
    "motionrft prefer --judge endpoint --dry-run",
    only={"precision": (("auto", "fp32"), "computes in fp32")},
)
def prefer(
    call: Call[PreferPreset],
    generator: Annotated[str | None, sets("generator")] = None,
    prompts: Annotated[str | None, sets("prompts")] = None,
    candidates: Annotated[int | None, sets("candidates")] = None,
    writer: Annotated[str | None, sets("writer.name")] = None,
    judge: Annotated[str | None, sets("judge.name")] = None,
    data: Annotated[str | None, sets("judge.data")] = None,
    stage: Annotated[
        str | None,
        typer.Option(
            metavar="prompts|candidates|sheets|validate|judge|pairs",
            help="one stage alone; default: all but sheets",
        ),
    ] = None,
) -> int:
    """Make preference pairs: prompts that tell events, motions of a generator, a judge who says what happens in them.

    Every stage leaves files and goes on with --resume: nothing is sampled and no judge is asked twice. With --data the
    judge is validated first, on real clips put after each other. The pairs are what finetune --method dpo --pairs and
    train-reward --pairs read.
    """
    from motionrft.preferences.run import STAGES, Preferring

    if stage is not None and stage not in STAGES:
        raise UserError(f"--stage {stage}: legal: {', '.join(STAGES)}.")
    wanted: list[Stage] = [name for name in STAGES if name == stage or _usual(name, stage)]
    with share_of(call, None) as share:
        if call.dry_run:
            estimate = share.company.known(Preferring(call.preset, Path(), call.device()).estimate)
            call.console.table(
                "dry run: prefer", ["what", "estimate"], [list(row) for row in _rows(estimate)]
            )
            call.console.emit({"dry_run": True, **estimate})
            return 0
        return _run(call, wanted, share.company)


def _run(call: Call[PreferPreset], wanted: "list[Stage]", company: "Distribution") -> int:
    from motionrft.preferences.run import Preferring

    out, device = company.known(call.output_folder), company.device or call.device()
    with call.console.progress("prefer", None, "done") as bar:
        total: dict[str, int] = {}

        def watch(name: str, more: int, whole: int) -> None:
            total[name] = total.get(name, 0) + more
            bar.describe(f"{name} {total[name]}/{whole}")
            bar.advance(more)

        result = Preferring(call.preset, out, device, watch, company).run(wanted)
    if not company.main:
        return 0
    call.preset.write(out / "preset.yaml")
    _show(call, result)
    if "ratings" in result or ("study" in result and "pairs" not in result):
        call.console.info(
            f"Send {out / 'study.html'} to raters, keep its key, put the files that they save into {out / 'ratings'}; "
            f"then: motionrft prefer --judge people --stage pairs --resume --out {out}"
        )
    if "pairs" in result:
        call.console.info(
            f"Next: motionrft finetune --method dpo --pairs {out / 'pairs.jsonl'} --out runs/dpo"
        )
    call.console.emit({"out": str(out), **result})
    return 0


def _usual(name: str, stage: str | None) -> bool:
    """Sheets are drawn for those who ask for them, and by the judge that looks at them."""
    return stage is None and name != "sheets"


def _show(call: Call[PreferPreset], result: dict[str, Any]) -> None:
    worth = result.get("validated")
    if worth:
        names = ("right", "wrong", "apart")
        rows = [[kind, *(f"{found[name]:.3f}" for name in names)] for kind, found in worth.items()]
        call.console.table("the judge on real motions", ["kind", "true ↑", "false ↓", "told apart ↑"], rows)
    elif "judged" in result:
        call.console.info("The judge was not validated: name a data set of real motions with --data.")
    kinds = result.get("judged", {})
    if kinds:
        rows = [[kind, f"{found['score']:.3f}", f"{found['perfect']:.3f}"] for kind, found in kinds.items()]
        call.console.table("what the judge saw", ["kind", "score ↑", "perfect ↑"], rows)
    words = {key: key.replace("_", " ") for key in result if isinstance(result[key], int)}
    said = [counted(result[key], name.removesuffix("s"), name) for key, name in words.items()]
    if said:
        call.console.info(", ".join(said) + ".")


def _rows(estimate: dict[str, Any]) -> list[tuple[str, object]]:
    price = estimate["price"]
    unknown = "unknown: set judge.price_in and judge.price_out"
    calls, writing = estimate["calls"], estimate["prompt_calls"]
    return [
        ("prompts", estimate["prompts"]),
        ("motions", estimate["motions"]),
        *([("calls for prompts", writing)] if writing else []),
        ("calls of the judge", estimate["judge_calls"]),
        ("tokens sent, about", estimate["tokens_in"]),
        ("tokens received, about", estimate["tokens_out"]),
        ("price, about", "nothing" if not calls else unknown if price is None else f"{price:.2f}"),
    ]
