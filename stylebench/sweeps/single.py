"""One job by itself: a picture for whoever asks for one, or a job that another machine planned."""

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from stylebench import images, runtime, store
from stylebench.backbones import names
from stylebench.config import JobSpec, first_problem
from stylebench.errors import InputError, JobError
from stylebench.registry import check_code
from stylebench.store import JobRecord
from stylebench.sweeps.experiment import load_sweep
from stylebench.sweeps.run import RunOptions, jobs


def transfer_one(
    flags: Mapping[str, Any], options: RunOptions, output: Path, tell: Callable[[str], None]
) -> str:
    """Run the one job that a configuration comes to, write its picture, and say how it went.

    Args:
        flags: keys of a SweepConfig that name one backbone, one pair and one smoothing.
        options: device and weights; the job's folder is a temporary one.
        output: PNG or JPEG to write.
        tell: called with a line when it begins.

    Raises:
        InputError: wrong input, or more than one job.
        JobError: the job failed.
    """
    from stylebench.sweeps.job import run_job

    config = load_sweep(None, {"name": "transfer", "statistics_images": (), **flags})
    if output.is_dir():
        raise InputError(f"--output {str(output)!r} is a folder; expected the name of a picture")
    if output.suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise InputError(f"--output expects a name in .png, .jpg or .jpeg, found {str(output)!r}")
    planned = jobs(config, options, tell)
    if len(planned.jobs) != 1:
        found = len(planned.jobs) + len(planned.missing)
        raise InputError(
            f"expected one backbone, one content, one style and one smoothing, found {found} "
            "stylisations; use stylebench sweep for many"
        )
    (job,) = planned.jobs
    tell(
        f"{job.title}: {job.size} px, up to {job.evals} "
        f"closure evaluations on {options.engine.device} …"
    )
    with tempfile.TemporaryDirectory() as folder:
        record = run_job(job, Path(folder), options.engine.device)
        if not record.ok:
            raise JobError(record.error)
        made = store.place(Path(folder), job) / "result.png"
        output.parent.mkdir(parents=True, exist_ok=True)
        images.save(output, store.read_picture(made))
    start, end = record.style_loss_initial, record.style_loss
    ratio = "not known" if end is None else f"{end:.3g}"
    if start is not None and end is not None and start > 0:
        ratio = f"{end / start:.3g} of its start"
    flagged = "".join(f", {flag}" for flag in record.flags)
    return (
        f"{output}: {job.preset} preset, {record.evals} evaluations, style loss {ratio}"
        f"{flagged}, {record.seconds:.0f} s"
    )


def run_one(text: str, options: RunOptions) -> JobRecord:
    """Run the job that a JSON text describes, unless it is finished, and return its record.

    Raises:
        InputError: the text is not a job.
    """
    from stylebench.sweeps.job import run_job
    from stylebench.transfer import smoothing

    try:
        spec = JobSpec.model_validate_json(text)
    except ValidationError as error:
        path, expected, _ = first_problem(error)
        raise InputError(f"expected a job as JSON: {path}: {expected}") from None
    if spec.weights.missing:
        raise InputError(spec.weights.missing)
    check_code(spec.code)
    smoothing.check(spec.smoothing)
    runtime.resolve_precision(spec.precision, options.engine.device)
    backbone = names.find(spec.arch)
    backbone.check_options(spec.arch, spec.weights.options)
    backbone = backbone.choose(spec.arch, spec.chosen, spec.weights.options)
    if spec.nodes != backbone.nodes:
        raise InputError(f"the job has other nodes than {spec.arch} has now; plan it again")
    if not store.pending(options.out, [spec], force=options.force):
        done = store.read_record(store.place(options.out, spec))
        if done is not None:
            return done
    return run_job(spec, options.out, options.engine.device)
