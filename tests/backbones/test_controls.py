"""Controls: each changes one thing, as its formula says, and nothing else."""

from typing import Any

import pytest
import torch
from scipy import ndimage
from torch import Tensor, nn
from torchvision.models import alexnet, resnet18, resnet50, vgg11

from stylebench import images
from stylebench.backbones import controls, extractor, names, paper
from stylebench.backbones.extractor import build
from stylebench.backbones.spec import ARCHS
from stylebench.config import WeightsRef
from stylebench.errors import InputError
from stylebench.sweeps import plan
from stylebench.sweeps.experiment import load_sweep
from tests.often import often

IMAGE = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def made(function: Any) -> Any:
    torch.manual_seed(0)
    model: nn.Module = function(weights=None)
    return model.eval()


def changed(function: Any, option: str, value: str) -> Any:
    model = made(function)
    controls.CONTROLS[option](model, value)
    return model.eval()


@pytest.mark.parametrize("function", [resnet18, resnet50])
@pytest.mark.parametrize("gamma", ["0.5", "0"])
def test_gamma_scales_the_residual_branch(function: Any, gamma: str) -> None:
    """With γ a block is ReLU(shortcut(x) + γ·R(x)), with the R and the shortcut of γ = 1."""
    plain, scaled = made(function), changed(function, "gamma", gamma)
    for a, b in zip(plain.layer2.children(), scaled.layer2.children(), strict=True):
        branch: list[Tensor] = []
        last = [m for n, m in a.named_children() if n.startswith("bn")][-1]
        hook = last.register_forward_hook(lambda m, i, o, log=branch: log.append(o.clone()))
        x = torch.rand(1, a.conv1.in_channels, 8, 8)
        with torch.no_grad():
            a(x)
            shortcut = x if a.downsample is None else a.downsample(x)
            expected = (shortcut + float(gamma) * branch[0]).relu()
            torch.testing.assert_close(b(x), expected)
        hook.remove()


def test_shortcut_off_is_noresnet() -> None:
    a, b = changed(resnet50, "shortcut", "off"), ARCHS["noresnet50"]
    torch.manual_seed(0)
    with torch.no_grad():
        assert torch.equal(a(IMAGE), b.build().eval()(IMAGE))


def test_shortcut_before_the_relu() -> None:
    """In a stage of two blocks: u1 = s(x) + R1(x), u2 = u1 + R2(ReLU(u1)), feature ReLU(u2)."""
    plain, other = made(resnet18), changed(resnet18, "shortcut", "pre-relu")

    def branch(block: Any, x: Tensor) -> Tensor:
        result: Tensor = block.bn2(block.conv2(block.bn1(block.conv1(x)).relu()))
        return result

    first, second = plain.layer3.children()
    x = torch.rand(1, 128, 8, 8)
    with torch.no_grad():
        u = first.downsample(x) + branch(first, x)
        u = u + branch(second, u.relu())
        assert u.min() < 0
        torch.testing.assert_close(other.layer3(x), u.relu())


def test_average_pooling_keeps_the_windows() -> None:
    model = changed(resnet18, "pool", "avg")
    assert not [m for m in model.modules() if isinstance(m, nn.MaxPool2d)]
    x = torch.ones(1, 64, 9, 9)
    assert torch.equal(model.maxpool(x), made(resnet18).maxpool(x)), "borders are not darkened"
    pool = changed(vgg11, "pool", "avg").features[2]
    x = torch.rand(1, 3, 4, 4)
    torch.testing.assert_close(pool(x), x.unfold(2, 2, 2).unfold(3, 2, 2).mean(dim=(4, 5)))


def blurred(maps: Tensor) -> Tensor:
    """Every second pixel after the filter [1, 2, 1]/4 in both directions, by scipy."""
    found = maps.detach().numpy()
    for axis in (2, 3):
        found = ndimage.convolve1d(found, [0.25, 0.5, 0.25], axis=axis, mode="nearest")
    return torch.from_numpy(found[:, :, ::2, ::2].copy())


