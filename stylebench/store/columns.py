"""The tables of a results folder: their columns and types, and the row that a record becomes."""

import json
import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import pandas as pd
import pyarrow as pa

from stylebench.config import OPTIMISE, JobSpec, OptimiserSpec, PictureSpec
from stylebench.errors import DamagedError, describe
from stylebench.store.record import JobRecord

_ARROW = {"str": pa.large_string(), "int64": pa.int64(), "float64": pa.float64()}

RESULT_COLUMNS = {
    "job_id": "str", "status": "str", "arch": "str", "weights": "str", "smoothing": "str",
    "content": "str", "style": "str", "seed": "int64", "size": "int64", "preset": "str",
    "start": "str", "evals": "int64", "evals_budget": "int64", "seconds": "float64",
    "peak_memory_mb": "float64", "loss_initial": "float64", "loss_final": "float64",
    "content_loss": "float64", "style_loss": "float64", "style_loss_initial": "float64",
    "tv_loss": "float64", "moved": "float64", "stop_reason": "str", "flags": "str",
    "error": "str", "precision": "str", "device": "str", "weights_sha256": "str",
    "options": "str", "resize": "str", "balance": "str", "normalisation": "str",
    "content_weight": "float64", "style_weight": "float64", "tv_weight": "float64",
    "layer_weights": "str", "optimiser": "str", "learning_rate": "float64", "history": "int64",
    "line_search": "str", "content_digest": "str", "style_digest": "str", "picture": "str",
    "content_picture": "str", "style_picture": "str", "image": "str",
    "nodes": "str", "first_step": "str", "loss_ratio": "float64", "initial_gradient": "float64",
    "style_scale": "float64", "colours": "str", "tolerance": "float64", "system": "str",
    "model": "str", "strength": "float64", "pass_seconds": "float64",
}  # fmt: skip
"""Columns of results.parquet and their types; ``evals`` counts those done, NaN marks not known.
``loss_ratio`` is loss_final/loss_initial, ``initial_gradient`` the L2 norm of the gradient there.
``image`` is what was optimised: pixels, fourier or spectrum; ``nodes`` are those that the
experiment chose, as JSON, empty for the backbone's own. ``system`` is optimise, or the method of
a trained network: its rows have no settings of an optimisation (texts are empty, numbers 0), its
file under weights, what its card says as JSON under ``model``, and the seconds of one pass under
``pass_seconds``."""


def first_step(optimiser: OptimiserSpec) -> str:
    """Return the column of that name: text, and empty for optimisers that have none."""
    return str(optimiser.first_step) if optimiser.name == "lbfgs" else ""


MET = 0.5
"""A job that did not move has met its loss, by a change that nobody sees, where the loss fell to at
most this share of its start; else the loss stood. Of 135 such jobs with softmax 57 ended below 0.3
and 52 above 0.7 (docs/findings.md): few hang on where between the two the line is."""


def told_apart(flags: str, loss_ratio: float | None) -> str:
    """Return flags with what became of the loss where the picture did not move."""
    known = {*flags.split()}
    if "did-not-move" not in known or known & {"loss-met", "loss-stood"}:
        return flags
    if loss_ratio is None or not math.isfinite(loss_ratio):
        return flags
    return f"{flags} {'loss-met' if loss_ratio <= MET else 'loss-stood'}"


def of_earlier(frame: pd.DataFrame) -> pd.DataFrame:
    """Return results.parquet of an earlier version with the columns that came since."""
    if "first_step" not in frame and "optimiser" in frame:
        first = frame["optimiser"].map({"lbfgs": "torch"}).fillna("")
        frame = frame.assign(first_step=first)
    if "loss_ratio" not in frame and {"loss_final", "loss_initial", "flags"} <= {*frame}:
        ratio = frame["loss_final"] / frame["loss_initial"]
        flags = [told_apart(*pair) for pair in zip(frame["flags"], ratio, strict=True)]
        told = pd.Series(flags, index=frame.index, dtype="str")
        frame = frame.assign(loss_ratio=ratio, initial_gradient=math.nan, flags=told)
    before: dict[str, Any] = {
        "style_scale": 1.0, "colours": "style", "tolerance": 0.0, "system": OPTIMISE, "model": "",
        "strength": 1.0, "pass_seconds": math.nan,
    }  # fmt: skip
    return frame.assign(**{key: value for key, value in before.items() if key not in frame})


