"""Pretrained weights: where they come from, whether they fit, and what identifies them."""

from stylebench.weights.files import KNOWN_FILES, check, load_state, sha256, used_state
from stylebench.weights.hub import timm_file
from stylebench.weights.sources import (
    ENVIRONMENT,
    URL,
    Source,
    check_name,
    find,
    parse,
    parse_given,
    resolve,
)

__all__ = [
    "ENVIRONMENT",
    "KNOWN_FILES",
    "URL",
    "Source",
    "check",
    "check_name",
    "find",
    "load_state",
    "parse",
    "parse_given",
    "resolve",
    "sha256",
    "timm_file",
    "used_state",
]