def test_blur_pooling_follows_max_pooling() -> None:
    """Of windows of 3 × 3 in a ResNet, of 2 × 2 in a pseudo network."""
    x = torch.rand(1, 64, 9, 12)
    dense = torch.from_numpy(ndimage.maximum_filter(x.numpy(), (1, 1, 3, 3), mode="nearest"))
    pool = changed(resnet18, "downsample", "blur").maxpool
    torch.testing.assert_close(pool(x), blurred(dense))
    model = paper.pseudo_vgg()
    controls.change_downsampling(model, "blur")
    dense = x.unfold(2, 2, 1).unfold(3, 2, 1).amax(dim=(4, 5))
    for pool in (model.maxpool, model.layer2.pool):
        torch.testing.assert_close(pool(x), blurred(dense))


@pytest.mark.parametrize(
    ("function", "stride_in", "strided"),
    [(resnet18, "conv2", 1), (resnet50, "conv2", 2), (resnet50, "conv1", 1)],
)
def test_blur_pooling_follows_the_relu_of_a_strided_convolution(
    function: Any, stride_in: str, strided: int
) -> None:
    plain, other = made(function), made(function)
    options = {"downsample": "blur", "stride_in": stride_in}
    controls.apply(other, options, {"downsample": "strided", "stride_in": "conv2"})
    block = plain.layer2[0]
    for module in block.modules():
        if isinstance(module, nn.Conv2d):
            module.stride = (1, 1)
    x = torch.rand(1, block.conv1.in_channels, 9, 12)
    with torch.no_grad():
        out = x
        for index in (1, 2, 3) if function is resnet50 else (1, 2):
            if index > 1:
                out = out.relu()
                out = blurred(out) if index == strided + 1 else out
            out = getattr(block, f"bn{index}")(getattr(block, f"conv{index}")(out))
        expected = (out + block.downsample(blurred(x))).relu()
        torch.testing.assert_close(other.layer2[0](x), expected, rtol=1e-4, atol=1e-5)
        x = torch.rand(1, 3, 33, 48)
        plain.conv1.stride = (1, 1)
        stem = other.relu(other.bn1(other.conv1(x)))
        torch.testing.assert_close(stem, blurred(plain.bn1(plain.conv1(x)).relu()))


@pytest.mark.parametrize(
    ("name", "other"),
    often(
        {"resnet18", "pseudo-vgg"},
        [
            ("resnet18", {"shortcut": "pre-relu", "activation": "leaky"}),
            ("resnet50", {"gamma": "0.5", "stride_in": "conv1"}),
            ("noresnet50", {}),
            ("pseudo-vgg", {"pool": "avg"}),
            ("pseudo-resvgg", {"shortcut": "off"}),
        ],
    ),
)
def test_blur_pooling_changes_neither_weights_nor_sizes_and_bears_shifts(
    name: str, other: dict[str, str]
) -> None:
    """With other options too, for even and odd sides."""
    arch, side = f"r-{name}", 64
    strided, blur = built(arch, **other), built(arch, **other, downsample="blur")
    for a, b in zip(strided.parameters(), blur.parameters(), strict=True):
        assert torch.equal(a, b)
    photo = torch.from_numpy(images.read("builtin:chelsea", side + 1, resize="squash"))
    photo = photo.permute(2, 0, 1)[None].float() / 255
    changes = []
    with torch.no_grad():
        for size in (slice(side), slice(side - 9)):
            maps = strided(photo[..., size, :]), blur(photo[..., size, :])
            assert {k: v.shape for k, v in maps[0].items()} == {
                k: v.shape for k, v in maps[1].items()
            }
        for features in (strided, blur):
            still, moved = features(photo[..., :-1, :-1]), features(photo[..., 1:, 1:])
            changes.append({k: float((moved[k] - v).norm() / v.norm()) for k, v in still.items()})
    for node in ("stage2", "stage3", "stage4"):
        assert changes[1][node] < 0.7 * changes[0][node], node