STATISTICS_COLUMNS = {
    "arch": "str", "weights": "str", "smoothing": "str", "image": "str", "layer": "str",
    "stage": "int64", "statistic": "str", "value": "float64", "seed": "int64", "size": "int64",
    "resize": "str", "image_digest": "str",
}  # fmt: skip

TRACE_COLUMNS = {
    "job_id": "str", "evaluation": "int64", "loss": "float64", "content_loss": "float64",
    "style_loss": "float64", "tv_loss": "float64",
}  # fmt: skip

GRADIENT_COLUMNS = {"job_id": "str", "term": "str", "layer": "str", "gradient": "float64"}
"""Of gradients.parquet: what each term asks of the picture (`objective.TermGradient`)."""

METRIC_COLUMNS = {
    "job_id": "str", "arch": "str", "smoothing": "str", "content": "str", "style": "str",
    "seed": "int64", "metric": "str", "judge": "str", "judge_weights": "str", "value": "float64",
}  # fmt: skip
"""Of metrics.parquet; ``judge`` is empty where none is needed, NaN marks what is not defined."""


ACCURACY_COLUMNS = {
    "data": "str", "shortcut": "str", "depth": "int64", "width": "int64", "epochs": "int64",
    "seed": "int64", "accuracy": "float64", "correct": "int64", "tested": "int64",
    "train_accuracy": "float64", "precision": "str", "trained": "str", "random": "str",
}  # fmt: skip
"""Of accuracy.parquet, a row a classifier; ``trained`` and ``random`` are its weights in
stats.parquet, after the training and before."""


OF_FILE = {
    "statistics.parquet": STATISTICS_COLUMNS,
    "trace.parquet": TRACE_COLUMNS,
    "gradients.parquet": GRADIENT_COLUMNS,
}
"""Tables in job folders; ``job_id`` is the name of the folder."""


