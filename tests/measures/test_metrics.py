"""Metrics: independent implementations, and what any metric of style or content must say."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from scipy.stats import kurtosis, skew, wasserstein_distance
from skimage.color import rgb2lab
from skimage.filters import sobel
from skimage.metrics import structural_similarity
from torch import Tensor

from stylebench import images
from stylebench.backbones.extractor import build
from stylebench.backbones.names import BackboneName
from stylebench.config import WeightsRef
from stylebench.errors import InputError
from stylebench.measures import judges, metrics, moments
from stylebench.measures.judges import Judge, Lpips
from stylebench.measures.metrics import METRICS, measure

pytestmark = pytest.mark.usefixtures("one_thread")

Array = np.ndarray[Any, np.dtype[np.float64]]
OF_STYLE = [name for name, m in METRICS.items() if m.about != "content"]
DISTANCES = [name for name in OF_STYLE if not name.endswith("_share")]
OF_CONTENT = [name for name, m in METRICS.items() if m.about == "content" and m.needs != "lpips"]


def picture(name: str, size: int, *, square: bool = False) -> Tensor:
    pixels = images.read(f"builtin:{name}", size, resize="squash" if square else "aspect")
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1).unsqueeze(0).float() / 255


def make_judge(arch: str) -> Judge:
    return Judge(arch, "random:0", build(arch, WeightsRef(source="random:0"), 0))


@pytest.fixture(scope="module")
def judge() -> Judge:
    return make_judge("r-squeezenet1_1")


@pytest.fixture(scope="module")
def content() -> Tensor:
    return picture("coffee", 192, square=True)


@pytest.fixture(scope="module")
def style() -> Tensor:
    return picture("mosaic", 192, square=True)


def grey(image: Tensor) -> Array:
    rgb = image[0].double().numpy()
    return np.asarray(0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2], dtype=np.float64)


# ------------------------------------------------------------------------------ what must hold


def patchwork(image: Tensor, side: int) -> Tensor:
    """Return the square patches of a picture in another order."""
    cells = image.unfold(2, side, side).unfold(3, side, side)
    rows, columns = cells.shape[2:4]
    order = torch.randperm(rows * columns, generator=torch.Generator().manual_seed(1))
    flat = cells.reshape(1, 3, rows * columns, side, side)[:, :, order]
    grid = flat.view(1, 3, rows, columns, side, side).permute(0, 1, 2, 4, 3, 5)
    return grid.reshape(1, 3, rows * side, columns * side).contiguous()


@pytest.mark.parametrize("name", OF_STYLE)
def test_the_style_itself_scores_best_on_style_and_its_patchwork_keeps_the_score(
    name: str, judge: Judge, content: Tensor, style: Tensor
) -> None:
    results = {
        "style": style,
        "patchwork": patchwork(style, 48),
        "mixture": (content + style) / 2,
        "content": content,
    }
    found = {k: measure(name, x, content, style, judge) for k, x in results.items()}
    if name == "effectiveness":  # the logarithm of a distance that counts as 1e-6 at least
        found = {k: math.exp(-value) - moments.LEAST for k, value in found.items()}
    elif METRICS[name].better == "higher":
        found = {k: -value for k, value in found.items()}
    assert min(found, key=lambda k: found[k]) == "style"
    assert max(found.values()) == found["content"]
    best, worst = found["style"], found["content"]
    expected = (-1.0, 0.0) if name.endswith("_share") else (0.0, worst)
    assert (best, worst) == pytest.approx(expected, rel=0, abs=1e-15)
    assert found["patchwork"] - best < 0.35 * (worst - best), found
    assert found["patchwork"] < found["mixture"]


@pytest.mark.parametrize("name", OF_CONTENT)
def test_the_content_itself_scores_best_on_content(
    name: str, content: Tensor, style: Tensor
) -> None:
    noise = torch.randn(content.shape, generator=torch.Generator().manual_seed(0))
    results = [content, (content + 0.05 * noise).clamp(0, 1), 0.5 * (content + style), style]
    found = [measure(name, image, content, style) for image in results]
    assert found == sorted(found, reverse=METRICS[name].better == "higher")
    assert len(set(found)) == len(found)


@pytest.mark.parametrize("name", ["ssim", "ms_ssim", "edges"])
def test_similarity_of_a_picture_with_itself_is_1(
    name: str, content: Tensor, style: Tensor
) -> None:
    assert measure(name, content, content, style) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("name", list(METRICS))
def test_every_metric_says_what_it_is(name: str) -> None:
    entry = METRICS[name]
    text = entry.compute.__doc__ or ""
    told = f"{entry.better.capitalize()} is better"
    assert told in " ".join(text.split())
    assert "Source: " in text or name.endswith("_share")


def test_the_style_may_have_another_size(judge: Judge) -> None:
    content, style = picture("chelsea", 96), picture("mosaic", 128)
    for name in OF_STYLE:
        assert math.isfinite(measure(name, content, content, style, judge)), name


def test_where_a_metric_is_not_defined_it_is_nan(judge: Judge) -> None:
    small, flat = picture("chelsea", 60), torch.full((1, 3, 80, 80), 0.5)
    assert math.isnan(measure("texture", small, small, small))
    assert math.isnan(measure("ms_ssim", flat, flat, flat))
    assert math.isnan(measure("edges", flat, flat, flat))
    assert math.isnan(measure("gram_share", flat, flat, flat, judge))
    assert measure("texture", flat, flat, flat) == 0.0


def test_unknown_metric() -> None:
    image = torch.zeros(1, 3, 16, 16)
    with pytest.raises(InputError, match="unknown metric 'sim'; did you mean 'ssim'"):
        measure("sim", image, image, image)


# ----------------------------------------------------------------------------------- oracles


def maps_of(arch: str, image: Tensor) -> list[Array]:
    backbone = build(arch, WeightsRef(source="random:0"), 0)
    found = backbone(image)
    return [found[n.name][0].flatten(1).double().numpy() for n in backbone.style]


def test_gram_against_numpy(content: Tensor, style: Tensor) -> None:
    terms = []
    for f, s in zip(maps_of("r-tiny", content), maps_of("r-tiny", style), strict=True):
        g, a = (np.einsum("im,jm->ij", x, x) / x.shape[1] for x in (f, s))
        terms.append(((g - a) ** 2).sum() / (a**2).sum())
    found = measure("gram", content, content, style, make_judge("r-tiny"))
    assert found == pytest.approx(np.mean(terms), rel=1e-6)


def projected(points: Array, other: Array) -> Array:
    """Return scipy's distances of two sets of points along the directions: (K,)."""
    along = metrics.directions(len(points)).double().numpy()
    assert np.allclose(np.linalg.norm(along, axis=1), 1, atol=1e-6)
    return np.array([wasserstein_distance(d @ points, d @ other) for d in along])