def test_leaky_relu_everywhere() -> None:
    model = changed(resnet18, "activation", "leaky")
    assert not [m for m in model.modules() if isinstance(m, nn.ReLU)]
    slopes = {m.negative_slope for m in model.modules() if isinstance(m, nn.LeakyReLU)}
    assert slopes == {0.01}


def built(arch: str, **options: str) -> Any:
    return build(arch, WeightsRef(source="random:0", options=options), 0)


def test_batchnorm_of_the_batch_equals_training_mode() -> None:
    model = made(resnet18).train()
    expected: dict[str, Tensor] = {}
    model.layer2.register_forward_hook(lambda m, i, o: expected.update(x=o.clone()))
    backbone = built("r-resnet18", batchnorm="train")
    with torch.no_grad():
        model((IMAGE - backbone.mean) / backbone.std)
        torch.testing.assert_close(backbone(IMAGE)["stage2"], expected["x"])


@pytest.mark.parametrize("arch", ["r-noresnet50", "r-resnet18"])
def test_calibrated_batchnorm_has_mean_0_and_variance_1_over_the_pictures(
    arch: str,
) -> None:
    """Of every BatchNorm (whose affine part is 1 and 0), over pictures that differ in contrast."""
    scales = torch.tensor([0.2, 0.5, 1.0]).view(3, 1, 1, 1)
    pictures = torch.rand(3, 3, 96, 96, generator=torch.Generator().manual_seed(0)) * scales
    spec = names.find(arch)
    backbone = extractor.Backbone(spec, extractor.random_network(spec, 1))
    controls.apply_measured(backbone, {"batchnorm": "calibrated"}, lambda: pictures)
    seen: list[Tensor] = []
    norms = [m for m in backbone.modules() if isinstance(m, nn.BatchNorm2d)]
    assert not any(norm.training for norm in norms)
    for norm in norms:
        norm.register_forward_hook(lambda m, i, o: seen.append(o.clone()))
    with torch.no_grad():
        backbone(pictures)
    assert len(seen) == len(norms) >= 20
    for value in seen:
        means, variances = value.mean(dim=(0, 2, 3)), value.var(dim=(0, 2, 3), correction=0)
        torch.testing.assert_close(means, torch.zeros_like(means), rtol=0, atol=1e-3)
        torch.testing.assert_close(variances, torch.ones_like(means), rtol=1e-2, atol=0)


def test_controls_are_measured_on_the_ten_photographs() -> None:
    found = extractor.pictures()
    assert found.shape == (10, 3, 256, 256)
    for picture, name in zip(found, images.PHOTOGRAPHS, strict=True):
        pixels = images.read(f"builtin:{name}", 256, resize="squash")
        assert torch.equal(picture.permute(1, 2, 0) * 255, torch.from_numpy(pixels).float())


@pytest.mark.parametrize("activation", ["relu", "leaky"])
@pytest.mark.parametrize("function", often({alexnet}, [vgg11, alexnet]))
def test_rescaled_filters_have_mean_activation_1(function: Any, activation: str) -> None:
    """Gatys' rescaling: means of 1, and each map a multiple per channel of what it was."""
    before, after = (made(function).double().features for _ in range(2))
    if activation == "leaky":
        for model in (before, after):
            controls.change_activation(model, activation)
    pictures = torch.rand(2, 3, 80, 80, generator=torch.Generator().manual_seed(1)).double()
    controls.rescale(after, pictures)
    maps: dict[int, list[Tensor]] = {}
    for key, model in enumerate((before, after)):
        for index, module in enumerate(model):
            if isinstance(module, nn.ReLU | nn.LeakyReLU):
                module.inplace = False
                place = 100 * key + index
                module.register_forward_hook(
                    lambda m, i, o, p=place: maps.setdefault(p, []).append(o[0])
                )
    with torch.no_grad():
        for picture in pictures[:, None]:
            before(picture)
            after(picture)
    for place in (p for p in maps if p < 100):
        old, new = torch.cat(maps[place], 1), torch.cat(maps[place + 100], 1)
        lives = old.mean(dim=(1, 2)) > 1e-12
        assert lives.any()
        means = torch.stack([m.mean(dim=(1, 2)) for m in maps[place + 100]]).mean(dim=0)
        torch.testing.assert_close(means[lives], torch.ones_like(means[lives]))
        peaks = (m.abs().flatten(1).max(dim=1).values for m in (new, old))
        factor = next(peaks) / next(peaks).clamp(min=1e-30)
        torch.testing.assert_close(new, old * factor[:, None, None])


