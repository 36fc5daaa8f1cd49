"""What is known of a job when it has ended: its record, which lies in its folder as record.json."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, model_validator

from stylebench.config import (
    JobSpec,
    Kind,
    PassSpec,
    PictureSpec,
    Spec,
    StatisticsSpec,
    Stylisation,
)
from stylebench.store import models
from stylebench.store.models import Seconds, Whole, encodable

Status = Literal["ok", "failed", "unavailable"]


def _or(empty: Any) -> BeforeValidator:
    return BeforeValidator(lambda value: empty if value is None else value)


def _with_escapes(text: str) -> str:
    """Return a text that a table can hold: paths in errors may be no UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode()


Text = Annotated[str, _or(""), AfterValidator(_with_escapes)]
Numbers = Annotated[dict[str, float | None], _or({})]
FILE = "record.json"


class JobRecord(BaseModel):
    """A job that has ended, or one that cannot begin because its weights are not at hand.

    What a job of its kind does not have, or a number that was not finite, is None; keys that this
    version does not know are left out.

    Attributes:
        job_id: as of its `spec`; the name of its folder.
        kind: ``transfer`` or ``statistics``.
        status: ``ok``, ``failed``, or ``unavailable``, of which no record is written.
        error: why it is not ok, in one line; empty if it is.
        spec: everything that decides its result.
        traceback: of an error that is not ours.
        device: as torch names it.
        environment: versions of stylebench, Python and packages, and the processors.
        seconds: its share of its batch's; None if its worker was lost.
        started: seconds since the epoch, and so is `finished`.
        batch: how many jobs were computed together.
        peak_memory_mb: of the batch.
        values: rows of statistics.parquet.
        statistics: that were measured, with the digests of those of plug-ins, else "".
        evals: closure evaluations that were made.
        loss_initial: of the start; the other losses and `style_layers` are of the best iterate,
            see `stylebench.transfer.stylize.Stylization`.
        model: of a trained network: its method, encoder, the network that saw its losses, their
            smoothing, its steps and profile.
        pass_seconds: of one pass of it, picture to picture.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    job_id: str
    kind: Kind
    status: Status
    error: Text = ""
    spec: Spec
    traceback: Text = ""
    values: Whole | None = None
    statistics: Annotated[dict[str, str], _or({})] = {}
    evals: Whole | None = None
    loss_initial: float | None = None
    loss_final: float | None = None
    content_loss: float | None = None
    style_loss: float | None = None
    style_loss_initial: float | None = None
    tv_loss: float | None = None
    style_layers: Numbers = {}
    stop_reason: Text = ""
    flags: Annotated[tuple[Text, ...], _or(())] = ()
    moved: float | None = None
    objective_scale: float | None = None
    initial_gradient: float | None = None
    model: Annotated[dict[str, str | int], _or({})] = {}
    pass_seconds: float | None = None
    device: Text = ""
    environment: Annotated[dict[str, Any], _or({})] = {}
    seconds: float | None = None
    started: Seconds | None = None
    finished: Seconds
    batch: Whole | None = None
    peak_memory_mb: float | None = None

    @model_validator(mode="before")
    @classmethod
    def _spec_of_its_kind(cls, value: Any) -> Any:
        if isinstance(value, Mapping) and isinstance(value.get("spec"), Mapping):
            spec = value["spec"]
            picture = PassSpec if "system" in spec else JobSpec
            model = picture if value.get("kind") == "transfer" else StatisticsSpec
            return {**value, "spec": model.model_validate(spec)}
        return value

    @model_validator(mode="after")
    def _named_in_text(self) -> Self:
        """Check that a table can hold the names; paths may be no UTF-8, and no table has them."""
        path: dict[str, Any] = {"ref": True}
        without: dict[str, Any] = {"content": path, "style": path}
        without |= {key: {"path": True} for key in ("weights", "encoder")}
        without |= {"images": {"__all__": path}, "blend": {"__all__": {"picture": path}}}
        without["regions"] = {"__all__": {"picture": path, "mask": path}}
        known = self.spec.model_dump(exclude=without)
        encodable(json.dumps(known, ensure_ascii=False, default=str))
        return self

    @classmethod
    def of(cls, spec: Spec, **known: Any) -> "JobRecord":
        """Return the record of a job with what is known of its outcome."""
        return cls(job_id=spec.job_id, kind=spec.kind, spec=spec, **{"error": "", **known})

    @property
    def ok(self) -> bool:
        """Whether it was computed."""
        return self.status == "ok"

    @property
    def stylisation(self) -> PictureSpec:
        """Its spec, if it is one; raises TypeError for statistics."""
        if not isinstance(self.spec, Stylisation):
            raise TypeError(f"job {self.job_id} is no stylisation")
        return self.spec

    def json_text(self) -> str:
        """Return what is written of it: numbers that are not finite are null, as JSON has none."""
        known = self.model_dump(mode="json", include=self.model_fields_set)
        return json.dumps(_finite(known), indent=1, allow_nan=False) + "\n"


def read(folder: Path) -> JobRecord:
    """Return the record in a job's folder, which lies two folders below its results folder.

    Raises:
        FileNotFoundError, NotADirectoryError: there is none.
        DamagedError: it is no record.
        InputError: it cannot be read.
    """
    return models.read(folder / FILE, JobRecord, folder.parent.parent)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
