"""What the fuzzed inputs share: a case, and damage to bytes that any format can suffer."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Literal

Kind = Literal["images", "yamls", "weights"]
CANARY = "canary"
"""A file that is there if an input was executed."""


@dataclass(frozen=True)
class Case:
    """One hostile input: `name` of the file, its `data`, and what was done to it."""

    kind: Kind
    number: int
    name: str
    data: bytes
    mutation: str

    @property
    def label(self) -> str:
        """How ``--only`` names it: ``images/17``."""
        return f"{self.kind}/{self.number}"


def dice(kind: Kind, seed: int, number: int) -> Random:
    """Return the random numbers of a case, which no other case changes."""
    return Random(f"{seed} {kind} {number}")


def truncated(data: bytes, random: Random) -> bytes:
    """Return the first part."""
    return data[: random.randrange(len(data) + 1)]


def flipped(data: bytes, random: Random, most: int = 40, within: int | None = None) -> bytes:
    """Return the data with 1 to `most` bits flipped, in the first `within` bytes if given."""
    changed = bytearray(data)
    end = min(within or len(data), len(data))
    for _ in range(random.randint(1, most)):
        changed[random.randrange(end)] ^= 1 << random.randrange(8)
    return bytes(changed)


def header_flipped(data: bytes, random: Random) -> bytes:
    """Return the data with a few bits of the first 64 bytes flipped."""
    return flipped(data, random, most=4, within=64)


def _span(data: bytes, random: Random) -> tuple[int, int]:
    start = random.randrange(len(data))
    return start, min(len(data), start + random.randint(1, max(len(data) // 4, 1)))


def zeroed(data: bytes, random: Random) -> bytes:
    """Return the data with a part set to zero."""
    start, end = _span(data, random)
    return data[:start] + bytes(end - start) + data[end:]


def cut(data: bytes, random: Random) -> bytes:
    """Return the data without a part."""
    start, end = _span(data, random)
    return data[:start] + data[end:]


def repeated(data: bytes, random: Random) -> bytes:
    """Return the data with a part that stands twice."""
    start, end = _span(data, random)
    return data[:end] + data[start:]


def noisy(data: bytes, random: Random) -> bytes:
    """Return the data with a part replaced by noise."""
    start, end = _span(data, random)
    return data[:start] + random.randbytes(end - start) + data[end:]


DAMAGE: tuple[Callable[[bytes, Random], bytes], ...] = (
    truncated,
    flipped,
    header_flipped,
    zeroed,
    cut,
    repeated,
    noisy,
)
