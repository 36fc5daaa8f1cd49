"""Metrics of a result: how near it is to the style, and how much of the content it kept.

Judged by what was not optimised: networks other than the job's own (`stylebench.measures.judges`),
and statistics that need no network. All take pictures (1, 3, H, W), RGB in [0, 1], in float32: the
result and the content have one size, the style may have another. No single one is "the quality".

To add one: a function decorated with ``@metric(name, better=…, about=…)`` that takes the result,
the content, the style and, with ``needs="backbone"``, a `judges.Judge`.
"""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.weak import WeakTensorKeyDictionary

from stylebench.measures.moments import MOST, closeness
from stylebench.registry import Registry, check_function, check_number
from stylebench.runtime import float64
from stylebench.transfer.colours import LUMA

if TYPE_CHECKING:
    from stylebench.measures.judges import Judge, Lpips

Better = Literal["lower", "higher"]
About = Literal["style", "content", "colour"]
Needs = Literal["", "backbone", "lpips"]
Function = Callable[..., float]

DIRECTIONS = 32
"""Of projection in a sliced Wasserstein distance, drawn once from a fixed seed."""
QUANTILES = 1024
"""At which a distribution is sampled, so that pictures of different sizes compare."""
TEXTURE_SIDE, TEXTURE_SCALES = 64, 3
"""Shortest side in px and scales of the Portilla–Simoncelli statistics; four need 128 px."""
MS_SSIM_SIDE = 176
"""Shortest side in px for MS-SSIM: a window of 11 px after halving four times."""
MS_SSIM_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


@dataclass(frozen=True)
class Metric:
    """A named metric: what computes it, which direction is better, what it is about and needs."""

    compute: Function
    better: Better
    about: About
    needs: Needs = ""


METRICS: Registry[Metric] = Registry("metric")


def metric(
    name: str, *, better: Better, about: About, needs: Needs = ""
) -> Callable[[Function], Function]:
    """Register a metric, and beside one that is a distance to the style, ``NAME_share``.

    A distance is lower where it is better, and not about the content.

    Raises:
        InputError: it takes something else than pictures and, if it `needs` one, a judge, or has no
            docstring.
    """

    def decorate(function: Function) -> Function:
        check_function("metric", name, function, "result, content, style" + ", judge" * bool(needs))
        METRICS.add(name, Metric(function, better, about, needs))
        if about != "content" and better == "lower":
            METRICS.add(f"{name}_share", Metric(_share(name, function), "higher", about, needs))
        return function

    return decorate


def _share(name: str, distance: Function) -> Function:
    """Return the share of a distance between content and style that the result has covered."""

    def share(result: Tensor, content: Tensor, style: Tensor, *judge: object) -> float:
        start, end = (
            check_number(distance(picture, content, style, *judge), METRICS.called(name))
            for picture in (content, result)
        )
        return 1 - end / start if start else math.nan

    share.__doc__ = f"""Style reconstruction share, 1 − d(result)/d(content), d = {name}; up to 1.

        Higher is better: 0 is the content picture, 1 the style's own; negative where the result is
        further from the style than the content was; NaN where the content is at no distance.
        """
    return share


def remembered(function: Callable[[Tensor], Any]) -> Callable[[Tensor], Any]:
    """Keep what a function makes of a picture for as long as the picture is in use."""
    known = WeakTensorKeyDictionary()

    @functools.wraps(function)
    def found(picture: Tensor) -> Any:
        if picture not in known:
            known[picture] = function(picture)
        return known[picture]

    return found


def luminance(picture: Tensor) -> Tensor:
    """Return Y = 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601), (1, 1, H, W), in [0, 1]."""
    weights = torch.tensor(LUMA, dtype=picture.dtype, device=picture.device)
    return (picture * weights.view(1, 3, 1, 1)).sum(dim=1, keepdim=True)


@functools.cache
def directions(dimensions: int) -> Tensor:
    """Return `DIRECTIONS` unit vectors, uniform on the sphere and always the same: (K, D)."""
    generator = torch.Generator().manual_seed(0)
    return functional.normalize(torch.randn(DIRECTIONS, dimensions, generator=generator), dim=1)


def quantiles(points: Tensor) -> Tensor:
    """Return the sampled inverse distribution functions of M points' projections.

    Args:
        points: (D, M).

    Returns:
        (K, Q) for K directions: the values at the levels (q + ½)/Q, in ascending order.
    """
    values = (directions(len(points)).to(points) @ points).sort(dim=1).values
    levels = (torch.arange(QUANTILES, device=points.device) + 0.5) / QUANTILES
    return values[:, (levels * points.shape[1]).long()]


def sliced_distance(a: Tensor, b: Tensor) -> float:
    """Return the mean over directions of the Wasserstein-1 distance of two `quantiles`."""
    return float(float64(a - b).abs().mean())


