"""Pictures of a training: random crops, which follow from the seed and the number of the step."""

import functools
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from stylebench import images
from stylebench.images import ImageSource, Role
from stylebench.stylisers.card import Data

NAMED = 20
"""Pictures that a card names; of more it has the number and the digest."""
KEPT = 512
"""Pictures that are kept in memory, 0.8 MB each at 512 × 512 px."""
ROLES: tuple[Role, Role] = ("content", "style")


@functools.lru_cache(maxsize=KEPT)
def _pixels(ref: str, size: int) -> images.Picture:
    return images.read(ref, size, resize="squash")


@dataclass(frozen=True)
class Pool:
    """The pictures of one role, squashed to size × size px, of which crops are drawn."""

    role: Role
    sources: tuple[ImageSource, ...]
    size: int
    crop: int

    def draw(self, seed: int, step: int, count: int) -> Tensor:
        """Return random crops of random pictures: (count, 3, crop, crop), in [0, 1].

        They are the same for the same seed and step, whatever was drawn before.
        """
        random = np.random.default_rng([seed, step, ROLES.index(self.role)])
        found = []
        for chosen in random.integers(len(self.sources), size=count):
            top, left = random.integers(self.size - self.crop + 1, size=2)
            whole = _pixels(self.sources[chosen].ref, self.size)
            found.append(whole[top : top + self.crop, left : left + self.crop])
        return torch.from_numpy(np.stack(found)).permute(0, 3, 1, 2).float() / 255

    def data(self) -> Data:
        """Return what a card says of the pictures; InputError for one that cannot be read."""
        digests = [images.digest(source.ref, self.size) for source in self.sources]
        names = tuple(source.name[:200] for source in self.sources)
        digest = hashlib.sha256("\n".join(digests).encode()).hexdigest()[:32]
        return Data(count=len(names), names=names if len(names) <= NAMED else (), digest=digest)


def pool(
    role: Role, values: Sequence[str], size: int, crop: int, tell: Callable[[str], None]
) -> Pool:
    """Return the pictures that files, folders and built-in names stand for.

    Raises:
        InputError: a name that is none of these, or a folder without pictures.
    """
    found = [source for value in values for source in images.resolve(value, role, tell)]
    return Pool(role, tuple(images.unique_names(found)), size, crop)
