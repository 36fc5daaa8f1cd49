"""Hands groups of jobs to workers and takes in what comes back, whatever becomes of the workers."""

import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from stylebench import runtime, store
from stylebench.config import Spec
from stylebench.store import JobRecord

Group = Sequence[Spec]


FREE_TRIES = 10
"""So often a group that was lost before it began is sent again without costing its jobs a try."""


@dataclass(frozen=True)
class Lost:
    """What comes back of a group whose worker did not live to finish it.

    `begun` tells whether the worker had begun it.
    """

    reason: str
    begun: bool = True


class Workers(Protocol):
    """Where groups run, several at a time."""

    def free(self) -> bool:
        """Tell whether another group can begin."""

    def begin(self, group: Group) -> None:
        """Begin a group."""

    def wait(self) -> tuple[Group, list[JobRecord] | Lost]:
        """Wait for any group that was begun; return it with its records, which are in place."""

    def close(self) -> None:
        """Stop what runs, in the middle of a job if need be: nobody waits for it any more."""


def drive(
    groups: Sequence[Group], workers: Workers, out: Path, device: str, retries: int
) -> Iterator[JobRecord]:
    """Run groups of jobs and yield their records as they complete.

    A group whose worker is lost is run again in halves after the others, until the job that loses
    it is alone. That one is tried `retries` times more, then it has failed. A group that was lost
    before it began is sent again as it is, up to `FREE_TRIES` times.
    """
    todo, running, tries, began = deque(groups), 0, Counter[str](), time.time()
    unbegun = Counter[str]()
    while todo or running:
        while todo and workers.free():
            workers.begin(todo.popleft())
            running += 1
        group, found = workers.wait()
        running -= 1
        if not isinstance(found, Lost):
            yield from found
            continue
        written = [(spec, store.written(out, spec, began)) for spec in group]
        yield from (record for _, record in written if record is not None)
        left = [spec for spec, record in written if record is None]
        for spec in left:
            store.remove_stale(out, age=0, job_id=spec.job_id)
        if left and not found.begun and unbegun[left[0].job_id] < FREE_TRIES:
            unbegun[left[0].job_id] += 1
            todo.appendleft(left)
            continue
        if len(group) > 1:
            half = (len(left) + 1) // 2
            todo += filter(None, (left[:half], left[half:]))
            continue
        for spec in left:
            tries[spec.job_id] += 1
            if tries[spec.job_id] <= retries:
                todo.append([spec])
            else:
                yield _failed(spec, out, device, f"{found.reason}; tried {retries + 1} times")


def _failed(spec: Spec, out: Path, device: str, reason: str) -> JobRecord:
    """Write and return the record of a job whose worker did not live to write it."""
    record = JobRecord.of(
        spec, status="failed", error=reason, device=device,
        environment=dict(runtime.environment()), seconds=None, finished=time.time(),
    )  # fmt: skip
    with store.job_folder(out, spec.kind, spec.job_id) as folder:
        store.write_record(folder, record)
    return record
