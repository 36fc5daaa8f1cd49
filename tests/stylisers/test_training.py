"""Trainings: they learn, go on to the same bits, and say in one line what is wrong."""

import csv
import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from stylebench import images
from stylebench.errors import InputError, JobError
from stylebench.stylisers import card, decoder, encoder
from stylebench.stylisers import data as data_module
from stylebench.stylisers.data import Pool
from stylebench.stylisers.network import Generator, Trained
from stylebench.stylisers.settings import TrainSettings
from stylebench.stylisers.styliser import Styliser, load
from stylebench.stylisers.training import Training
from stylebench.transfer.targets import Blend
from tests.stylisers.tiny import model, settings, train

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a training that nothing stopped."""
    out = tmp_path_factory.mktemp("whole")
    model(out)
    return out


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_training_leaves_model_card_losses_and_samples(whole: Path) -> None:
    names = sorted(str(p.relative_to(whole)) for p in whole.rglob("*") if p.is_file())
    assert names == ["losses.csv", "model.json", "model.safetensors",
                     *(f"samples/step-00000{n}.png" for n in (2, 4, 6))]  # fmt: skip
    rows = list(csv.DictReader((whole / "losses.csv").read_text().splitlines()))
    assert [int(row["step"]) for row in rows] == [1, 2, 3, 4, 5, 6]
    first, last = rows[0], rows[-1]
    assert [first[key] for key in ("content", "style", "identity_maps")] == ["0.0"] * 3
    assert first["loss"] == first["identity_pixels"]
    total = float(last["content"]) + 3 * float(last["style"])
    total += 50 * float(last["identity_pixels"]) + float(last["identity_maps"])
    assert float(last["loss"]) == pytest.approx(total, rel=1e-5)
    with Image.open(whole / "samples" / "step-000006.png") as sheet:
        assert sheet.size == (3 * 32, 2 * 32)  # a content beside two styles


def test_the_card_says_where_a_model_comes_from(whole: Path) -> None:
    found = card.read(whole / "model.safetensors")
    assert json.loads((whole / "model.json").read_text()) == json.loads(found.model_dump_json())
    assert (found.name, found.encoder, found.nodes) == ("sanet", "r-tiny", ("stage3", "stage4"))
    assert (found.widths, found.decoder, found.steps) == ((8, 8), (8, 32, 32, 32), 6)
    assert found.data["content"].names == ("chelsea", "coffee")
    assert found.training["learning_rate"] == 1e-3
    assert found.versions["torch"] == torch.__version__.partition("+")[0]
    assert set(found.losses) == {"loss", "content", "style", "identity_pixels", "identity_maps"}


def test_a_training_that_was_stopped_goes_on_to_the_same_bits(whole: Path, tmp_path: Path) -> None:
    assert train(tmp_path, stop=3) is None
    assert not (tmp_path / "model.safetensors").exists()
    found = train(tmp_path)
    assert found is not None
    assert digest(found) == digest(whole / "model.safetensors")
    assert (tmp_path / "losses.csv").read_text() == (whole / "losses.csv").read_text()


KILLED = """
import os, signal, sys
from pathlib import Path
import torch
from stylebench import runtime
from stylebench.stylisers.training import Training
from tests.stylisers.tiny import settings

torch.set_num_threads(1)
runtime.configure()

def watch(step):
    if step.number == 5:
        os.kill(os.getpid(), signal.SIGKILL)

