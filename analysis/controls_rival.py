"""Rival explanations of why ResNets stylise badly: what each changes, against the plain network."""

import pandas as pd
from matplotlib.figure import Figure

from stylebench.figures import NoDataError, figure, table
from stylebench.figures.arms import judged
from stylebench.figures.claims import ARM, arm, by_pair, claims, differences
from stylebench.figures.dots import dots
from stylebench.store import Results

NAMES = {
    "activation=leaky": "LeakyReLU",
    "downsample=blur": "blurred downsampling",
    "fourier": "Fourier parameterisation",
    "softmax": "softmax smoothing",
    "robust": "robust weights",
    "yardstick": "VGG-19 instead",
}
"""What tells an arm from the plain one -> name of its row."""


def rivals(frame: pd.DataFrame) -> pd.DataFrame:
    """Return which arm stands against which plain one, and what was changed.

    The plain arm is the same network without options, with pixels and without smoothing; for
    robust weights it is ResNet-50. The yardstick is VGG-19 in place of ResNet-50, both plain.

    Args:
        frame: of `judged`.

    Returns:
        Columns a, b (names of arms), change (of `NAMES`) and plain (the network of b).
    """
    rows = []
    for _, row in frame[ARM].drop_duplicates("arm").sort_values("arm").iterrows():
        change, network = _change(row), str(row["arch"]).replace("robust-resnet50", "resnet50")
        if change == "yardstick":
            network = network.replace("vgg19", "resnet50")
        plain = _plain(frame, network)
        if change and plain and plain != row["arm"]:
            rows.append((str(row["arm"]), plain, NAMES[change], network))
    return pd.DataFrame(rows, columns=["a", "b", "change", "plain"])


def _plain(frame: pd.DataFrame, network: str) -> str:
    found = frame[frame["setting"] != "fourier"]
    return arm(found, backbone=network, smoothing="none")


def _change(row: pd.Series) -> str:
    """Return what tells an arm from the plain one, "" if nothing known does."""
    told = f"{row['backbone']}, {row['smoothing']}, {row['setting']}"
    found = next((key for key in NAMES if key in told), "")
    return found or ("yardstick" if row["backbone"] in ("p-vgg19", "r-vgg19") else "")


@figure("controls_rival", experiment="controls_rival")
def controls_rival(results: Results) -> Figure:
    """What each rival explanation changes in the scores, pair by pair, beside VGG-19's lead."""
    frame = judged(results)
    found = rivals(frame)
    values = differences(by_pair(frame), zip(found["a"], found["b"], strict=True))
    if not len(values):
        raise NoDataError("no arm of these results has a plain one beside it")
    told = found.set_index("a").loc[values["arm"].astype(str).tolist()]
    groups = [f"against {name}" for name in told["plain"]]
    values = values.assign(
        plain=pd.Categorical(groups, sorted(set(groups))),
        change=pd.Categorical(told["change"].tolist(), list(NAMES.values())),
    )
    title = "Differences from the plain network: pixels, no smoothing, no option"
    return dots(results, title, values, group="plain", row="change", what="Differences. ")


@table("controls_rival", experiment="controls_rival")
def against_the_plain_network(results: Results) -> pd.DataFrame:
    """Each rival against the plain network by pairs, and how much of VGG-19's lead it makes up.

    of_gap: difference / (VGG-19 − plain network) in the same metric under the same judge, both
    means over the pairs; empty where the comparison does not favour VGG-19. The other
    columns are those of the table ``comparisons``; p is not corrected for their number.
    """
    frame = judged(results)
    found = rivals(frame)
    made = claims(frame, list(zip(found["a"], found["b"], strict=True)))
    return made.assign(of_gap=_of_gap(made, found))


def _of_gap(made: pd.DataFrame, found: pd.DataFrame) -> "pd.Series[float]":
    """Return each difference over the lead of the yardstick; NaN where it has no clear one."""
    yardsticks = found.loc[found["change"].eq(NAMES["yardstick"]), "a"]
    gap = made[made["a"].isin(yardsticks) & made["favours"].eq(made["a"])]
    keys = ["b", "metric", "judge", "judge_weights"]
    lead = gap.set_index(keys)["difference"]
    keyed = pd.MultiIndex.from_frame(made[keys].astype(str))
    lead.index = pd.MultiIndex.from_frame(gap[keys].astype(str))
    shares: pd.Series[float] = made["difference"] / lead.reindex(keyed).to_numpy()
    return shares