def test_swd_against_scipy() -> None:
    content, style = picture("chelsea", 96), picture("mosaic", 128)
    terms = [
        projected(f, s).sum() / projected(0 * s[:, :1], s).sum()
        for f, s in zip(maps_of("r-tiny", content), maps_of("r-tiny", style), strict=True)
    ]
    found = measure("swd", content, content, style, make_judge("r-tiny"))
    assert found == pytest.approx(np.mean(terms), rel=1e-2)


def test_colour_against_scipy() -> None:
    content, style = picture("chelsea", 96), picture("mosaic", 128)
    a, b = (
        rgb2lab(x[0].permute(1, 2, 0).double().numpy()).reshape(-1, 3).T for x in (content, style)
    )
    found = measure("colour", content, content, style)
    assert found == pytest.approx(projected(a, b).mean(), rel=2e-3)


def test_quantiles_of_equally_many_points_are_the_exact_distance() -> None:
    draw = torch.Generator().manual_seed(3)
    a, b = (torch.randn(5, metrics.QUANTILES, generator=draw).double() for _ in range(2))
    found = metrics.sliced_distance(metrics.quantiles(a), metrics.quantiles(b))
    assert found == pytest.approx(projected(a.numpy(), b.numpy()).mean(), rel=1e-9)


def test_ssim_against_skimage(content: Tensor, style: Tensor) -> None:
    mixture = 0.7 * content + 0.3 * style
    expected = structural_similarity(
        grey(mixture), grey(content), data_range=1.0, gaussian_weights=True, sigma=1.5,
        use_sample_covariance=False,
    )  # fmt: skip
    assert measure("ssim", mixture, content, style) == pytest.approx(expected, abs=1e-6)


def similarity(a: Array, b: Array) -> tuple[float, float]:
    """Return the means of SSIM and of its contrast and structure term, where the window fits."""

    def blurred(x: Array) -> Array:
        return np.asarray(gaussian_filter(x, 1.5, truncate=3.5)[5:-5, 5:-5])

    mean_a, mean_b = blurred(a), blurred(b)
    var_a, var_b = blurred(a * a) - mean_a**2, blurred(b * b) - mean_b**2
    both = blurred(a * b) - mean_a * mean_b
    term = (2 * both + 0.03**2) / (var_a + var_b + 0.03**2)
    light = (2 * mean_a * mean_b + 0.01**2) / (mean_a**2 + mean_b**2 + 0.01**2)
    return float((light * term).mean()), float(term.mean())