Training(settings(), Path(sys.argv[1])).run(watch, lambda: None)
"""


def test_a_training_that_was_killed_goes_on_to_the_same_bits(whole: Path, tmp_path: Path) -> None:
    """At the fifth step: the fourth is the last that a checkpoint holds."""
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", KILLED, tmp_path], cwd=root, check=False)
    assert done.returncode == -9
    assert (tmp_path / "checkpoint.pt").exists()
    found = train(tmp_path)
    assert found is not None
    assert digest(found) == digest(whole / "model.safetensors")
    assert (tmp_path / "losses.csv").read_text() == (whole / "losses.csv").read_text()
    assert not (tmp_path / "checkpoint.pt").exists()


def test_a_finished_training_is_not_run_again(whole: Path) -> None:
    before = digest(whole / "model.safetensors")

    def never(step: object) -> bool:
        raise AssertionError

    assert Training(settings(), whole).run(never, lambda: None) == whole / "model.safetensors"
    assert digest(whole / "model.safetensors") == before


@pytest.mark.parametrize("changes", [{"steps": 8}, {"style": "mosaic"}, {"seed": 1}])
def test_a_folder_of_another_training_is_refused(
    whole: Path, tmp_path: Path, changes: dict[str, Any]
) -> None:
    with pytest.raises(InputError, match="is finished, after 6 steps, and of another training: "):
        train(whole, **changes)
    assert train(tmp_path, stop=1) is None
    with pytest.raises(InputError, match="is of other settings"):
        train(tmp_path, **changes)


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 nothing", b"\x80\x04."])
def test_a_damaged_checkpoint_is_refused(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / "checkpoint.pt").write_bytes(damage)
    with pytest.raises(InputError, match=r"checkpoint.pt'?: expected a checkpoint: .*; remove it"):
        train(tmp_path)


def test_a_checkpoint_of_other_shapes_is_refused(tmp_path: Path) -> None:
    assert train(tmp_path, stop=1) is None
    held = torch.load(tmp_path / "checkpoint.pt")
    for key in ("network", "optimiser", "rows"):
        torch.save({**held, key: torch.zeros(7)}, tmp_path / "checkpoint.pt")
        with pytest.raises(InputError, match=r"expected a checkpoint: .*; remove it"):
            train(tmp_path)


def test_a_checkpoint_runs_no_code(tmp_path: Path) -> None:
    import pickle

    class Evil:
        def __reduce__(self) -> tuple[Any, tuple[str]]:
            return (Path.mkdir, (tmp_path / "gone",))  # type: ignore[return-value]

    (tmp_path / "checkpoint.pt").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(InputError, match="expected a checkpoint"):
        train(tmp_path)
    assert not (tmp_path / "gone").exists()


def test_a_loss_that_is_not_finite_ends_the_training(tmp_path: Path) -> None:
    with pytest.raises(JobError, match=r"the loss became (inf|nan) at step"):
        train(tmp_path, loss={"style_weight": 1e300})


@pytest.mark.parametrize("method", ["adain", "sanet"])
def test_a_training_lowers_its_loss(tmp_path: Path, method: str) -> None:
    found = model(tmp_path, method=method, steps=40, checkpoint=40, content="coffee",
                  style="mosaic", learning_rate=2e-3, size=32, reconstruct=0)  # fmt: skip
    rows = list(csv.DictReader((tmp_path / "losses.csv").read_text().splitlines()))
    assert float(rows[-1]["loss"]) < 0.5 * float(rows[0]["loss"])
    assert card.read(found).name == method


@pytest.mark.parametrize("style", ["moments", "gram"])
@pytest.mark.parametrize("smoothing", ["none", "softmax-fitted"])
def test_the_loss_network_may_be_another_one(tmp_path: Path, smoothing: str, style: str) -> None:
    """With other weights, and of another architecture: the encoder stays what it is."""
    loss = {"network": "r-squeezenet1_1", "smoothing": {"name": smoothing}, "style": style,
            "balance": "target"}  # fmt: skip
    found = model(tmp_path, steps=1, crop=48, method="adain", loss=loss)
    assert card.read(found).encoder == "r-tiny"


def test_crops_are_not_smaller_than_a_network_needs(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="crop: expected at least 63 px, which r-alexnet needs"):
        train(tmp_path, loss={"network": "r-alexnet"})


def test_a_batch_is_the_same_whatever_was_drawn_before() -> None:
    pictures = Pool("content", ["chelsea", "coffee"], 48, 32, lambda text: None)
    first, again, other = (pictures.draw(0, step, 2) for step in (7, 7, 8))
    assert first.shape == (2, 3, 32, 32)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    whole = torch.from_numpy(images.read("builtin:chelsea", 48, resize="squash").copy())
    crops = whole.permute(2, 0, 1).unfold(1, 32, 1).unfold(2, 32, 1).float() / 255
    every = torch.cat([pictures.draw(0, step, 4) for step in range(20)])
    matches = [bool((crops.permute(1, 2, 0, 3, 4) == one).flatten(2).all(2).any()) for one in every]
    assert 20 < sum(matches) < 60  # of 80 about half are of chelsea


def test_the_mirror_of_vgg19_is_the_released_decoder() -> None:
    vgg19 = {1: 64, 2: 128, 4: 256, 8: 512, 16: 512}
    assert decoder.widths(vgg19, 1.0, 8) == (512, 256, 128, 64)
    assert decoder.widths(vgg19, 1.0, 4) == (256, 128, 64)
    with torch.device("meta"):
        made = Generator("adain", [512], (512, 256, 128, 64)).decoder
    shapes = [tuple(p.shape[:2]) for name, p in made.named_parameters() if name.endswith("weight")]
    assert shapes == [(256, 512), (256, 256), (256, 256), (256, 256), (128, 256), (128, 128),
                      (64, 128), (64, 64), (3, 64)]  # fmt: skip
    kinds = [type(module).__name__ for module in made.modules()]
    assert (kinds.count("Upsample"), kinds.count("ReflectionPad2d"), kinds.count("ReLU")) == (
        3,
        9,
        8,
    )
    assert not any("BatchNorm" in kind for kind in kinds)


def test_adains_map_may_be_of_stride_4(tmp_path: Path) -> None:
    """Then the decoder is what a mirror of VGG-19 is up to relu3_1; the losses are as before."""
    path = model(tmp_path, method="adain", stride=4)
    found = load(path)
    assert isinstance(found, Trained)
    assert (found.card.stride, found.multiple) == (4, 4)
    known = encoder.choose("r-tiny", {}, 0, (4,), offline=True).known
    assert found.card.nodes == tuple(level.node.name for level in known if level.stride == 4)
    content, style = torch.rand(1, 3, 37, 50), torch.rand(1, 3, 40, 33)
    assert found.stylise(content, style).shape == content.shape
    with torch.device("meta"):
        made = Generator("adain", [256], (256, 128, 64)).decoder
    shapes = [tuple(p.shape[:2]) for name, p in made.named_parameters() if name.endswith("weight")]
    assert shapes == [(128, 256), (128, 128), (64, 128), (64, 64), (3, 64)]
    assert made(torch.empty(1, 256, 5, 6, device="meta")).shape == (1, 3, 20, 24)
    fine, coarse = (
        Training(settings(method="adain", stride=stride), tmp_path / "other") for stride in (4, 8)
    )
    assert fine._nodes == coarse._nodes
    assert len(fine._nodes) == sum(level.stride <= 8 for level in known)
    with pytest.raises(InputError, match="another training: stride 4, not 8"):
        Training(settings(method="adain"), tmp_path)


def test_what_differs_from_a_training_of_before_there_were_strides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = model(tmp_path, method="adain")
    found = card.read(path)
    old = {key: value for key, value in found.training.items() if key != "stride"}
    monkeypatch.setattr(card, "read", lambda _: found.model_copy(update={"training": old}))
    assert Training(settings(method="adain"), tmp_path).is_finished
    with pytest.raises(InputError, match="another training: stride 8, not 4; a finished"):
        Training(settings(method="adain", stride=4, description="new"), tmp_path)


@pytest.mark.parametrize(
    ("method", "digest"),
    [("sanet", "1be1a9c087636e8a51fe00d20ac3792a92ae34d934c796961959d937c452c3bc"),
     ("adain", "69fe32e65a3438b0c92769d8c2ef98c7ec6749b0eb69c7a30e8a8079cb3cd770")],
)  # fmt: skip
def test_trainings_of_before_there_were_strides_go_on(
    method: str, digest: str, tmp_path: Path
) -> None:
    """Found by the code of then, 188676d."""
    assert Training(settings(method=method), tmp_path).digest == digest


def test_a_stride_that_an_encoder_has_not_takes_the_width_of_the_coarser_one() -> None:
    resnet50 = {2: 64, 4: 256, 8: 512, 16: 1024, 32: 2048}
    assert decoder.widths(resnet50, 1.0, 8) == (512, 256, 64, 64)
    lite = {2: 16, 4: 24, 8: 40, 16: 112, 32: 320}
    assert decoder.widths(lite, 0.5, 8) == (40, 32, 32, 32)


@pytest.mark.parametrize(
    ("arch", "nodes", "widths"),
    [
        ("r-vgg19", ["relu4_1", "relu5_1"], [512, 512]),
        ("r-resnet50", ["stage2", "stage3"], [512, 1024]),
        ("r-timm:efficientnet_lite0", None, [40, 112]),
        ("r-inception_v3", None, [288, 768]),
    ],
)
def test_levels_of_backbones(arch: str, nodes: list[str] | None, widths: list[int]) -> None:
    chosen = encoder.choose(arch, {}, 0, (8, 16), offline=True)
    found = encoder.at_strides(arch, chosen.known, (8, 16))
    assert [level.width for level in found] == widths
    assert nodes is None or [level.node.name for level in found] == nodes


def test_a_backbone_without_such_maps_is_refused() -> None:
    with pytest.raises(InputError, match="r-timm:vit_tiny_patch16_224: expected a style node of"):
        encoder.choose("r-timm:vit_tiny_patch16_224", {}, 0, (8, 16), offline=True)


@pytest.mark.parametrize("size", [(32, 32), (37, 50), (16, 64)])
def test_a_styliser_keeps_the_size_of_the_content(whole: Path, size: tuple[int, int]) -> None:
    styliser = load(whole / "model.safetensors")
    assert isinstance(styliser, Styliser)
    assert (styliser.name, styliser.sha256) == ("sanet", digest(whole / "model.safetensors"))
    random = torch.Generator().manual_seed(0)
    content, style = (torch.rand(1, 3, *s, generator=random) for s in (size, (40, 33)))
    made = styliser.stylise(content, style)
    assert made.shape == content.shape
    assert 0 <= float(made.min()) <= float(made.max()) <= 1
    again = styliser.stylise(content, Blend((style, style), (0.25, 0.75)))
    torch.testing.assert_close(made, again, rtol=0, atol=1e-5)
    none, other = (styliser.stylise(content, s, 0.0) for s in (style, style.flip(1)))
    torch.testing.assert_close(none, other, rtol=0, atol=1e-6)
    mixed = styliser.stylise(content, Blend((style, content), (1.0 - 1e-9, 1e-9)))
    torch.testing.assert_close(made, mixed, rtol=0, atol=1e-5)


@pytest.mark.parametrize("strength", [-0.1, 1.01, float("nan")])
def test_a_strength_out_of_range_is_refused(whole: Path, strength: float) -> None:
    styliser = load(whole / "model.safetensors")
    with pytest.raises(InputError, match="strength: expected a number from 0 to 1"):
        styliser.stylise(torch.rand(1, 3, 32, 32), torch.rand(1, 3, 32, 32), strength)


def test_what_is_loaded_is_what_was_trained(whole: Path) -> None:
    state = load_file(whole / "model.safetensors")
    training = Training(settings(), whole)
    network: Any = load(whole / "model.safetensors")
    own = network.network.generator.state_dict()
    assert own.keys() == state.keys() == training._generator().state_dict().keys()
    assert all(torch.equal(own[name], state[name]) for name in own)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"crop": 64, "size": 48}, "crop: expected at most size, 48 px, found 64"),
        ({"crop": 40}, "crop: expected a multiple of 16 px, found 40"),
        ({"steps": 0}, "greater than or equal to 1"),
        ({"reconstruct": 1}, "less than 1"),
        ({"reconstruct": -0.1}, "greater than or equal to 0"),
        ({"steps": 10**12}, "less than or equal to"),
        ({"learning_rate": float("nan")}, "finite"),
        ({"learning_rate": 1e39}, "less than or equal to 1"),
        ({"loss": {"style": "grams"}}, "'moments' or 'gram'"),
        ({"content": []}, "at least 1"),
        ({"stride": 16}, "4 or 8"),
        ({"stride": 4}, "stride: expected 8 of sanet, found 4"),
    ],
)
def test_settings_that_are_wrong(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        settings(**changes)


def test_weights_of_terms_are_as_the_method_has_published_them() -> None:
    adain = TrainSettings.model_validate({"method": "adain"}).loss
    given = {"method": "sanet", "loss": {"style_weight": 5}}
    sanet = TrainSettings.model_validate(given).loss
    assert (adain.style_weight, adain.identity_pixels, adain.identity_maps) == (10, 0, 0)
    assert (sanet.style_weight, sanet.identity_pixels, sanet.identity_maps) == (5, 50, 1)
    assert sanet.content_weight == 1
    assert not adain.has_identity


def test_pictures_of_a_folder_that_change_make_another_training(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    random = np.random.default_rng(0)
    Image.fromarray(random.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(folder / "a.png")
    before = Training(settings(content=str(folder)), tmp_path).digest
    Image.fromarray(random.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(folder / "a.png")
    assert Training(settings(content=str(folder)), tmp_path).digest != before


def drawn(path: Path, size: tuple[int, int] = (60, 90), seed: int = 0) -> Path:
    """Write a picture of noise."""
    values = np.random.default_rng(seed).integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(values).save(path)
    return path


@pytest.mark.parametrize("size", [(60, 90), (400, 20)])
def test_samples_may_have_any_form(tmp_path: Path, size: tuple[int, int]) -> None:
    content = drawn(tmp_path / "p.png", size)
    assert train(tmp_path / "out", content=str(content), samples=str(content), steps=1)
    with Image.open(tmp_path / "out" / "samples" / "step-000001.png") as sheet:
        assert sheet.size == (3 * 32, 2 * 32)


def test_a_checkpoint_is_there_before_what_is_for_people(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A training that ends in its samples has lost nothing, and makes them when it goes on."""

    def fail(*_: object, **__: object) -> None:
        raise OSError("no space")

    with monkeypatch.context() as patch:
        patch.setattr(images, "save", fail)
        with pytest.raises(OSError, match="no space"):
            train(tmp_path)
    assert len(torch.load(tmp_path / "checkpoint.pt")["rows"]) == 2
    assert train(tmp_path, stop=3) is None
    assert (tmp_path / "samples" / "step-000002.png").exists()
    assert train(tmp_path) is not None
    assert digest(tmp_path / "model.safetensors") == digest(whole / "model.safetensors")


