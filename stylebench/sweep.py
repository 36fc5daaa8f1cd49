"""The flow of a sweep: plan, run what is not done, track, make tables and figures."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from stylebench import engine, plan, runtime, store
from stylebench.config import SweepConfig
from stylebench.errors import InputError


class Reporter(Protocol):
    """What a sweep tells while it runs."""

    def message(self, text: str) -> None:
        """Tell one line."""

    def begin(self, jobs: int, finished: int) -> None:
        """Tell how many jobs there are to do, and how many were done before."""

    def job(self, record: Mapping[str, Any]) -> None:
        """Tell the outcome of a job."""


@dataclass(frozen=True)
class Options:
    """How and where a sweep runs: nothing here changes a number."""

    out: Path
    device: str = "cpu"
    workers: int = 1
    given: Mapping[str, Path] = field(default_factory=dict)
    tracking_uri: str | None = None
    offline: bool = False
    force: bool = False
    command: str = ""


@dataclass(frozen=True)
class Summary:
    """How a sweep ended: counts of jobs by status, and files made."""

    ok: int
    failed: int
    unavailable: int
    files: tuple[Path, ...]


def write_manifest(options: Options, config: SweepConfig) -> dict[str, Any]:
    """Write OUT/manifest.json: the command, configuration, versions, written when the sweep began."""
    manifest = {
        "name": config.name,
        "command": options.command,
        "config": config.model_dump(mode="json"),
        "environment": dict(runtime.environment()),
        "device": options.device,
        "written": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    options.out.mkdir(parents=True, exist_ok=True)
    store.write_text(options.out / "manifest.json", json.dumps(manifest, indent=1) + "\n")
    return manifest


class _Tracking:
    """The tracker, or nothing after it failed: tracking never stops a sweep."""

    def __init__(self, options: Options, config: SweepConfig, report: Reporter) -> None:
        from stylebench.tracking import Tracker

        self._report = report
        self._tracker: Tracker | None = None
        try:
            self._tracker = Tracker(options.out, config, options.tracking_uri)
        except InputError as error:
            if options.tracking_uri:
                raise
            report.message(f"not tracked: {error}")

    def call(self, method: str, *args: Any) -> None:
        if self._tracker is None:
            return
        try:
            getattr(self._tracker, method)(*args)
        except Exception as error:
            reason = " ".join(str(error).split())[:200]
            self._report.message(
                f"MLflow failed, the sweep goes on untracked: {reason}; run it again to log the rest"
            )
            self._tracker = None


def run(config: SweepConfig, options: Options, report: Reporter) -> Summary:
    """Run a sweep and return how it ended.

    Jobs that are in place are not run again; failed ones are. What is finished when this is
    interrupted stays.

    Raises:
        InputError: wrong input, before anything is run.
    """
    planned = plan.expand(config, given=options.given, offline=options.offline, tell=report.message)
    manifest = write_manifest(options, config)
    tracking = _Tracking(options, config, report)
    for record in store.records(options.out):
        tracking.call("log", record)
    todo = [
        *store.pending(options.out, planned.statistics, force=options.force),
        *store.pending(options.out, planned.jobs, force=options.force),
    ]
    report.begin(len(todo), len(planned.statistics) + len(planned.jobs) - len(todo))
    try:
        for record in engine.run(todo, options.out, options.device, options.workers):
            if record["kind"] == "transfer":
                tracking.call("log", record)
            report.job(record)
    finally:
        frame = store.compact(options.out, planned.missing)
    results = store.load(options.out)
    tracking.call("log_statistics", results.statistics, store.records(options.out))
    files = tuple(_draw(options.out, report))
    tracking.call("finish", manifest, [*files, options.out / "manifest.json"])
    ids = {spec.job_id for spec in (*planned.jobs, *planned.missing)}
    status = frame[frame["job_id"].isin(ids)]["status"].value_counts()
    broken = sum(
        record["status"] != "ok"
        for record in store.records(options.out, "statistics")
        if record["job_id"] in {spec.job_id for spec in planned.statistics}
    )
    return Summary(
        ok=int(status.get("ok", 0)),
        failed=int(status.get("failed", 0)) + broken,
        unavailable=int(status.get("unavailable", 0)),
        files=files,
    )


def _draw(out: Path, report: Reporter) -> list[Path]:
    from stylebench import figures

    try:
        drawn = list(figures.draw(out))
    except InputError as error:
        report.message(f"no figures: {error}")
        return []
    for name, found in drawn:
        if isinstance(found, str):
            report.message(f"{name}: not drawn, {found}")
    return [found for _, found in drawn if isinstance(found, Path)]
