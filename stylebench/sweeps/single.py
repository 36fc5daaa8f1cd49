"""One job by itself: a picture for whoever asks for one, or a job that another machine planned."""

import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from stylebench import images, runtime, store
from stylebench.backbones import names
from stylebench.config import JobSpec, PassSpec, PictureSpec, blend_weights, first_problem, shares
from stylebench.errors import InputError, JobError
from stylebench.images.decode import check_saved
from stylebench.registry import check_code
from stylebench.store import JobRecord
from stylebench.sweeps.experiment import load_sweep
from stylebench.sweeps.run import RunOptions, check_folder, jobs
from stylebench.sweeps.settings import REST
from stylebench.transfer.presets import stronger

if TYPE_CHECKING:
    from stylebench.transfer.step import Step, Watcher


@dataclass(frozen=True)
class Made:
    """A picture that was made: what was asked for, how it went, and (width, height) in px."""

    job: JobSpec
    record: JobRecord
    pixels: tuple[int, int]


def mixed(
    style: str, weights: str | None, masks: str | None, tell: Callable[[str], None]
) -> str | dict[str, Any]:
    """Return the key ``style`` for a comma list of pictures, mixed by weights or in regions.

    Args:
        style: as ``--style`` takes it.
        weights: a comma list of as many positive numbers; equal ones by default.
        masks: a comma list of pictures, one a style or one less.
        tell: called with a line for every folder of which something is left out.

    Raises:
        InputError: another count of weights or masks, or what is no weight.
    """
    if masks is not None:
        if weights is not None:
            raise InputError("--mask and --blend: expected one of both; a mask's grey is a weight")
        return _placed(style, masks, tell)
    if weights is None and "," not in style:  # a folder of several is no blend
        return style
    sources = images.resolve(style, "style", tell)
    if weights is None and len(sources) == 1:
        return style
    numbers = blend_weights(weights, len(sources))
    found: dict[str, float] = {}
    for source, share in zip(sources, shares(numbers), strict=True):
        found[source.ref] = found.get(source.ref, 0.0) + share
    return {"blend": found}


def _placed(style: str, masks: str, tell: Callable[[str], None]) -> dict[str, Any]:
    """Return the key ``style`` for styles that have masks; the last takes the rest without one."""
    styles = [source.ref for source in images.resolve(style, "style", tell)]
    places = [source.ref for source in images.resolve(masks, "mask", tell)]
    if len(styles) > 1 and len(places) == len(styles) - 1:
        places.append(REST)
    if len(places) != len(styles):
        raise InputError(
            "--mask expects a picture a style, or one less, where the last style takes the rest; "
            f"found {len(places)} for {len(styles)}"
        )
    if len({*styles}) != len(styles):
        raise InputError("--mask expects each style once; join the masks of one that is twice")
    return {"regions": dict(zip(styles, places, strict=True))}


def planned(
    flags: Mapping[str, Any], options: RunOptions, strength: float, tell: Callable[[str], None]
) -> JobSpec:
    """Return the one job that flags come to; more than one raise InputError."""
    given = {"name": "transfer", "statistics_images": (), **flags}
    config = load_sweep(None, given)
    if strength != 1:
        loss = stronger(config.loss, strength)
        config = load_sweep(None, {**given, "loss": {"style_weight": loss.style_weight}})
    planned = jobs(config, options, tell)
    if len(planned.jobs) != 1:
        found = len(planned.jobs) + len(planned.missing)
        raise InputError(
            f"expected one backbone, one content, one style and one smoothing, found {found} "
            "stylisations; use stylebench sweep for many"
        )
    (job,) = planned.optimisations
    if job.resize == "squash" and not flags.get("resize"):
        tell(
            f"preset {config.preset} squashes the pictures to a square, as its authors do; "
            "--resize aspect keeps their form"
        )
    return job


def _checked(output: Path) -> None:
    """Raise InputError for a picture that could not be written."""
    if output.is_dir():
        raise InputError(f"--output {str(output)!r} is a folder; expected the name of a picture")
    check_saved(output)
    check_folder(output.parent, shared=True, writes=True)


