"""Where the time of a closure evaluation goes, on any device: ``python bench/closure.py cuda``.

One JSON document a line: milliseconds of an evaluation, optimiser and all, as it is and, on a GPU,
launched kernel by kernel in place of recorded (`stylebench.transfer.graphs`); then the kernels that
take the most, as torch.profiler counts them. Random weights, noise for pictures; one run.
"""

import argparse
import itertools
import json
import time
from collections.abc import Callable
from unittest import mock

from torch.profiler import ProfilerActivity, profile

from stylebench import runtime
from stylebench.timing.bench import Work, ours, wait
from stylebench.transfer.graphs import Recorder

WARM_UP, EVALUATIONS, KERNELS = 4, 12, 25


def milliseconds(step: Callable[[], object], device: str) -> float:
    """Return the time of an evaluation in ms, the mean of EVALUATIONS in a row."""
    for _ in range(WARM_UP):
        step()
    wait(device)
    began = time.perf_counter()
    for _ in range(EVALUATIONS):
        step()
    wait(device)
    return 1000 * (time.perf_counter() - began) / EVALUATIONS


def launched() -> "mock._patch[Callable[..., object]]":
    """Return a context in which closures are launched kernel by kernel."""
    return mock.patch.object(Recorder, "__call__", lambda self, closure, given: closure(given))


def times(work: Work) -> dict[str, object]:
    """Return the times of one piece of work."""
    runtime.configure(tf32=work.precision == "tf32")
    found: dict[str, object] = work.model_dump()
    found["ms"] = round(milliseconds(ours(work), work.device), 3)
    if work.device.startswith("cuda"):
        with launched():
            found["ms_launched"] = round(milliseconds(ours(work), work.device), 3)
    return found


def kernels(work: Work) -> str:
    """Return a table of what an evaluation consists of, longest first."""
    gpu = work.device.startswith("cuda")
    runtime.configure(tf32=work.precision == "tf32")
    with launched():
        step = ours(work)
        for _ in range(WARM_UP):
            step()
        wait(work.device)
        every = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if gpu else [])]
        with profile(activities=every) as seen:
            step()
            wait(work.device)
    key = "self_cuda_time_total" if gpu else "self_cpu_time_total"
    table: str = seen.key_averages().table(sort_by=key, row_limit=KERNELS)
    return table


def main() -> None:
    """Read the arguments and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("device")
    parser.add_argument("--arch", action="append")
    parser.add_argument("--size", type=int, action="append")
    parser.add_argument("--batch", type=int, action="append")
    parser.add_argument("--precision", action="append")
    asked = parser.parse_args()
    every = itertools.product(
        asked.arch or ["vgg19", "resnet50"], asked.size or [512, 256], asked.batch or [1, 16],
        asked.precision or ["bf16", "fp32"],
    )  # fmt: skip
    works = [
        Work(arch=arch, size=size, batch=batch, precision=precision, device=asked.device)
        for arch, size, batch, precision in every
    ]
    for work in works:
        print(json.dumps(times(work)), flush=True)
    for work in works:
        if work.size == works[0].size and work.precision == works[0].precision:
            print(f"\n{work.title}\n{kernels(work)}", flush=True)


if __name__ == "__main__":
    main()