def test_what_is_no_picture_is_left_out_by_a_rule(tmp_path: Path) -> None:
    """In its place the next one is drawn, and the training is the same when it goes on."""
    folder = tmp_path / "pictures"
    for name in "abc":
        drawn(folder / f"{name}.png", seed=ord(name))
    bad = folder / "a.png"
    bad.write_bytes(bad.read_bytes()[:2000])
    told: list[str] = []
    pool = Pool("content", [str(folder)], 48, 32, told.append)
    assert pool.data.count == 3
    assert pool.first(2) == [str(folder / "b.png"), str(folder / "c.png")]
    draws = pool.draw(0, 0, 20)
    (line,) = told
    assert "a.png" in line
    assert line.endswith("another is taken in its place")
    assert torch.equal(Pool("content", [str(folder)], 48, 32, told.append).draw(0, 0, 20), draws)
    assert train(tmp_path / "out", content=str(folder), stop=3) is None
    assert train(tmp_path / "out", content=str(folder)) is not None


def test_pictures_of_which_none_is_one_are_refused(tmp_path: Path) -> None:
    bad = drawn(tmp_path / "a.png")
    bad.write_bytes(bad.read_bytes()[:2000])
    with pytest.raises(InputError, match=r"style: no file is a picture: .*a.png"):
        train(tmp_path / "out", style=str(bad))
    assert not (tmp_path / "out").exists()