def transfer_one(
    flags: Mapping[str, Any],
    options: RunOptions,
    output: Path,
    tell: Callable[[str], None] = lambda text: None,
    progress: "Watcher" = lambda step: None,
    every: int | None = None,
    strength: float = 1.0,
) -> Made:
    """Run the one job that a configuration comes to, and write its picture.

    Args:
        flags: keys of a SweepConfig that name one backbone, one pair and one smoothing.
        options: device and weights; the job's folder is a temporary one.
        output: PNG or JPEG to write.
        tell: called with a line when it begins.
        progress: as `stylebench.stylize` takes it; where it returns True the best picture so far is
            written.
        every: the best picture so far is written at every so many evaluations too, its number
            behind the name: ``out-0050.png``.
        strength: multiplies the weight of the style.

    Raises:
        InputError: wrong input, or more than one job.
        JobError: the job failed.
    """
    from stylebench.images.given import to_pixels
    from stylebench.sweeps.job import run_job

    _checked(output)
    job = planned(flags, options, strength, tell)
    images.check_output(output, {picture.ref: picture.name for picture in job.pictures})
    between: list[str] = []
    title = job.model_copy(update={"tolerance": 0.0}).title  # the command has one by default
    tell(
        f"{title}: {job.size} px, up to {job.evals} "
        f"closure evaluations on {options.engine.device} …"
    )

    def save(name: str, pixels: images.Picture) -> None:
        output.parent.mkdir(parents=True, exist_ok=True)
        images.save(output.with_name(name), pixels)

    def watch(step: "Step") -> bool | None:
        if every and step.number % every == 0:
            between.append(f"{output.stem}-{step.number:04d}{output.suffix}")
            save(between[-1], to_pixels(step.tensor))
        return progress(step)

    with tempfile.TemporaryDirectory() as folder:
        record = run_job(job, Path(folder), options.engine.device, watch)
        if not record.ok:
            raise JobError(record.error)
        made = store.read_picture(store.place(Path(folder), job) / "result.png")
        save(output.name, made)
    if every:
        tell(f"on the way: {', '.join(between) or f'nothing, there were fewer than {every}'}")
    height, width = made.shape[:2]
    return Made(job, record, (width, height))


def run_one(text: str, options: RunOptions) -> JobRecord:
    """Run the job that a JSON text describes, unless it is finished, and return its record.

    Raises:
        InputError: the text is not a job.
    """
    try:
        spec = _spec(text)
    except ValidationError as error:
        path, expected, _ = first_problem(error)
        raise InputError(f"expected a job as JSON: {path}: {expected}") from None
    if spec.weights.missing:
        raise InputError(spec.weights.missing)
    check_code(spec.code)
    if isinstance(spec, JobSpec):
        _check_optimisation(spec, options.engine.device)
    if not store.pending(options.out, [spec], force=options.force):
        done = store.read_record(store.place(options.out, spec))
        if done is not None:
            return done
    from stylebench.sweeps.job import run_job

    return run_job(spec, options.out, options.engine.device)


def _spec(text: str) -> PictureSpec:
    """Return the job that a JSON text describes; one of a trained network names its system."""
    try:
        named = json.loads(text)
    except (ValueError, RecursionError):
        named = None  # which is told below
    if isinstance(named, dict) and "system" in named:
        return PassSpec.model_validate_json(text)
    return JobSpec.model_validate_json(text)


def _check_optimisation(spec: JobSpec, device: str) -> None:
    from stylebench.transfer import smoothing

    smoothing.check(spec.smoothing)
    runtime.resolve_precision(spec.precision, device)
    backbone = names.find(spec.arch)
    backbone.check_options(spec.arch, spec.weights.options)
    backbone = backbone.choose(spec.arch, spec.chosen, spec.weights.options)
    if spec.nodes != backbone.nodes:
        raise InputError(f"the job has other nodes than {spec.arch} has now; plan it again")