OPTIONS = [
    (arch, key, value)
    for arch in (
        "resnet18",
        "vgg11",
        "vgg11_bn",
        "alexnet",
        "squeezenet1_1",
        "pseudo-vgg",
        "mobilenet_v2",
    )
    for key, values in ARCHS[arch].options.items()
    for value in values[1:]
]


@pytest.mark.parametrize(("arch", "option", "value"), often({"resnet18", "squeezenet1_1"}, OPTIONS))
def test_every_option_changes_the_maps_and_they_stay_finite(
    arch: str, option: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stylebench.backbones.extractor.pictures", lambda: IMAGE)
    plain, other = built(f"r-{arch}"), built(f"r-{arch}", **{option: value})
    image = IMAGE.clone().requires_grad_()
    deepest = plain.style[-1].name
    found = other(image)[deepest]
    assert torch.isfinite(found).all()
    with torch.no_grad():
        assert not torch.allclose(found, plain(IMAGE)[deepest], rtol=1e-3)
    found.sum().backward()
    assert image.grad is not None
    assert image.grad.abs().sum() > 0


def test_controls_compose_and_are_part_of_the_job() -> None:
    arch = ["r-resnet50+gamma=0.5+batchnorm=train,r-resnet50", "r-resnet50+gamma=1"]
    base = {
        "arch": arch,
        "size": 32,
        "content": ["chelsea"],
        "style": ["brush"],
        "smoothing": ["none"],
    }
    found = plan.expand(load_sweep(None, base), offline=True)
    assert [job.weights.label for job in found.jobs] == [
        "random:0+batchnorm=train+gamma=0.5", "random:0"
    ]  # fmt: skip
    assert len({job.job_id for job in found.jobs}) == 2
    assert len(found.statistics) == 2


@pytest.mark.parametrize(
    ("arch", "text"),
    [
        ("r-resnet50+gama=0.5", "has no option 'gama'; did you mean 'gamma'"),
        ("r-resnet50+gamma=0.7", "gamma is one of 1, 0.5, 0.25, 0, found '0.7'"),
        ("r-resnet50+gamma=0.5+gamma=0", "expected one value of gamma, found 0.5 and 0"),
        ("r-resnet50+gamma", r"expected NAME\+OPTION=VALUE, found 'gamma'"),
        ("r-vgg19+gamma=0.5", "has no option 'gamma'"),
        ("r-resnet5+gamma=0.5", "did you mean 'r-resnet50'"),
    ],
)
def test_wrong_options_are_told(arch: str, text: str) -> None:
    with pytest.raises(InputError, match=text):
        plan.expand(load_sweep(None, {"arch": [arch], "size": 32}), offline=True)


def test_options_in_yaml_may_be_numbers() -> None:
    flags = {"arch": ["r-resnet50"], "size": 32, "backbone_options": {"resnet50": {"gamma": 0.25}}}
    (ref,) = {job.weights.label for job in plan.expand(load_sweep(None, flags), offline=True).jobs}
    assert ref == "random:0+gamma=0.25"