@metric("gram", better="lower", about="style", needs="backbone")
def gram(result: Tensor, content: Tensor, style: Tensor, judge: "Judge") -> float:
    """Relative Gram distance under a judge: mean over its style nodes of ‖G − A‖²/‖A‖². In [0, ∞).

    G and A are the Gram matrices per position of the result and the style. 0 is the style's own
    statistics, 1 the distance of a map that is zero everywhere. Lower is better. NaN where a map
    of the style is zero everywhere. Source: Gatys et al. 2016, eq. (4), each term relative.
    """
    pairs = zip(judge.see(result).moments, judge.see(style).moments, strict=True)
    terms = [(g.gram - a.gram).square().sum() / a.gram.square().sum() for g, a in pairs]
    return float(torch.stack(terms).mean())


@metric("swd", better="lower", about="style", needs="backbone")
def swd(result: Tensor, content: Tensor, style: Tensor, judge: "Judge") -> float:
    """Relative sliced Wasserstein distance of a judge's features, averaged over nodes. In [0, ∞).

    Σ_k W₁(θ_k·F, θ_k·F_s) / Σ_k W₁(0, θ_k·F_s), of the feature vectors at all positions, along 32
    fixed random directions θ_k, W₁ from 1024 quantiles. 0: equal distributions along all of them;
    1: the distance of a map that is zero everywhere. Lower is better. NaN where a map of the style
    is zero everywhere. Source: Heitz et al. 2021 (there W₂², not relative).
    """
    pairs = zip(judge.see(result).projections, judge.see(style).projections, strict=True)
    terms = [(a - b).abs().mean() / b.abs().mean() for a, b in pairs]
    return float(torch.stack(terms).mean())


@metric("effectiveness", better="higher", about="style", needs="backbone")
def effectiveness(result: Tensor, content: Tensor, style: Tensor, judge: "Judge") -> float:
    """Base effectiveness E: mean over a judge's style nodes of −ln KL(N(result) ‖ N(style)).

    N: the Gaussian fitted to the feature vectors at all positions, along at most 32, 48, 128, 256
    and 256 principal directions of the style's, stages 0 to 4; at most one for 4 positions of the
    smaller map, and none that holds under 1e-4 of the style's variance. Higher is better; up to
    13.8, the style itself, as KL counts as 1e-6 at least. NaN where a map is constant or has under
    4 positions. Not calibrated, and no share of a way. Source: Yeh et al. 2020 (there VGG-19 and
    the principal directions of reference pictures).
    """
    pairs = zip(judge.see(result).moments, judge.see(style).moments, judge.stages, strict=True)
    terms = [closeness(seen, target, MOST[stage]) for seen, target, stage in pairs]
    return math.fsum(terms) / len(terms)


@metric("texture", better="lower", about="style")
def texture(result: Tensor, content: Tensor, style: Tensor) -> float:
    """Distance of Portilla–Simoncelli texture statistics of the luminance, in [0, 1].

    Mean over the groups of statistics (moments, auto-correlations, correlations across scales and
    orientations …) of ‖a − b‖/(‖a‖ + ‖b‖), so that no group outweighs the others; 3 scales, 4
    orientations, 7 px wide; the middle of the picture, cropped to multiples of 8 px. Lower is
    better. NaN under 64 px. Source: Portilla & Simoncelli 2000; plenoptic computes them.
    """
    if min(*result.shape[2:], *style.shape[2:]) < TEXTURE_SIDE:
        return math.nan
    terms = []
    for a, b in zip(_texture(result), _texture(style), strict=True):
        total = a.norm() + b.norm()
        terms.append((a - b).norm() / total if total else total)
    return float(torch.stack(terms).mean())


@functools.lru_cache(maxsize=8)
def _texture_model(height: int, width: int) -> Any:
    from plenoptic.models import PortillaSimoncelli

    model = PortillaSimoncelli(
        (height, width), n_scales=TEXTURE_SCALES, n_orientations=4, spatial_corr_width=7
    )
    return model.double()


