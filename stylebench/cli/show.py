"""What ``stylebench ls`` shows: every extension point with its documentation."""

import json
from collections.abc import Callable, Sequence
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

from stylebench.cli.progress import counted, say
from stylebench.errors import InputError, suggestion

if TYPE_CHECKING:
    from stylebench.config import PictureSpec, Spec
    from stylebench.sweeps.run import RunOptions
    from stylebench.sweeps.settings import SweepConfig


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows as text with aligned columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _doc(function: object, *, verbose: bool) -> str:
    lines = [line.strip() for line in (function.__doc__ or "").strip().splitlines()]
    return " ".join(filter(None, lines)) if verbose else lines[0]


TIMM_RULE = (
    "    style    one for each reduction (stride), the last map that has it, five at most; where",
    "             all have one (ViT), five blocks equally spaced; before four or fewer, as stem,",
    "             the input of the first; integers in nodes: are timm's own indices",
    "    content  the last style node but one",
)
"""The rule of backbones/timm.py, which takes seconds to import."""


def _archs(*, verbose: bool, arch: Sequence[str] = ()) -> list[str]:
    from stylebench.backbones import names

    told: list[str] = []
    found: list[tuple[str, dict[str, str], bool]] = [(name, {}, False) for name in names.known()]
    if arch:
        parts = [names.parse(part) for part in names.listed(arch)]
        found = [
            (name, options, explicit)
            for pattern, options in parts
            for name, explicit in names.expand([pattern]).items()
        ]
        found = names.taking(found, told.append)
    count = len(names.timm_models())
    tail = [] if arch else [f"timm:NAME  any of timm's models, r- or p-; {count} in timm 1.0.31"]
    if not verbose:
        rows = [(n, "all" if n in names.ALL else "", names.find(n).description) for n, *_ in found]
        return told + table(rows) + tail
    lines = told
    for name, options, explicit in found:
        lines += _arch(name)
        lines += _nodes(name, options) if arch else []
        lines += _blocks(name, options) if explicit else []
    return lines + tail + list(() if arch else TIMM_RULE)


def _arch(name: str) -> list[str]:
    """Return what there is to know of a backbone, but for the nodes that it could have."""
    from stylebench.backbones import names

    spec = names.find(name)
    style = ", ".join(f"{n.name} = {n.path} (stage {n.stage})" for n in spec.style)
    return [
        f"{name}  {spec.description}" + ("  [all]" if name in names.ALL else ""),
        f"    style    {style}",
        f"    content  {spec.content.name} = {spec.content.path}",
        *(f"    option   {key}: {', '.join(values)}" for key, values in spec.options.items()),
    ]


def _nodes(name: str, options: dict[str, str]) -> list[str]:
    """Return the nodes that an experiment may choose for a backbone with these options."""
    from stylebench.backbones import names, nodes

    spec = names.find(name)
    spec.check_options(name, options)
    own = ", ".join(f"{name} = {path}" for name, path in spec.aliases.items())
    named = [f"    names    {own}"] if own else []
    return [f"    nodes    {nodes.listed(spec.paths(options))}", *named]


def _blocks(name: str, options: dict[str, str]) -> list[str]:
    """Return by how much each block with a shortcut changes its input, measured now."""
    import statistics

    from stylebench.backbones import pretrained, shortcuts
    from stylebench.errors import UnavailableError

    told: list[str] = []
    try:
        ref = pretrained.resolve(name, 0, options=options, offline=True, tell=told.append)
    except UnavailableError:
        return ["    blocks   not measured: there are no weights on this machine"]
    found = shortcuts.measure(name, ref)
    height, width = found.size
    how = f"{shortcuts.PHOTOGRAPH}, {width}×{height} px, {ref.label}, {found.seconds:.1f} s"
    if not found.branches:
        return [*told, f"    blocks   none with a shortcut ({how})"]
    changes = [branch.change for branch in found.branches]
    off = sum(change < shortcuts.OFF for change in changes)
    span = f"{min(changes):.2g} to {max(changes):.2g}, median {statistics.median(changes):.2g}"
    return [
        *told,
        f"    blocks   {len(changes)} with a shortcut, ‖R(x)‖/‖x‖ {span}, {off} under "
        f"{shortcuts.OFF:g} ({how})",
        "             " + ", ".join(f"{b.path} {b.change:.2g}" for b in found.branches),
    ]


def _smoothings(*, verbose: bool) -> list[str]:
    from stylebench.transfer.smoothing import SMOOTHINGS, parameters

    rows = []
    for name, function in SMOOTHINGS.items():
        params = ", ".join(f"{key}={value:g}" for key, value in parameters(name).items())
        rows.append((name, params, _doc(function, verbose=verbose)))
    return table(rows)


def _statistics(*, verbose: bool) -> list[str]:
    from stylebench.measures.statistics import BRANCH_CHANGE, STATISTICS, measure_branches

    rows = [
        (name, "scale-free" if s.scale_free else "paper", _doc(s.compute, verbose=verbose))
        for name, s in STATISTICS.items()
    ]
    return table([*rows, (BRANCH_CHANGE, "of blocks", _doc(measure_branches, verbose=verbose))])


