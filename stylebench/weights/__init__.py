"""Pretrained weights: where they come from, whether they fit, and what identifies them.

Nothing here knows a backbone: `stylebench.backbones.pretrained` asks for those of one.
"""

from stylebench.weights.files import (
    KNOWN_FILES,
    Architecture,
    check,
    load_state,
    sha256,
    used_state,
)
from stylebench.weights.hub import timm_file
from stylebench.weights.sources import ENVIRONMENT, URL, Source, Wanted, find, parse

__all__ = [
    "ENVIRONMENT",
    "KNOWN_FILES",
    "URL",
    "Architecture",
    "Source",
    "Wanted",
    "check",
    "find",
    "load_state",
    "parse",
    "sha256",
    "timm_file",
    "used_state",
]