@remembered
def _texture(picture: Tensor) -> list[Tensor]:
    """Return the statistics of the middle of a picture by group, in float64, without redundancy.

    What is not defined, as the correlation of a band without energy, counts as zero.
    """
    height, width = (side // 2**TEXTURE_SCALES * 2**TEXTURE_SCALES for side in picture.shape[2:])
    top, left = (picture.shape[2] - height) // 2, (picture.shape[3] - width) // 2
    grey = luminance(picture.cpu().double())[..., top : top + height, left : left + width]
    model = _texture_model(height, width)
    with torch.no_grad():
        groups = model.convert_to_dict(model(grey)).values()
    return [torch.nan_to_num(group.flatten(), nan=0.0, posinf=0.0, neginf=0.0) for group in groups]


@metric("colour", better="lower", about="colour")
def colour(result: Tensor, content: Tensor, style: Tensor) -> float:
    """Sliced Wasserstein distance of the pixels' colours in CIELAB, in [0, ∞), in units of ΔE.

    Mean over 32 fixed random directions of W₁ from 1024 quantiles; where pixels lie does not count.
    Lower is better; about 1 is just noticeable. Source: Rabin et al. 2012, Bonneel et al. 2015.
    """
    return sliced_distance(_colours(result), _colours(style))


@remembered
def _colours(picture: Tensor) -> Tensor:
    from skimage.color import rgb2lab

    lab = rgb2lab(picture[0].permute(1, 2, 0).cpu().double().numpy())
    return quantiles(torch.from_numpy(lab.reshape(-1, 3).T.copy()))


@metric("ssim", better="higher", about="content")
def ssim(result: Tensor, content: Tensor, style: Tensor) -> float:
    """Structural similarity of the luminances of result and content, in [−1, 1]; 1 if they are one.

    Gaussian window of 11 px, σ = 1.5, K₁ = 0.01, K₂ = 0.03; mean over the places where the window
    fits. Higher is better. Source: Wang et al. 2004; torchmetrics computes it.
    """
    return _similarity(luminance(float64(result)), luminance(float64(content)))[0]


@metric("ms_ssim", better="higher", about="content")
def ms_ssim(result: Tensor, content: Tensor, style: Tensor) -> float:
    """Multi-scale structural similarity of the luminances, Π s_j^β_j over five scales, in [0, 1].

    s_5 is ``ssim`` at the coarsest scale, s_1 to s_4 are its contrast and structure term, β =
    0.0448, 0.2856, 0.3001, 0.2363, 0.1333; negative ones count as 0. Higher is better. NaN where
    the short side is under 176 px. Source: Wang et al. 2003; torchmetrics computes the scales.
    """
    if min(result.shape[2:]) < MS_SSIM_SIDE:
        return math.nan
    a, b, found = luminance(float64(result)), luminance(float64(content)), 1.0
    for beta in MS_SSIM_WEIGHTS[:-1]:
        found *= max(_similarity(a, b)[1], 0.0) ** beta
        a, b = functional.avg_pool2d(a, 2), functional.avg_pool2d(b, 2)
    return float(found * max(_similarity(a, b)[0], 0.0) ** MS_SSIM_WEIGHTS[-1])


def _similarity(a: Tensor, b: Tensor) -> tuple[float, float]:
    """Return SSIM and its contrast and structure term, both where the window of 11 px fits.

    torchmetrics' own mean of SSIM counts the border too, on a mirrored picture.
    """
    from torchmetrics.functional.image import structural_similarity_index_measure as similarity

    whole = similarity(a, b, data_range=1.0, return_full_image=True)[1]
    term = similarity(a, b, data_range=1.0, return_contrast_sensitivity=True)[1]
    return float(whole[..., 5:-5, 5:-5].mean()), float(term.mean())


@metric("edges", better="higher", about="content")
def edges(result: Tensor, content: Tensor, style: Tensor) -> float:
    """Edge agreement: Pearson's correlation of Sobel magnitudes of the luminances, in [−1, 1].

    1: edges in the same places with proportional strengths. Higher is better. NaN where a picture
    has no edge. Source: the edge preservation index of Sattar et al. 1997, with Sobel's gradient
    in place of the Laplacian; the border of 1 px is left out.
    """
    a, b = (_sobel(picture) - _sobel(picture).mean() for picture in (result, content))
    norm = a.norm() * b.norm()
    return float((a * b).sum() / norm) if norm else math.nan


@remembered
def _sobel(picture: Tensor) -> Tensor:
    """Return the magnitude of Sobel's gradient of the luminance, (1, 1, H − 2, W − 2)."""
    across = torch.tensor([[1.0, 0, -1], [2, 0, -2], [1, 0, -1]], dtype=torch.float64)
    kernels = torch.stack([across, across.T]).unsqueeze(1)
    gradient = functional.conv2d(luminance(picture.cpu().double()), kernels)
    return gradient.square().sum(dim=1, keepdim=True).sqrt()


@metric("lpips", better="lower", about="content", needs="lpips")
def lpips(result: Tensor, content: Tensor, style: Tensor, judge: "Lpips") -> float:
    """Learned perceptual distance of result and content (LPIPS v0.1, AlexNet), about [0, 1].

    Weighted squared differences of normalised features. Lower is better. Only where AlexNet's
    weights are in torchvision's cache. Source: Zhang et al. 2018; torchmetrics computes it.
    """
    return judge.distance(result, content)


def measure(
    name: str,
    result: Tensor,
    content: Tensor,
    style: Tensor,
    judge: "Judge | Lpips | None" = None,
) -> float:
    """Return the value of one metric; NaN where it is not defined for these pictures.

    Args:
        name: of the metric.
        result: (1, 3, H, W), RGB in [0, 1].
        content: (1, 3, H, W), of the same size.
        style: (1, 3, H', W').
        judge: what the metric needs (`Metric.needs`).

    Raises:
        InputError: no such metric, or a picture too small for the judge.
    """
    found = METRICS[name]
    value = found.compute(result, content, style, *([judge] if found.needs else []))
    return check_number(value, METRICS.called(name))