def slug(text: str) -> str:
    """Return a file name made of a text: ASCII letters, digits, ``._-``, at most 40 characters."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip(".-")[:40] or "x"


def _picture_names(spec: PictureSpec) -> dict[str, str]:
    """Return column -> path in OUT of the pictures of a job."""
    content, style = slug(spec.content.name), slug(spec.style.name)
    parts = [slug(spec.arch), slug(spec.smoothing.label), content, style, f"s{spec.seed}"]
    digests = [slug(picture.digest[:8]) for picture in (spec.content, spec.style)]
    square = "" if spec.resize == "aspect" else "sq"
    return {
        "picture": f"images/{'_'.join(parts)}_{spec.job_id[:8]}.jpg",
        "content_picture": f"images/content_{content}_{spec.size}{square}_{digests[0]}.jpg",
        "style_picture": f"images/style_{style}_{spec.style_size}{square}_{digests[1]}.jpg",
    }


_SPEC_COLUMNS = ("preset", "start", "precision", "image", "colours", "tolerance")


def result_row(record: JobRecord) -> dict[str, Any]:
    """Return the row of results.parquet for a record of a transfer job."""
    spec, known = record.stylisation, record.model_dump(exclude={"spec"})
    ratio = None
    if record.loss_initial and record.loss_final is not None:
        ratio = record.loss_final / record.loss_initial
    row = {
        **{column: known.get(column) for column in RESULT_COLUMNS},
        "arch": spec.arch,
        "weights": spec.weights.label,
        "weights_sha256": spec.weights.sha256,
        "smoothing": spec.smoothing.label,
        "content": spec.content.name,
        "style": spec.style.name,
        "loss_ratio": ratio,
        "flags": told_apart(" ".join(record.flags), ratio),
        "evals": record.evals or 0,
        **{key: getattr(spec, key) for key in ("system", "seed", "size", "resize", "style_scale")},
        "content_digest": spec.content.digest,
        "style_digest": spec.style.digest,
        "model": json.dumps(record.model, sort_keys=True) if record.model else "",
        "strength": 1.0 if isinstance(spec, JobSpec) else spec.strength,
        **(_of_optimisation(spec) if isinstance(spec, JobSpec) else NOT_OPTIMISED),
    }
    return row | (_picture_names(spec) if record.ok else {})


NOT_OPTIMISED: dict[str, Any] = {
    "evals_budget": 0, "history": 0, "options": "{}", "content_weight": 0.0, "style_weight": 0.0,
    "tv_weight": 0.0, "learning_rate": 0.0, "tolerance": 0.0,
}  # fmt: skip
"""Settings of an optimisation in the row of a trained network, which has none of them."""


def _of_optimisation(spec: JobSpec) -> dict[str, Any]:
    return {
        "evals_budget": spec.evals,
        "options": json.dumps(spec.weights.options, sort_keys=True),
        **{key: getattr(spec, key) for key in _SPEC_COLUMNS},
        **spec.loss.model_dump(exclude={"layer_weights"}),
        "layer_weights": json.dumps(spec.loss.layer_weights, sort_keys=True),
        **spec.optimiser.model_dump(exclude={"name", "first_step"}),
        "first_step": first_step(spec.optimiser),
        "optimiser": spec.optimiser.name,
        "nodes": spec.chosen.model_dump_json() if spec.chosen else "",
    }


def unavailable(spec: PictureSpec) -> JobRecord:
    """Return the record of a job whose weights are not at hand; it is not written anywhere."""
    return JobRecord.of(spec, status="unavailable", error=spec.weights.missing, finished=0.0)


def _fits(kind: pa.DataType, wanted: str) -> bool:
    """Tell whether a column of a file has a type of which the wanted one can be made.

    One of nulls alone is what pandas writes of a table without rows.
    """
    if pa.types.is_null(kind):
        return True
    if wanted == "str":
        values = kind.value_type if pa.types.is_dictionary(kind) else kind
        return bool(pa.types.is_string(values) or pa.types.is_large_string(values))
    if pa.types.is_integer(kind):
        return True
    return wanted == "float64" and bool(pa.types.is_floating(kind))


def present(found: pa.Schema, schema: Mapping[str, str]) -> list[str]:
    """Return which columns of a schema a table of pyarrow has.

    Raises:
        DamagedError: a column stands there twice, or is of another type.
    """
    names = []
    for name in schema:
        places = found.get_all_field_indices(name)
        if len(places) > 1 or (places and not _fits(found.field(places[0]).type, schema[name])):
            told = f"{len(places)} of them" if len(places) > 1 else f"{found.field(name).type}"
            raise DamagedError(f"column {name}: expected {schema[name]}, found {told}")
        names += [name] if places else []
    return names


def typed(table: pa.Table, schema: Mapping[str, str]) -> pd.DataFrame:
    """Return those columns of a table of pyarrow that are in a schema, in the types of it.

    What pandas writes beside the columns, and other columns, are not looked at.

    Raises:
        DamagedError: a column stands there twice, or is of another type.
    """
    made = {}
    for name in present(table.schema, schema):
        column = table.column(name)
        if schema[name] == "int64" and column.null_count:
            raise DamagedError(f"column {name}: expected int64, found nothing in some rows")
        try:
            values = column.cast(_ARROW[schema[name]])
            made[name] = values.fill_null("") if schema[name] == "str" else values
            made[name].validate(full=True)
        except (pa.ArrowException, ValueError) as error:
            raise DamagedError(f"column {name}: {describe(error)}") from None
        if name in _OBJECTS:
            _check_objects(name, made[name].unique().to_pylist())
    found: pd.DataFrame = pa.table(made).to_pandas()  # all columns at once: each takes long
    others = {name: schema[name] for name in made if found[name].dtype != schema[name]}
    return found.astype(others) if others else found


_OBJECTS: dict[str, Callable[[dict[str, Any]], bool]] = {
    "options": lambda found: not any(isinstance(v, dict | list) for v in found.values()),
    "layer_weights": lambda found: all(isinstance(v, int | float) for v in found.values()),
    "nodes": lambda found: isinstance(found.get("content"), int | str),
    "model": lambda found: not any(isinstance(v, dict | list) for v in found.values()),
}
"""Columns of JSON objects, and what those have to be; empty texts stand for none."""


def _check_objects(name: str, texts: Collection[str]) -> None:
    """Raise DamagedError unless the texts of a column are JSON objects as ours."""
    for text in filter(None, texts):
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            found = None
        if not (isinstance(found, dict) and _OBJECTS[name](found)):
            raise DamagedError(f"column {name}: expected a JSON object of ours, found {text!r:.60}")


def frame(rows: Sequence[dict[str, Any]], columns: dict[str, str]) -> pd.DataFrame:
    """Return a table with these columns and types; text that is missing is empty."""
    table = pd.DataFrame(rows, columns=list(columns))
    for column, kind in columns.items():
        filled = table[column].fillna("") if kind == "str" else table[column]
        table[column] = filled.astype(pd.api.types.pandas_dtype(kind))
    return table
