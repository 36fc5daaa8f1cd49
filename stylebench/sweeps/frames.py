"""A folder of frames, stylised in order: each from its content, or from the result before it."""

import contextlib
import hashlib
import itertools
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import BaseModel

from stylebench import files, images, named
from stylebench.config import ImageRef, JobSpec
from stylebench.errors import DamagedError, InputError, JobError, some
from stylebench.images import stored
from stylebench.images.decode import SAVED
from stylebench.measures.flicker import Flicker, flicker
from stylebench.store import models
from stylebench.sweeps.run import RunOptions, check_folder
from stylebench.sweeps.single import planned

if TYPE_CHECKING:
    from stylebench.store import JobRecord
    from stylebench.transfer.step import Watcher

FILE = "frames.json"
"""In the output folder: with which settings, and from which contents, its frames were made."""
Start = Literal["content", "style", "noise", "previous"]


class _Notes(BaseModel):
    """frames.json: the settings of the frames in a folder, and the digests of their origins."""

    settings: models.JobId
    start: Start
    frames: dict[str, str]


@dataclass(frozen=True)
class Scene:
    """Frames that were made: the first job, how many there are and are done, how they flicker.

    `left_out` says of each frame that could not be read why; then nothing is said of flicker.
    `styles` are the style losses of the first and the last frame over that at the start of the
    first, where each begins with the one before it and all were made now; else None.
    """

    job: JobSpec
    count: int
    done: int
    seconds: float
    pixels: tuple[int, int]
    flicker: Flicker | None
    left_out: tuple[str, ...] = ()
    styles: tuple[float, float] | None = None


def _natural(source: images.ImageSource) -> list[str | int]:
    """Return what sorts frame2 before frame10."""
    parts = re.split("([0-9]+)", source.name)
    return [int(part) if index % 2 else part.casefold() for index, part in enumerate(parts)]


def listed(content: str, tell: Callable[[str], None]) -> list[images.ImageSource] | None:
    """Return the frames in a folder, in natural order of their names; None if it is no folder."""
    is_folder = False
    with contextlib.suppress(OSError, ValueError):  # a long comma list, a NUL: no folder
        is_folder = named.expanded(content).is_dir()
    if not is_folder:
        return None
    found = images.resolve(content, "content", tell)
    if found[0].ref.startswith(images.PREFIX):  # a built-in goes before a folder of its name
        return None
    return sorted(found, key=lambda source: (_natural(source), source.name))


def _readable(
    frames: Sequence[images.ImageSource], size: int, start: Start
) -> tuple[list[images.ImageSource], list[str]]:
    """Return the frames that can be read, which must have one size, and why the others cannot.

    Raises:
        InputError: frames of several sizes; none that can be read, or not all where each begins
            with the one before it.
    """
    found, left = [], []
    sizes: dict[tuple[int, ...], str] = {}
    for frame in frames:
        try:
            sizes.setdefault(images.read(frame.ref, size).shape[:2], frame.name)
            found.append(frame)
        except InputError as error:
            if start == "previous":
                raise InputError(
                    f"{error}; with --start previous each frame needs the one before it: mend it, "
                    "or take it out of the folder"
                ) from None
            left.append(str(error))
    if not found:
        raise InputError(left[0])
    if len(sizes) > 1:
        told = [f"{name} {width}×{height}" for (height, width), name in sizes.items()]
        raise InputError(f"expected frames of one size, found {some(told, 3)} px")
    return found, left


def _jobs(frames: Sequence[images.ImageSource], first: JobSpec) -> dict[str, JobSpec]:
    """Return the file that each frame becomes, and its job."""
    jobs: dict[str, JobSpec] = {}
    for frame in frames:
        name = f"{frame.name}.png"
        if name in jobs:
            raise InputError(f"expected frames of different names, found two that become {name!r}")
        ref = ImageRef(name=frame.name, ref=frame.ref, digest=images.digest(frame.ref, first.size))
        jobs[name] = first.model_copy(update={"content": ref})
    return jobs


