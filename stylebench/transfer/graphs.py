"""CUDA graphs: a closure is recorded once and then launched whole, kernel by kernel as it was.

A closure evaluation is some hundreds of kernels, and to launch them one by one takes the CPU longer
than the GPU needs for a single picture, or for a batch of small ones. The kernels of a graph are
those of the closure, on the same numbers in the same order: no result changes.
"""

from collections.abc import Callable

import torch
from torch import Tensor

Closure = Callable[[Tensor], tuple[Tensor, ...]]


class Recorder:
    """Calls a closure, always the same one, as a graph from its second call on, if it is on CUDA.

    At the first call the closure is run on a stream of its own, where libraries choose their
    kernels and make their plans; at the second it is recorded. One that cannot be recorded, because
    it waits for the device as a smoothing of a plug-in may, is called as it is.
    """

    def __init__(self) -> None:
        self._calls = 0
        self._graph: torch.cuda.CUDAGraph | None = None
        self._given = torch.empty(0)
        self._found: tuple[Tensor, ...] = ()

    def __call__(self, closure: Closure, given: Tensor) -> tuple[Tensor, ...]:
        """Return what the closure returns, in tensors of its own.

        Args:
            closure: a function of one tensor that depends on nothing that changes.
            given: of the same shape at every call.
        """
        if not given.is_cuda:
            return closure(given)
        self._calls += 1
        if self._calls == 1:
            return _warm_up(closure, given)
        if self._calls == 2:
            self._record(closure, given)
        if self._graph is None:
            return closure(given)
        self._given.copy_(given)
        self._graph.replay()
        return tuple(each.clone() for each in self._found)

    def _record(self, closure: Closure, given: Tensor) -> None:
        graph, current = torch.cuda.CUDAGraph(), torch.cuda.current_stream(given.device)
        self._given = given.clone()
        try:  # other threads load and save pictures meanwhile, which must not end the recording
            with torch.cuda.graph(graph, capture_error_mode="thread_local"):
                self._found = closure(self._given)
        except RuntimeError:
            torch.cuda.set_stream(current)  # torch leaves its own where the recording fails
            torch.cuda.synchronize(given.device)
        else:
            self._graph = graph


def _warm_up(closure: Closure, given: Tensor) -> tuple[Tensor, ...]:
    """Call a closure on a stream of its own."""
    side = torch.cuda.Stream(given.device)  # type: ignore[no-untyped-call]
    current = torch.cuda.current_stream(given.device)
    side.wait_stream(current)
    with torch.cuda.stream(side):
        found = closure(given)
    current.wait_stream(side)
    given.record_stream(side)
    for each in found:
        each.record_stream(current)
    return found
