"""sample: motions from text."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from motionrft.errors import RunError, UserError
from motionrft.files.words import array_words
from motionrft.generators.preset import SamplePreset
from motionrft.plurals import counted
from motionrft_cli.options import Call, command, sets
from motionrft_cli.outputs import check_writable_folder
from motionrft_cli.sampled_record import SampledRecord
from motionrft_cli.shares import Shard, Share, share_of

if TYPE_CHECKING:
    import torch

    from motionrft.files import Motion
    from motionrft.generators import TextToMotion
    from motionrft.generators.text_to_motion import Sampled

NAME_LENGTH = 40  # characters of a prompt in a file name


@dataclass(frozen=True)
class Wanted:
    """One motion to make, the `number`-th of all. `seed` follows from prompt and --seed, and from how often the prompt
    came before. pieces: (prompt, frames) of each part of a chain.
    """

    prompt: str
    frames: int
    stem: str
    seed: int
    number: int
    pieces: tuple[tuple[str, int], ...] = ()


@command(
    SamplePreset,
    'motionrft sample "a person waves" --num 3 --format npy,gif --out samples',
    "motionrft sample --text-file prompts.txt --seconds 4 --out samples",
)
def sample(
    call: Call[SamplePreset],
    prompts: Annotated[list[str] | None, typer.Argument(help="what the motions shall show")] = None,
    text_file: Annotated[Path | None, typer.Option(help="file with one prompt a line")] = None,
    data: Annotated[Path | None, typer.Option(help="data set whose captions and lengths are used")] = None,
    split: Annotated[str | None, sets("split")] = None,
    generator: Annotated[str | None, sets("generator")] = None,
    num: Annotated[int | None, sets("num")] = None,
    seconds: Annotated[float | None, sets("seconds")] = None,
    length: Annotated[int | None, sets("length")] = None,
    steps: Annotated[int | None, sets("steps")] = None,
    guidance: Annotated[float | None, sets("guidance")] = None,
    sampler: Annotated[str | None, sets("sampler")] = None,
    eta: Annotated[float | None, sets("eta")] = None,
    constraints: Annotated[str | None, sets("constraints")] = None,
    heading: Annotated[float | None, sets("heading")] = None,
    temperature: Annotated[float | None, sets("temperature")] = None,
    top_k: Annotated[int | None, sets("top_k")] = None,
    formats: Annotated[str | None, typer.Option("--format"), sets("formats")] = None,
    shard: Shard = None,
) -> int:
    """Make motions from text.

    A prompt's motion depends on the prompt, its number and --seed alone: not on the batch, nor on the other prompts.
    With --json, one line a motion.
    """
    if sum(source is not None for source in (prompts or None, text_file, data)) != 1:
        raise UserError(
            'what to make? Give prompts ("a person waves"), --text-file FILE or --data DIR: one of them.'
        )
    with share_of(call, shard) as share:
        return _sample(call, share, prompts, text_file, data)


def _sample(
    call: Call[SamplePreset],
    share: Share,
    prompts: list[str] | None,
    text_file: Path | None,
    data: Path | None,
) -> int:
    import torch

    from motionrft import builtin
    from motionrft.loading import generator_identity, load_generator, loaded_for

    out, preset = _folder(call, share), call.preset
    path = builtin.resolve(preset.generator, "generator")
    statistics = None if preset.statistics is None else Path(preset.statistics)
    device = str(share.company.device or call.device())
    model = loaded_for(preset, load_generator(path, device, preset.family, statistics))
    texts = _texts(call, prompts, text_file, data, model)
    if asked := model.check_asked([text for text, _ in texts], torch.tensor([frames for _, frames in texts])):
        call.console.info(asked)
    asked_for = _wanted(call, _as_chain(texts) if preset.chain else texts, model)
    wanted = list(share.of(share.noted(asked_for, lambda each: f"{each.stem} {each.prompt} {each.frames}")))
    if preset.chain:
        wanted = [replace(each, pieces=tuple(texts)) for each in wanted]
    there = [each.stem for each in wanted if share.number_of_jobs > 1 and _finished(out, each, preset)]
    if there and not (call.resume or call.overwrite):
        raise UserError(f"{out}: {there[0]} is there; add --resume or --overwrite, or name another folder.")
    record = SampledRecord(out, preset, generator_identity(path), model.fps)
    if not call.overwrite:
        record.compare()
    if call.resume:
        wanted = [each for each in wanted if not _finished(out, each, preset)]
    if call.dry_run:
        return _dry_run(call, model, list(_wanted(call, texts, model)) if preset.chain else wanted)
    lines: list[dict[str, Any]] = []
    with call.console.progress("sampling", len(wanted), "motions") as bar:
        for each, motion, whole in _motions(call, model, wanted):
            if not lines and share.company.main:
                record.write()
            lines.append(_line(each, motion, _write(out, each, motion, whole, preset), preset))
            if not share.several:
                call.console.emit(share.placed(lines[-1], each.number))
            bar.advance()
    if share.several:
        lines = share.merged(lines, lambda line: line["file"])
        for line in lines:
            call.console.emit(line)
    call.console.info(f"{counted(len(lines), 'motion')} in {out}. Next: motionrft score {out} --json")
    return 0


def _folder(call: Call[SamplePreset], share: Share) -> Path:
    """--out, checked by one process before any other writes. Jobs of an array share it."""
    if share.number_of_jobs > 1:
        if call.out is None:
            raise UserError("--out DIR is missing: name the folder to write to")
        check_writable_folder(call.out)
        return call.out
    share.company.first(call.output_folder)
    assert call.out is not None, "checked by the first process, whose mistake is everybody's"
    return call.out


def _texts(
    call: Call[SamplePreset],
    prompts: list[str] | None,
    text_file: Path | None,
    data: Path | None,
    model: "TextToMotion",
) -> list[tuple[str, int]]:
    """(prompt, frames) of each motion before repeats."""

    from motionrft.data import MotionDataset
    from motionrft.data.prompts import read_prompt_file

    preset = call.preset
    if data is not None:
        dataset = MotionDataset(data, preset.split, model.min_frames, model.max_frames)
        frames_of = model.frames(dataset.lengths / dataset.fps).tolist()
        return [(item.captions[0].text, n) for item, n in zip(dataset.items, frames_of, strict=True)]
    frames = round(preset.seconds * model.fps) if preset.length is None else preset.length
    if not model.min_frames <= frames <= model.max_frames:
        low, high = model.min_frames, model.max_frames
        raise UserError(
            f"{frames} frames: this generator makes between {low} and {high} at {model.fps:g} frames a second "
            f"({low / model.fps:.2g} to {high / model.fps:.3g} seconds). Choose another --seconds or --length."
        )
    if text_file is None:
        return [(_checked(text), frames) for text in prompts or []]
    import torch

    given = read_prompt_file(text_file)
    if given.seconds is None:
        return [(text, frames) for text in given.texts]
    call.console.info(str(given.said))
    own = model.frames(torch.tensor(given.seconds)).tolist()
    return list(zip(given.texts, own, strict=True))


def _as_chain(texts: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """All prompts as one, which is as long as all of them."""
    ended = [text if text[-1] in ".!?" else f"{text}." for text, _ in texts]
    return [(" ".join(ended), sum(frames for _, frames in texts))]


def _checked(prompt: str) -> str:
    if not prompt.strip() or "\0" in prompt:
        raise UserError(
            f"the prompt {prompt!r} is {'empty' if not prompt.strip() else 'no text (it holds a NUL)'}."
        )
    return prompt.strip()


def _wanted(
    call: Call[SamplePreset], texts: list[tuple[str, int]], model: "TextToMotion"
) -> Iterator[Wanted]:
    from motionrft.generators.sampling import prompt_seeds

    repeated = [prompt for prompt in texts for _ in range(call.preset.num)]
    seeds = prompt_seeds(call.preset.seed, [text for text, _ in repeated])
    digits = len(str(len(repeated) - 1))
    for number, ((text, frames), seed) in enumerate(zip(repeated, seeds, strict=True)):
        yield Wanted(text, frames, f"{number:0{digits}d}-{_slug(text)}", seed, number)


def _slug(text: str) -> str:
    """A prompt as part of a file name: letters and digits of any alphabet, joined by hyphens."""
    return re.sub(r"[\W_]+", "-", text.lower())[:NAME_LENGTH].strip("-") or "motion"


def _motions(
    call: Call[SamplePreset], model: "TextToMotion", wanted: list[Wanted]
) -> Iterator[tuple[Wanted, "Motion", "Motion"]]:
    """Every motion as soon as its batch is done, and all that its generator knows of it, for formats that hold more."""
    import torch

    from motionrft.files import Motion
    from motionrft.generators.sampling import sample_batches
    from motionrft.generators.text_to_motion import asked_of
    from motionrft.representations.hymotion import smooth_rotation

    if not wanted:
        return
    if call.preset.smooth and model.representation != "rotation":
        raise UserError(
            f"smooth is for generators of rotations; {model.family} makes {model.representation}."
        )
    preset, dtype = call.preset, call.dtype()
    precision = None if dtype == torch.float32 else dtype
    sampling = asked_of(model, preset)
    batches: Iterable[tuple[torch.Tensor, Sampled]]
    if preset.chain:
        batches = (
            (torch.tensor([i]), _chained(model, each, sampling, precision)) for i, each in enumerate(wanted)
        )
    else:
        condition = model.encode_text([each.prompt for each in wanted])
        lengths = torch.tensor([each.frames for each in wanted])
        seeds = [each.seed for each in wanted]
        batches = sample_batches(model, condition, lengths, seeds, sampling, preset.batch, precision)
    lost = 0
    for items, sampled in batches:
        lost += int((~sampled.usable).sum())
        for row, (item, motion) in enumerate(zip(items.tolist(), sampled.clips(), strict=True)):
            array = motion.cpu().numpy()
            if not torch.isfinite(motion).all():
                raise RunError(
                    f"the generator made NaN or infinity for {wanted[item].prompt!r}; nothing of it is written. "
                    "Its weights are broken, or --guidance or --eta leads it astray; --precision fp32 may help."
                )
            if model.representation == "joints":
                array = array.reshape(len(array), -1, 3)
            if preset.smooth:
                array = smooth_rotation(torch.from_numpy(array)).numpy()
            made = Motion(array, model.representation, model.fps, Path(wanted[item].stem))
            yield wanted[item], made, _whole(made, sampled, row)
    if lost:
        call.console.warn(
            f"{lost} of {len(wanted)} motions are no motion as written: a mean pose is in their place."
        )


def _chained(
    model: "TextToMotion", each: Wanted, sampling: Any, precision: "torch.dtype | None"
) -> "Sampled":
    from motionrft.generators.sampling import prompt_seeds

    texts, frames = zip(*each.pieces, strict=True)
    return model.draw_chain(texts, frames, prompt_seeds(each.seed, texts), sampling, precision)


def _whole(made: "Motion", sampled: "Sampled", row: int) -> "Motion":
    """The motion with all that its generator knows of it, which may be joints and contacts that are not ours."""
    if sampled.whole is None:
        return made
    values, representation, rest = sampled.whole
    array, own = values[row, : len(made)].cpu().numpy(), None if rest is None else rest.cpu().numpy()
    return replace(made, array=array, representation=representation, rest=own)


def _write(out: Path, each: Wanted, motion: "Motion", whole: "Motion", preset: SamplePreset) -> list[Path]:
    """All files of one motion, the first format first; a prompt lies beside its motion, where `score` finds it."""
    from motionrft.files.conversion import Conversion, convert_motion, write_target
    from motionrft.files.formats.table import format_named
    from motionrft.registry import FORMATS
    from motionrft.training.atomic import write_text

    places = _places(out, each, preset)
    write_text(out / f"{each.stem}.txt", each.prompt + "\n")  # first: who has the motion has its prompt
    for form, path in places.items():
        target = preset.representation or motion.representation if form in array_words() else form
        conversion = Conversion(target, fps=motion.fps)
        told = whole if form in FORMATS and format_named(form).takes_features else motion
        write_target(path, convert_motion(replace(told, text=each.prompt), conversion), conversion)
    return list(places.values())


def _places(out: Path, each: Wanted, preset: SamplePreset) -> dict[str, Path]:
    """The file of every format; where two have one ending, such as npz and amass, the later has its name in it."""
    from motionrft.files.formats.table import ending_of

    places: dict[str, Path] = {}
    for form in preset.formats:
        path = out / f"{each.stem}{ending_of(form)}"
        places[form] = path.with_name(f"{each.stem}_{form}{path.suffix}") if path in places.values() else path
    return places


def _finished(out: Path, each: Wanted, preset: SamplePreset) -> bool:
    """Whether every file of a motion is there, and of this prompt: two long ones may have one name."""
    text = out / f"{each.stem}.txt"
    return (
        text.is_file()
        and text.read_bytes() == f"{each.prompt}\n".encode()
        and all(path.is_file() for path in _places(out, each, preset).values())
    )


def _line(each: Wanted, motion: "Motion", files: list[Path], preset: SamplePreset) -> dict[str, Any]:
    return {
        "prompt": each.prompt,
        "seed": each.seed,
        "file": str(files[0]),
        "files": [str(file) for file in files],
        "frames": len(motion.array),
        "fps": motion.fps,
        "representation": preset.representation or motion.representation,
    }


def _dry_run(call: Call[SamplePreset], model: "TextToMotion", wanted: list[Wanted]) -> int:
    """Two timed steps of one batch, or all its tokens, and what follows from them."""
    import time

    import torch

    from motionrft.generators.base import Generator
    from motionrft.generators.sampling import sample
    from motionrft.generators.text_to_motion import asked_of
    from motionrft.generators.token_generator import TokenGenerator
    from motionrft.text.cost import text_cost
    from motionrft.text.stand_in import StandInText

    sampling = asked_of(model, call.preset)
    tokens = isinstance(model, TokenGenerator)
    if not tokens and sampling.steps is None:
        raise UserError(
            f"--dry-run cannot tell how many steps {sampling.sampler} will take; estimate with --sampler euler."
        )
    text = "-"
    if hasattr(model, "text_encoder_name"):
        encoder, prompts = model.text_encoder, [each.prompt for each in wanted]
        encoder.check(prompts)
        text = text_cost(encoder, prompts)
        model.use_text_encoder(StandInText(encoder))
    batch = wanted[: call.preset.batch]
    lengths = torch.tensor([each.frames for each in batch])
    condition = model.encode_text([each.prompt for each in batch])
    seeds = [each.seed for each in batch]
    steps = -(-int(lengths.max()) // model.stride) if isinstance(model, TokenGenerator) else sampling.steps
    trial, walked = (sampling, steps) if tokens else (replace(sampling, steps=2), 2)
    sample(model, condition, lengths, seeds, trial, len(batch))
    start = time.perf_counter()
    sample(model, condition, lengths, seeds, trial, len(batch))
    seconds = (time.perf_counter() - start) / walked
    batches = -(-len(wanted) // call.preset.batch)
    document = {
        "dry_run": True,
        "motions": len(wanted),
        "parameters": sum(p.numel() for p in model.parameters()),
        "steps": steps,
        "seconds_per_step": seconds,
        "seconds": seconds * steps * batches,
        "text": text,
        "passes": model.passes(sampling.guidance) if isinstance(model, Generator) else None,
        "licence": model.licence or None,
        "bytes": sum(4 * each.frames * model.mean.numel() for each in wanted),
    }
    shown = [(name, value) for name, value in list(document.items())[1:] if value is not None]
    call.console.table("dry run", ["what", "estimate"], shown)
    call.console.emit(document)
    return 0
