"""What is told of a stylisation while it is made: one evaluation, and the best picture so far."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import PIL.Image
from torch import Tensor

from stylebench.images.given import to_pixels

if TYPE_CHECKING:  # else a styliser that needs no backbone would load them all
    from stylebench.transfer.objective import Evaluation, Objective


@dataclass(frozen=True)
class Step:
    """One closure evaluation of one picture; what is asked of it is computed then.

    Attributes:
        number: of the evaluation, from 1.
        evals: the most that there will be.
        index: of the picture in its batch.
    """

    number: int
    evals: int
    index: int
    _objective: "Objective"
    _best: Tensor
    _made: Callable[[], Tensor]

    @property
    def losses(self) -> "Evaluation":
        """The losses of this evaluation."""
        return self._objective.losses(self.index, self.number - 1)

    @property
    def initial(self) -> "Evaluation":
        """The losses of the first evaluation."""
        return self._objective.losses(self.index, 0)

    @property
    def best(self) -> "Evaluation":
        """The losses of the best evaluation so far."""
        return self._objective.losses(self.index, int(self._best))

    @property
    def tensor(self) -> Tensor:
        """The best picture so far, (1, 3, H, W), in [0, 1]."""
        return self._made()

    @property
    def image(self) -> PIL.Image.Image:
        """The best picture so far, of Pillow's, 8-bit RGB."""
        return PIL.Image.fromarray(to_pixels(self.tensor))


Watcher = Callable[[Step], bool | None]
"""Called after each evaluation with what there is; True ends the optimisation."""