def test_a_picture_that_is_damaged_meanwhile_ends_the_training(tmp_path: Path) -> None:
    folder = drawn(tmp_path / "pictures" / "a.png").parent
    last = drawn(folder / "b.png", seed=1)
    pool = Pool("content", [str(folder)], 48, 32, lambda text: None)
    last.write_bytes(last.read_bytes()[:2000])
    with pytest.raises(InputError, match="it was changed since the training began"):
        pool.draw(0, 0, 20)


def test_that_many_pictures_are_read_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(data_module, "MANY", 2)
    Pool("style", ["mosaic,brush"], 48, 32, told.append)
    Pool("style", ["mosaic"], 48, 32, told.append)
    assert told == ["style: reading 2 files …"]


def test_a_training_is_the_same_however_its_pictures_are_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = drawn(tmp_path / "p.png")
    monkeypatch.chdir(tmp_path)
    names: tuple[Any, ...] = (str(path), "p.png", "./p.png", ("p.png",))
    assert len({Training(settings(content=name), tmp_path).digest for name in names}) == 1
    names = ("mosaic,brush", ("mosaic", "brush"))
    assert len({Training(settings(style=name), tmp_path).digest for name in names}) == 1
    ways: list[dict[str, Any]] = [{}, {"loss": {"network": "r-tiny"}}]
    assert len({Training(settings(**each), tmp_path).digest for each in ways}) == 1
    ways = [{}, {"style": "brush,mosaic"}, {"loss": {"network": "r-vgg11"}}, {"encoder": "r-vgg11"}]
    assert len({Training(settings(**each), tmp_path).digest for each in ways}) == len(ways)