def test_ms_ssim_against_its_formula(content: Tensor, style: Tensor) -> None:
    a, b = grey(0.7 * content + 0.3 * style), grey(content)
    expected, weights = 1.0, (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
    for scale, weight in enumerate(weights):
        whole, term = similarity(a, b)
        expected *= (whole if scale == 4 else term) ** weight
        a, b = (x.reshape(len(x) // 2, 2, len(x) // 2, 2).mean(axis=(1, 3)) for x in (a, b))
    found = measure("ms_ssim", 0.7 * content + 0.3 * style, content, style)
    assert found == pytest.approx(expected, abs=1e-6)


def test_edges_against_skimage(content: Tensor, style: Tensor) -> None:
    mixture = 0.5 * content + 0.5 * style
    a, b = (sobel(grey(image))[1:-1, 1:-1].ravel() for image in (mixture, content))
    expected = np.corrcoef(a, b)[0, 1]
    assert measure("edges", mixture, content, style) == pytest.approx(expected, abs=1e-9)


def test_texture_has_the_moments_of_scipy_and_ignores_shifts(style: Tensor) -> None:
    first = metrics._texture(style)[0].numpy()
    values = grey(style).ravel()
    moments = [values.mean(), values.var(), skew(values), kurtosis(values, fisher=False)]
    assert first[:4] == pytest.approx(moments, rel=1e-2)
    assert first[4:] == pytest.approx([values.min(), values.max()])
    shifted = style.roll((16, 40), dims=(2, 3))
    assert measure("texture", shifted, style, style) < 0.01


def test_lpips_against_its_formula(
    content: Tensor, style: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torchmetrics.functional.image.lpips as module
    import torchvision

    def untrained(**_: object) -> torch.nn.Module:
        torch.manual_seed(0)
        return plain()

    plain: Callable[[], torch.nn.Module] = torchvision.models.alexnet
    monkeypatch.setattr(torchvision.models, "alexnet", untrained)
    a, b = content[..., :64, :64], style[..., :64, :64]
    found = measure("lpips", a, b, style, Lpips("random"))
    path = str(module.__file__).replace("lpips.py", "lpips_models/alex.pth")
    heads = list(torch.load(path, map_location="cpu", weights_only=True).values())
    shift, scale = torch.tensor([-0.030, -0.088, -0.188]), torch.tensor([0.458, 0.448, 0.450])
    expected, layers = 0.0, untrained().features
    x = (torch.cat([a, b]) * 2 - 1 - shift.view(1, 3, 1, 1)) / scale.view(1, 3, 1, 1)
    for index, layer in enumerate(layers):  # type: ignore[arg-type]
        x = layer(x)
        if index in (1, 4, 7, 9, 11):
            unit = x / x.norm(dim=1, keepdim=True)
            apart = (unit[0] - unit[1]).square() * heads.pop(0).view(-1, 1, 1)
            expected += float(apart.sum(dim=0).mean())
    assert found == pytest.approx(expected, rel=1e-4)
    assert measure("lpips", a, a, style, Lpips("random")) == 0.0


def test_what_a_picture_gives_is_forgotten_with_it() -> None:
    calls = []

    @metrics.remembered
    def seen(image: Tensor) -> int:
        calls.append(image.shape)
        return len(calls)

    a, b = torch.zeros(1), torch.zeros(1)
    assert [seen(a), seen(a), seen(b), seen(a)] == [1, 1, 2, 1]
    del a
    assert seen(torch.zeros(1)) == 3


# ------------------------------------------------------------------------------------ judges


@pytest.mark.parametrize(
    ("arch", "name"),
    [
        ("p-vgg19", "vgg19"),
        ("r-timm:resnet50", "resnet50"),
        ("p-timm:resnet50.a1_in1k", "resnet50"),
        ("p-robust-resnet50", "resnet50"),
    ],
)
def test_architecture(arch: str, name: str) -> None:
    assert BackboneName.parse(arch).architecture == name
    assert not judges.judged_by(arch, f"r-{name}")
    assert judges.judged_by(arch, "r-densenet121")


def at_hand(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    def find(arch: str) -> WeightsRef | None:
        return WeightsRef(source="file:x") if arch in names else None

    monkeypatch.setattr(judges, "_at_hand", find)


PAPER = ("p-vgg19", "r-vgg19", "p-resnet50", "r-noresnet50")


@pytest.mark.parametrize(
    ("archs", "weights", "expected"),
    [
        (("r-tiny",), (), ["r-vgg19", "r-resnet50"]),
        (("r-tiny",), judges.PRETRAINED, [*judges.PRETRAINED]),
        (PAPER, (), ["r-densenet121", "r-googlenet"]),
        (PAPER, judges.PRETRAINED, [*judges.PRETRAINED, "r-densenet121"]),
        (PAPER, ("p-vgg19",), ["p-vgg19", "r-densenet121", "r-googlenet"]),
        ([f"r-{n[2:]}" for n in judges.RANDOM], (), ["r-vgg19", "r-resnet50", "r-densenet121"]),
    ],
)
def test_choice_of_judges(
    archs: tuple[str, ...],
    weights: tuple[str, ...],
    expected: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    at_hand(monkeypatch, *weights)
    found = judges.choose(archs)
    assert list(found) == expected
    for arch in archs:
        assert sum(judges.judged_by(arch, name) for name in found) >= judges.ENOUGH


@pytest.mark.usefixtures("no_weights")
def test_without_weights_there_is_no_lpips_and_no_pretrained_judge() -> None:
    assert judges.lpips("cpu") is None
    assert list(judges.choose(["r-tiny"])) == ["r-vgg19", "r-resnet50"]
