"""Pretrained weights: where they come from, whether they fit, and what identifies them.

Nothing here knows a backbone: `stylebench.backbones.pretrained` asks for those of one.
"""

from stylebench.weights.files import KNOWN_FILES, load_state, sha256, used_state
from stylebench.weights.sources import Source, Wanted, find, parse

__all__ = [
    "KNOWN_FILES",
    "Source",
    "Wanted",
    "find",
    "load_state",
    "parse",
    "sha256",
    "used_state",
]
