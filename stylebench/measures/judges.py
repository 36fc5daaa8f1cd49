"""Judges: networks that see the pictures as the metrics need it, and which of them a folder gets.

A judge is never the job's own network, with whatever weights: vgg19 does not judge what was
optimised under vgg19. It computes in fp32 and without smoothing.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from stylebench import runtime
from stylebench.backbones import pretrained
from stylebench.backbones.extractor import Backbone, build
from stylebench.backbones.names import BackboneName, find, listed
from stylebench.config import WeightsRef, check_arguments
from stylebench.errors import InputError, UnavailableError, of_python
from stylebench.images import ROLES, Resize, to_tensor
from stylebench.measures.metrics import METRICS, Needs, measure, quantiles, remembered
from stylebench.measures.moments import Moments
from stylebench.runtime import float64
from stylebench.transfer.stylize import Stylization

PRETRAINED = ("p-vgg19", "p-resnet50", "p-timm:efficientnet_lite0")
"""Judges by default, of three families, where their weights are on this machine."""
RANDOM = ("r-vgg19", "r-resnet50", "r-densenet121", "r-googlenet", "r-squeezenet1_1")
"""What is taken beside them while there are too few, in this order; seed 0."""
ENOUGH = 2
"""So many judges at least judge a job; if possible the same ones judge all jobs."""


@dataclass(frozen=True)
class Sight:
    """What a judge sees in a picture: by style node moments, and quantiles of projections.

    `projections` are (K, Q) as `metrics.quantiles` gives them, in float64.
    """

    moments: tuple[Moments, ...]
    projections: tuple[Tensor, ...]


class Judge:
    """A backbone that judges. Its name and the identity of its weights stand beside every value.

    Args:
        name: ``p-…`` or ``r-…``, as ``stylebench ls archs`` shows it.
        label: identity of the weights.
        backbone: in fp32.
    """

    needs: Needs = "backbone"

    def __init__(self, name: str, label: str, backbone: Backbone) -> None:
        self.name, self.weights, self._backbone = name, label, backbone
        self.see: Callable[[Tensor], Sight] = remembered(self._see)

    def _see(self, picture: Tensor) -> Sight:
        """Return what the judge sees in (1, 3, H, W); InputError if that is too small for it."""
        with torch.no_grad():
            found = self._backbone(picture)
            flat = [found[node.name][0].flatten(1) for node in self._backbone.style]
            moments = tuple(map(Moments.of, flat))
            return Sight(moments, tuple(float64(quantiles(points)) for points in flat))

    @property
    def stages(self) -> tuple[int, ...]:
        """Stage of each style node, 0 to 4."""
        return tuple(node.stage for node in self._backbone.style)


class Lpips:
    """LPIPS with AlexNet; `weights` names the file of AlexNet, the rest is in torchmetrics."""

    needs: Needs = "lpips"
    name = "lpips-alexnet"

    def __init__(self, label: str, device: str = "cpu") -> None:
        from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity

        self.weights = label
        self._distance = LearnedPerceptualImagePatchSimilarity("alex", normalize=True).to(device)

    def distance(self, a: Tensor, b: Tensor) -> float:
        """Return the LPIPS distance of two pictures (1, 3, H, W) in [0, 1]."""
        with torch.no_grad():
            found = float(self._distance(a, b))
        self._distance.reset()
        return found


MadeBy = str | tuple[str, ...]
"""A backbone that a picture was made by, or all of those that a trained network was trained with;
empty where none is known."""


def judged_by(arch: MadeBy, judge: str) -> bool:
    """Tell whether a judge may judge what backbones made: it is another architecture."""
    made = filter(None, (arch,) if isinstance(arch, str) else arch)
    own = {BackboneName.parse(name).architecture for name in made}
    return BackboneName.parse(judge).architecture not in own


def _at_hand(arch: str) -> WeightsRef | None:
    try:
        return pretrained.resolve(arch, 0, offline=True)
    except UnavailableError:
        return None


def _too_few(archs: Collection[MadeBy], judges: Collection[str]) -> bool:
    return any(sum(judged_by(arch, judge) for judge in judges) < ENOUGH for arch in archs)


def choose(archs: Collection[MadeBy]) -> dict[str, WeightsRef]:
    """Return the default judges of jobs with these backbones, name -> weights.

    The pretrained ones whose weights are on this machine, then random ones: first those that can
    judge all jobs, until two do, then others, until every job has two. Nothing is downloaded.
    """
    found = {name: ref for name in PRETRAINED if (ref := _at_hand(name))}

    def common() -> int:
        return sum(all(judged_by(arch, judge) for arch in archs) for judge in found)

    def new(name: str) -> bool:
        return all(judged_by(name, judge) for judge in found)

    for name in filter(new, RANDOM):
        if common() < ENOUGH and all(judged_by(arch, name) for arch in archs):
            found[name] = pretrained.resolve(name, 0)
    for name in filter(new, RANDOM):
        if _too_few(archs, found):
            found[name] = pretrained.resolve(name, 0)
    return found


def named(
    names: Sequence[str], given: Mapping[str, str], *, offline: bool
) -> dict[str, WeightsRef]:
    """Return the judges that a user names, name -> weights.

    Args:
        names: ``p-…`` or ``r-…``; comma lists are split.
        given: name without ``p-`` -> source of its weights.
        offline: never download.

    Raises:
        InputError: an unknown name, or weights given for none of the judges.
        UnavailableError: there are no weights.
    """
    wanted = listed(names)
    for name in wanted:
        if not name.startswith(("p-", "r-")):
            raise InputError(f"--judge expects p-NAME or r-NAME, found {name!r}")
        find(name)
    for name in given:
        if f"p-{name}" not in wanted:
            raise InputError(f"--weights {name}=…: no --judge p-{name}")
    return {name: pretrained.resolve(name, 0, given=given, offline=offline) for name in wanted}


def make(chosen: Mapping[str, WeightsRef], device: str) -> list[Judge]:
    """Build judges on a device, in fp32."""
    return [Judge(n, ref.label, build(n, ref, 0, device=device)) for n, ref in chosen.items()]


def lpips_weights() -> str:
    """Return the identity of AlexNet's weights in torchvision's cache; "" where there are none."""
    try:
        given = {"alexnet": "torchvision:IMAGENET1K_V1"}
        return pretrained.resolve("p-alexnet", 0, given=given, offline=True).label
    except UnavailableError:
        return ""


def lpips(device: str) -> Lpips | None:
    """Return LPIPS where AlexNet's weights are in torchvision's cache, else None."""
    label = lpips_weights()
    return Lpips(label, device) if label else None


@of_python
def judge(
    result: Any,
    content: Any,
    style: Any,
    *,
    judges: str | Sequence[str] = (),
    size: int | None = None,
    resize: Resize = "aspect",
    device: str = "auto",
    offline: bool = True,
) -> pd.DataFrame:
    """Return all metrics of a result.

    Args:
        result: what `stylebench.stylize` returned, or a picture of the content's size.
        content: a picture, as `stylebench.images.to_tensor` takes it.
        style: the same.
        judges: ``p-…`` or ``r-…``; by default see `choose`. None of the result's own architecture,
            where that is known, judges it.
        size: long side of content and style in px; by default the result's for names, files and
            PIL pictures.
        resize: of content and style: ``squash`` for a result that was made with it.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        offline: never download judges' weights.

    Returns:
        A row for each metric and judge: metric, judge, judge_weights (both empty where none is
        needed), value, better (lower or higher), about (style, content or colour).

    Raises:
        InputError: a picture that cannot be read, sizes that differ, or a judge that is not there.
    """
    check_arguments(size=size, resize=resize)
    wanted = [judges] if judges and isinstance(judges, str) else judges
    on = runtime.resolve_device(device)
    runtime.configure()
    arch = result.arch if isinstance(result, Stylization) else ""
    made = (result.tensor if isinstance(result, Stylization) else to_tensor(result)).to(on)
    pair = []
    for picture, role in zip((content, style), ROLES, strict=True):
        fixed = size is None and isinstance(picture, Tensor | np.ndarray)
        side = None if fixed else size or max(made.shape[-2:])
        pair.append(to_tensor(picture, role, side, resize).to(on))
    _check_sizes(made, pair[0], resize)
    chosen = named(wanted, {}, offline=offline) if wanted else choose([arch] if arch else [])
    for name in chosen if wanted else ():
        if not judged_by(arch, name):
            raise InputError(
                f"judge {name} cannot judge what {arch} made, its own architecture; name another, "
                f"as {next(each for each in RANDOM if judged_by(arch, each))}"
            )
    panel: list[Judge | Lpips] = [*make(chosen, on), *filter(None, [lpips(on)])]
    rows = [
        {
            "metric": name,
            "judge": who.name if who else "",
            "judge_weights": who.weights if who else "",
            "value": measure(name, made, pair[0], pair[1], who),
            "better": METRICS[name].better,
            "about": METRICS[name].about,
        }
        for name, who in asked(arch, panel)
    ]
    return pd.DataFrame(rows)


def _check_sizes(made: Tensor, content: Tensor, resize: Resize) -> None:
    if made.shape != content.shape:
        found = " and ".join(f"{p.shape[-1]}×{p.shape[-2]}" for p in (made, content))
        square = made.shape[-1] == made.shape[-2]
        remedy = '; resize="squash" if it was made so' if square and resize == "aspect" else ""
        raise InputError(
            f"judge: expected result and content of one size, found {found} px{remedy}"
        )


def asked(
    arch: MadeBy, panel: Sequence[Judge | Lpips]
) -> Iterator[tuple[str, Judge | Lpips | None]]:
    """Yield every metric of what a backbone made with each judge that may give it.

    Args:
        arch: of the backbone, see `MadeBy`.
        panel: the judges.
    """
    for name, metric in METRICS.items():
        if not metric.needs:
            yield name, None
        for who in panel:
            own = isinstance(who, Judge) and not judged_by(arch, who.name)
            if who.needs == metric.needs and not own:
                yield name, who
