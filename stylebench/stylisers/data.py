"""Pictures of a training: random crops, which follow from the seed and the number of the step."""

import functools
import hashlib
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from stylebench import images
from stylebench.errors import InputError
from stylebench.images import ROLES, Role
from stylebench.stylisers.card import Data

NAMED = 20
"""Pictures that a card names; of more it has the number and the digest."""
KEPT = 512
"""Pictures that are kept in memory, 0.8 MB each at 512 × 512 px."""
MANY = 500
"""Pictures of which it is told that they are read."""


@functools.lru_cache(maxsize=KEPT)
def _pixels(ref: str, size: int) -> images.Picture:
    return images.read(ref, size, resize="squash")


class Pool:
    """The pictures of one role, squashed to size × size px, of which crops are drawn.

    Files are read whole at the start, and decoded when they are drawn. In place of one that is no
    picture the next one is taken, so that draws follow from the files' bytes alone.

    Args:
        role: of the pictures.
        values: files, folders and built-in names.
        size: of the squashed pictures in px.
        crop: of what is drawn.
        tell: called with lines: what of a folder is left out, what is no picture.

    Attributes:
        data: what a card says of the pictures.

    Raises:
        InputError: a name that is none of these, a folder without pictures, a file that cannot be
            read; none is a picture.
    """

    def __init__(
        self, role: Role, values: Sequence[str], size: int, crop: int, tell: Callable[[str], None]
    ) -> None:
        found = [source for value in values for source in images.resolve(value, role, tell)]
        self.role, self._size, self._crop, self._tell = role, size, crop, tell
        self._sources = images.unique_names(found)
        if len(found) >= MANY:
            tell(f"{role}: reading {len(found):,} files …")
        self._digests = [images.digest(source.ref, size) for source in self._sources]
        self._bad: dict[int, str] = {}
        names = tuple(source.name[:200] for source in self._sources)
        digest = hashlib.sha256("\n".join(self._digests).encode()).hexdigest()[:32]
        few = names if len(names) <= NAMED else ()
        self.data = Data(count=len(names), names=few, digest=digest)
        self._whole(0)

    def draw(self, seed: int, step: int, count: int) -> Tensor:
        """Return random crops of random pictures: (count, 3, crop, crop), in [0, 1].

        They are the same for the same seed and step, whatever was drawn before.

        Raises:
            InputError: a file was changed since the start.
        """
        random = np.random.default_rng([seed, step, ROLES.index(self.role)])
        found = []
        for chosen in random.integers(len(self._sources), size=count):
            top, left = random.integers(self._size - self._crop + 1, size=2)
            whole = self._whole(int(chosen))
            found.append(whole[top : top + self._crop, left : left + self._crop])
        return torch.from_numpy(np.stack(found)).permute(0, 3, 1, 2).float() / 255

    def first(self, count: int) -> list[str]:
        """Return what the first pictures are referred to by, at most so many."""
        found: list[str] = []
        for number, source in enumerate(self._sources):
            if len(found) < count and self._read(number) is not None:
                found.append(source.ref)
        return found

    def _whole(self, chosen: int) -> images.Picture:
        """Return a picture: the chosen one, or the next that is one."""
        for number in (*range(chosen, len(self._sources)), *range(chosen)):
            if (picture := self._read(number)) is not None:
                return picture
        raise InputError(f"{self.role}: no file is a picture: {next(iter(self._bad.values()))}")

    def _read(self, number: int) -> images.Picture | None:
        """Return a picture, None for a file that is none; InputError for one that was changed."""
        ref = self._sources[number].ref
        if number not in self._bad:
            try:
                return _pixels(ref, self._size)
            except InputError as error:
                self._bad[number] = str(error)
            if images.digest(ref, self._size) != self._digests[number]:
                raise InputError(f"{self._bad[number]}; it was changed since the training began")
            self._tell(f"{self._bad[number]}; another is taken in its place")
        return None