def _check_folder(output: Path, frames: Sequence[images.ImageSource], *, force: bool) -> None:
    """Raise InputError for what is no folder, takes no files, or holds others than ours."""
    if output.suffix.lower() in SAVED or output.is_file():
        raise InputError(
            f"--output expects a folder, as the content is one of frames, found {str(output)!r}"
        )
    if any(output.resolve() == Path(frame.ref).parent for frame in frames):
        raise InputError(f"--output {str(output)!r} has the frames in it; give another folder")
    ours = (FILE, *(f"{frame.name}.png" for frame in frames))
    check_folder(output, ours=ours, flag="--output", shared=force, writes=True)


def _check_output(output: Path, jobs: Mapping[str, JobSpec]) -> None:
    """Raise InputError for a folder into which frames cannot go, as it has pictures of theirs."""
    for name, job in jobs.items():
        images.check_output(output / name, {p.ref: p.name for p in job.pictures})


def _origins(jobs: Mapping[str, JobSpec], start: Start) -> dict[str, str]:
    """Return file of each frame -> digest of its content, and of those before if they are chained.

    Chained, a frame comes out the same only where all of those before it do.
    """
    digests: Iterable[str] = (job.content.digest for job in jobs.values())
    if start == "previous":
        digests = itertools.accumulate(
            digests, lambda before, own: hashlib.sha256(f"{before} {own}".encode()).hexdigest()
        )
    return dict(zip(jobs, digests, strict=True))


class _Folder:
    """The output folder: which frames in it were made as they would be made again.

    Args:
        path: of the folder.
        jobs: file of each frame -> its job.
        start: of the frames.
        pixels: width and height of each.
        force: there are none.

    Raises:
        InputError: it holds frames of other settings, or what is no such frame.
    """

    def __init__(
        self,
        path: Path,
        jobs: Mapping[str, JobSpec],
        start: Start,
        pixels: tuple[int, int],
        *,
        force: bool,
    ) -> None:
        job = next(iter(jobs.values()))
        blank = job.content.model_copy(update={"digest": ""})
        self._settings = job.model_copy(update={"content": blank}).job_id
        self._path, self._start = path, start
        self._wanted = _origins(jobs, start)
        self.done = {} if force else self._before()
        for name in self.done:
            self._check(name, pixels)

    def _before(self) -> dict[str, str]:
        """Return the frames that are there, and the digests of their origins."""
        there = [name for name in self._wanted if os.path.lexists(self._path / name)]
        try:
            found = models.read(self._path / FILE, _Notes)
        except DamagedError:
            raise InputError(
                f"{str(self._path / FILE)!r} is damaged, or not ours; --force makes all frames "
                "anew, or give another folder"
            ) from None
        except files.ABSENT:
            found = None
        if not there:
            return {}
        if found is None or (found.settings, found.start) != (self._settings, self._start):
            raise InputError(
                f"--output {str(self._path)!r} holds {some(there, 1)} of other settings; --force "
                "makes them anew, or give another folder"
            )
        kept = [name for name in there if found.frames.get(name) == self._wanted[name]]
        if self._start == "previous":  # what follows one that is made anew is made anew
            pairs = zip(kept, self._wanted, strict=False)
            kept = [name for name, _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs)]
        return {name: self._wanted[name] for name in kept}

    def _check(self, name: str, pixels: tuple[int, int]) -> None:
        """Raise InputError for a finished frame that is not as it was made."""
        path, remedy = self._path / name, "delete it, or --force makes all frames anew"
        try:
            stored.check(files.read(path, self._path))
            found = stored.size(path, self._path)
        except DamagedError as error:
            raise InputError(f"{str(path)!r} is {error}; {remedy}") from None
        if found != pixels:
            (width, height), (wide, high) = found, pixels
            raise InputError(
                f"{str(path)!r} is {width}×{height} px, expected {wide}×{high} as of its content; "
                f"{remedy}"
            )

    def read(self, name: str) -> images.Picture:
        """Return a frame of the folder."""
        return np.asarray(stored.read(self._path / name, self._path))

    def keep(self, name: str, picture: images.Picture) -> None:
        """Write a frame."""
        images.save(self._path / name, picture, root=self._path)
        self.done[name] = self._wanted[name]
        self.note()

    def note(self) -> None:
        """Write down which frames there are."""
        notes = _Notes(settings=self._settings, start=self._start, frames=self.done)
        files.write_text(self._path / FILE, notes.model_dump_json(indent=1) + "\n", self._path)


