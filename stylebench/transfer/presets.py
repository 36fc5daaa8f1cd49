"""Presets: losses and optimisers of published code, and ours, by name. No torch here."""

import math
from collections.abc import Collection, Mapping
from typing import Any

from pydantic import ValidationError

from stylebench.config import LossSpec, TransferSettings, first_problem
from stylebench.errors import InputError, suggestion

_TORCH = {"line_search": "none", "history": 100, "first_step": "torch"}
"""torch.optim.LBFGS as it is declared."""

PRESETS: dict[str, dict[str, Any]] = {
    # α/β = 1e-3: Gatys et al. 2016, fig. 3; the paper's own ratio is not known.
    "paper": {
        "loss": {"balance": "none", "content_weight": 1.0, "style_weight": 1e3},
        "optimiser": _TORCH,
    },
    # The authors' script: 1 : 1e17, squashed to a square, torch's L-BFGS without line search.
    "released": {
        "loss": {
            "normalisation": "released",
            "balance": "none",
            "content_weight": 1.0,
            "style_weight": 1e17,
        },
        "optimiser": _TORCH,
        "resize": "squash",
    },
    # Chollet's example as it is on keras.io (2020): 1e-6 for five style layers together. The older
    # form, which had scipy's L-BFGS-B, has 0.025, 1 and 1: the same objective times 1e6. There the
    # style picture is squashed to the size of the content.
    "keras": {
        "loss": {
            "normalisation": "keras",
            "balance": "none",
            "content_weight": 2.5e-8,
            "style_weight": 2e-7,
            "tv_weight": 1e-6,
        },
        "optimiser": {"name": "lbfgsb"},
        "resize": "squash",
    },
    # Ours, the defaults of LossSpec and OptimiserSpec: relative errors, so that one setting serves
    # every backbone, and a line search, so that none is lost to a step that goes too far.
    "balanced": {},
    # Ours too: each term divided by its own gradient, so that the layers that carry colour count in
    # every backbone, and the picture as its spectrum, in which far fewer evaluations do
    # (analysis/frontier.py, bench/bakeoff.py).
    "robust": {"loss": {"balance": "gradient"}, "image": "spectrum"},
}
"""What each preset sets; what is given beside it goes before it."""
OF_PRESET = ("loss", "optimiser", "resize", "image")
"""Keys that a preset decides; a preset from the command line replaces them in the file."""


def stronger(loss: LossSpec, strength: float) -> LossSpec:
    """Return a loss with the weight of the style times `strength`.

    Raises:
        InputError: that is no positive number.
    """
    weight = loss.style_weight * strength
    if not strength > 0:
        raise InputError(f"strength: expected a positive number, found {strength:g}")
    if not (weight < math.inf and (weight > 0 or loss.style_weight == 0)):
        told = f"{strength:g}, which makes the style's weight {weight:g}"
        raise InputError(f"strength: expected a positive number of some size, found {told}")
    return loss.model_copy(update={"style_weight": weight})


def settings(
    preset: str, given: Mapping[str, Any], beside: Collection[str] = ()
) -> TransferSettings:
    """Return the settings of a preset with others laid on them.

    Args:
        preset: a key of `PRESETS`.
        given: keys of `TransferSettings`; `loss` and `optimiser` may be some of their own keys.
        beside: other names that an unknown key may be meant for.

    Raises:
        InputError: an unknown preset or key, or a wrong value.
    """
    known = TransferSettings.model_fields
    for key in given:
        if key not in known:
            near = suggestion(key, [*known, *beside])
            names = ", ".join([*known, *beside])
            raise InputError(f"stylize: unknown setting {key!r}{near} (known: {names})")
    if preset not in PRESETS:
        near = suggestion(preset, PRESETS)
        raise InputError(f"unknown preset {preset!r}{near} (known: {', '.join(PRESETS)})")
    base = {key: value for key, value in PRESETS[preset].items() if key in known}
    laid = {
        key: {**base.get(key, {}), **value} if isinstance(value, Mapping) else value
        for key, value in given.items()
    }
    try:
        return TransferSettings.model_validate(base | laid)
    except ValidationError as error:
        path, expected, found = first_problem(error)
        raise InputError(f"stylize: {path}: {expected}, found {found!r:.60}") from None