@pytest.mark.parametrize("name", ["samples", "model.safetensors", "checkpoint.pt", "model.json"])
def test_nothing_is_written_through_a_link(tmp_path: Path, name: str) -> None:
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    out.mkdir()
    elsewhere.mkdir()
    (out / name).symlink_to(elsewhere)
    with pytest.raises(InputError, match="symbolic link"):
        train(out, steps=2)
    assert not list(elsewhere.iterdir())


def test_a_training_that_was_killed_at_its_end_is_tidied(whole: Path, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes((whole / "model.safetensors").read_bytes())
    (tmp_path / "checkpoint.pt").write_bytes(b"left")
    assert train(tmp_path) == tmp_path / "model.safetensors"
    assert (tmp_path / "model.json").read_text() == (whole / "model.json").read_text()
    assert not (tmp_path / "checkpoint.pt").exists()


@pytest.mark.parametrize(
    ("encoder", "crop"), [("r-squeezenet1_1", 48),
                          pytest.param("r-inception_v3", 128, marks=pytest.mark.slow)],
)  # fmt: skip
@pytest.mark.parametrize("method", ["adain", "sanet"])
def test_an_encoder_that_pads_nothing_can_be_trained(
    tmp_path: Path, method: str, encoder: str, crop: int
) -> None:
    found = model(tmp_path, method=method, encoder=encoder, crop=crop, size=128, steps=2)
    made = load(found).stylise(torch.rand(1, 3, 150, 131), torch.rand(1, 3, 140, 150))
    assert made.shape == (1, 3, 150, 131)


@pytest.mark.parametrize(("ours", "kept"), [(True, 1.0), (False, 6**-0.5)])
def test_our_weights_keep_what_comes_in_and_those_of_torch_do_not(ours: bool, kept: float) -> None:
    """What a layer behind a ReLU makes of a map's size; with weights of torch's own 1/√6."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layer = torch.nn.Conv2d(256, 256, 3)
        if ours:
            made = decoder.Decoder((256, 256, 32, 32))
            (layer, *_) = [m for m in made.modules() if isinstance(m, torch.nn.Conv2d)]
        taken = torch.randn(1, 256, 12, 12)
        with torch.no_grad():
            assert float(layer(taken.relu()).std() / taken.std()) == pytest.approx(kept, rel=0.1)