def transfer_frames(
    frames: Sequence[images.ImageSource],
    flags: Mapping[str, Any],
    options: RunOptions,
    output: Path,
    start: Start = "content",
    tell: Callable[[str], None] = lambda text: None,
    begin: Callable[[str], None] = lambda text: None,
    progress: "Watcher" = lambda step: None,
    strength: float = 1.0,
    *,
    force: bool = False,
) -> Scene:
    """Stylise frames in order into a folder, and measure how they flicker.

    Frames that are there and would come out the same are kept, so that the same call goes on. One
    that cannot be read is told, and the others are made, unless each begins with the one before it.

    Args:
        frames: from `listed`.
        flags: keys of a SweepConfig that name one backbone, one style and one smoothing.
        options: device and weights.
        output: the folder; each frame becomes a PNG of its name.
        start: of each frame; with ``previous`` that of the first is its content.
        tell: called with a line when it begins, and for each frame.
        begin: called with the name of each frame before it is made.
        progress: as `stylebench.stylize` takes it; where it returns True that frame is given up.
        strength: multiplies the weight of the style.
        force: make all frames anew.

    Raises:
        InputError: wrong input, or an output folder of other frames.
        JobError: a frame failed; those before it are kept.
    """
    _check_folder(output, frames, force=force)
    own = {} if start == "previous" else {"start": start}
    frames, left = _readable(frames, flags["size"], start)
    for text in left:
        tell(f"left out: {text}")
    first = planned({**flags, **own, "content": [frames[0].ref]}, options, strength, tell)
    jobs = _jobs(frames, first)
    _check_output(output, jobs)
    height, width = images.read(first.content.ref, first.size, resize=first.resize).shape[:2]
    folder = _Folder(output, jobs, start, (width, height), force=force)
    tell(
        f"{len(jobs)} frames, {len(folder.done)} made before: {first.title}, start {start}: "
        f"{first.size} px, up to {first.evals} closure evaluations each on "
        f"{options.engine.device} …"
    )
    output.mkdir(parents=True, exist_ok=True)
    folder.note()
    records = _make(folder, jobs, options, start == "previous", tell, begin, progress)
    seconds = sum(record.seconds or 0.0 for record in records)
    done = len(folder.done)
    flickers = _flicker(folder, jobs) if done == len(jobs) > 1 and not left else None
    styles = _styles(records) if start == "previous" and len(records) == len(jobs) > 1 else None
    return Scene(first, len(jobs), done, seconds, (width, height), flickers, tuple(left), styles)


def _styles(records: "Sequence[JobRecord]") -> tuple[float, float] | None:
    """Return the style losses of the first and the last frame over that at the first's start."""
    start = records[0].style_loss_initial
    ends = [record.style_loss for record in (records[0], records[-1])]
    if not start or None in ends:
        return None
    first, last = (float(loss or 0.0) / start for loss in ends)
    return first, last


def _make(
    folder: _Folder,
    jobs: Mapping[str, JobSpec],
    options: RunOptions,
    chained: bool,
    tell: Callable[[str], None],
    begin: Callable[[str], None],
    progress: "Watcher",
) -> "list[JobRecord]":
    """Make the frames that are not there; return their records."""
    from stylebench.sweeps.job import compute

    before, seconds, made = len(folder.done), 0.0, []
    previous: images.Picture | None = None
    for number, (name, job) in enumerate(jobs.items(), start=1):
        if name in folder.done:
            previous = folder.read(name) if chained else None
            continue
        place = f"{name} ({number}/{len(jobs)})"
        begin(place)
        ((record, outcome),) = compute([job], options.engine.device, progress, previous)
        if not record.ok:
            raise JobError(f"{name}: {record.error}")
        if record.stop_reason == "stopped":
            break
        result = outcome.pictures["result.png"]
        folder.keep(name, result)
        previous = result if chained else None
        made.append(record)
        seconds += record.seconds or 0.0
        left = seconds / (len(folder.done) - before) * (len(jobs) - len(folder.done))
        tell(f"{place}: {record.evals} evaluations, {record.seconds or 0:.1f} s, {left:.0f} s left")
    return made


def _flicker(folder: _Folder, jobs: Mapping[str, JobSpec]) -> Flicker:
    contents = (images.read(job.content.ref, job.size, resize=job.resize) for job in jobs.values())
    return flicker(map(folder.read, jobs), contents)