def _metrics(*, verbose: bool) -> list[str]:
    from stylebench.measures.metrics import METRICS

    return table(
        [
            (name, m.about, f"{m.better} is better", _doc(m.compute, verbose=verbose))
            for name, m in METRICS.items()
        ]
    )


def _images(*, verbose: bool) -> list[str]:
    from stylebench.images import PAINTINGS, PHOTOGRAPHS, Builtin

    rows: list[tuple[str, str, Builtin]] = [
        *(("photograph", name, item) for name, item in PHOTOGRAPHS.items()),
        *(("painting", name, item) for name, item in PAINTINGS.items()),
    ]
    return table(
        [
            (kind, name, item.description + (f" ({item.credit})" if verbose else ""))
            for kind, name, item in rows
        ]
    )


def _figures(*, verbose: bool) -> list[str]:
    from stylebench.figures import FIGURES, TABLES, load

    load()
    rows = [("figure", name, _doc(f, verbose=verbose)) for name, f in FIGURES.items()]
    return table(rows + [("table", name, _doc(f, verbose=verbose)) for name, f in TABLES.items()])


def _of_files(kind: str, *, verbose: bool) -> list[str]:
    """Return what the shipped YAML files of a kind say they are for."""
    from stylebench.sweeps.reading import read_yaml, shipped

    return table(
        [
            (name, _remark(path) if verbose else str(read_yaml(path).get("description", "")))
            for name, path in shipped(kind).items()
        ]
    )


def _remark(path: Path) -> str:
    """Return the comment that an experiment file begins with: what it asks."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return " ".join(line[1:].strip() for line in takewhile(lambda n: n.startswith("#"), lines))


KINDS: dict[str, Callable[..., list[str]]] = {
    "archs": _archs,
    "smoothings": _smoothings,
    "statistics": _statistics,
    "metrics": _metrics,
    "images": _images,
    "figures": _figures,
    "experiments": partial(_of_files, ""),
    "trainings": partial(_of_files, "train"),
    "classifiers": partial(_of_files, "accuracy"),
}


def lines(
    what: str | None, *, verbose: bool = False, arch: Sequence[str] | None = None
) -> list[str]:
    """Return the lines of ``stylebench ls WHAT``; of all kinds, with headings, for None.

    Args:
        what: one of `KINDS`.
        verbose: more about each; with `arch`, all nodes that it could have.
        arch: these backbones alone, as ``--arch`` takes them; for ``archs``.
    """
    if arch:
        if what != "archs":
            raise InputError("ls: --arch goes with archs: stylebench ls archs --arch NAME")
        return _archs(verbose=verbose, arch=arch)
    if what is None:
        parts = [[f"{kind}:", *show(verbose=verbose), ""] for kind, show in KINDS.items()]
        return [line for part in parts for line in part][:-1]
    if what not in KINDS:
        near = suggestion(what, KINDS)
        raise InputError(f"ls: unknown kind {what!r}{near} (known: {', '.join(KINDS)})")
    return KINDS[what](verbose=verbose)


def _how(spec: "PictureSpec") -> str:
    """Return the settings of a job, those of an optimisation or of a trained network."""
    from stylebench.config import JobSpec

    if not isinstance(spec, JobSpec):
        return f"{spec.weights.label}  {spec.size} px  strength {spec.strength:g}"
    return f"{spec.preset}  {spec.size} px  {counted(spec.evals, 'evaluation')}  {spec.precision}"


def jobs(config: "SweepConfig", options: "RunOptions", *, as_json: bool) -> None:
    """Print the jobs that a sweep comes to, as text or as JSON, and their number."""
    from stylebench import store
    from stylebench.sweeps import run

    told: list[str] = []  # when it is known that there is nothing wrong
    planned = run.jobs(config, options, told.append, dry=True)
    from stylebench.measures.statistics import measured

    statistics = (*planned.statistics, *planned.missing_statistics)
    specs: list[Spec] = [*planned.jobs, *planned.statistics]
    todo = {
        spec.job_id
        for spec in store.pending(options.out, specs, force=options.force, statistics=measured())
    }

    def state(spec: "Spec") -> str:
        there = "to do" if spec.job_id in todo else "finished"
        return "unavailable" if spec.weights.missing else there

    for spec in (*planned.jobs, *planned.missing):
        if as_json:
            print(json.dumps(spec.model_dump(mode="json")))
        else:
            say(
                f"{spec.job_id}  {state(spec):11}  {spec.label:15}  {spec.smoothing.label:16}  "
                f"{spec.content.name} × {spec.style.name}  {_how(spec)}  seed {spec.seed}"
            )
    for each in statistics:
        pictures = ", ".join(image.name for image in each.images)
        told.append(f"{each.job_id}  {state(each):11}  {each.title}: {pictures}")
    count = len(planned.jobs) + len(planned.missing)
    jobs_todo = len(todo & {spec.job_id for spec in planned.jobs})
    told.append(
        f"{count} jobs, {jobs_todo} to do, {len(planned.missing)} unavailable; "
        f"{counted(len(planned.statistics), 'statistics job')}; into {options.out}"
    )
    say(*told, error=True)
