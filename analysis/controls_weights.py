"""Is it the weights of the layers? Nominal, relative and gradient-matched terms of the loss."""

import pandas as pd
from matplotlib.figure import Figure

from stylebench.figures import figure, table
from stylebench.figures.arms import judged
from stylebench.figures.claims import against, against_none, claims
from stylebench.figures.effects import effects
from stylebench.store import Results

BALANCES = {
    "target": "relative\nterms",
    "gradient": "gradient-\nmatched",
    "none": "nominal\n(paper)",
}


def _settings(frame: pd.DataFrame) -> dict[str, str]:
    """Return balance -> setting, for those that are there."""
    known = frame[["balance", "setting"]].astype(str).drop_duplicates("balance")
    found = dict(zip(known["balance"], known["setting"], strict=True))
    return {balance: found[balance] for balance in BALANCES if balance in found}


@figure("controls_weights", experiment="controls_weights")
def controls_weights(results: Results) -> Figure:
    """Scores by how the terms of the loss are weighted, with and without softmax."""
    labels = {text: BALANCES[key] for key, text in _settings(judged(results)).items()}
    return effects(results, "How the terms of the loss are weighted", "setting", labels)


@table("controls_weights", experiment="controls_weights")
def against_relative_terms(results: Results) -> pd.DataFrame:
    """Softmax against none under each weighting; each weighting against relative terms; by pairs.

    The columns are those of the table ``comparisons``; p is not corrected for their number.
    """
    frame = judged(results)
    target = _settings(frame).get("target", "")
    return claims(frame, against_none(frame) + against(frame, "setting", lambda _: target))
