"""Hostile inputs as strategies of hypothesis: what they share, and pictures and experiments."""

import functools
import io
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Literal

import numpy as np
from hypothesis import strategies as st
from hypothesis.vendor.pretty import RepresentationPrinter as PrettyPrinter
from PIL import Image

Kind = Literal["images", "yamls", "weights"]
CANARY = "canary"
"""A file that is there if an input was executed."""
SIDE = 60_000
"""Pixels that a huge header claims on either side."""
LARGE = 9_990
"""Side of a picture just within the 100 million pixels that are allowed."""
EXPERIMENTS = Path(__file__).resolve().parents[2] / "experiments"


@dataclass(frozen=True)
class Case:
    """One hostile input: `name` of the file, its `data`, and what was done to it."""

    kind: Kind
    name: str
    data: bytes
    what: str

    def _repr_pretty_(self, printer: PrettyPrinter, cycle: bool) -> None:
        """Be shown by hypothesis without a megabyte of data."""
        printer.text(f"<{self.name}: {self.what}, {len(self.data)} bytes>")


def often(**times: int) -> st.SearchStrategy[str]:
    """Return a strategy of names, each as often as its number among all says."""
    return st.sampled_from([name for name, count in times.items() for _ in range(count)])


@st.composite
def damaged(draw: st.DrawFn, data: bytes) -> bytes:
    """Draw data with bits flipped, or a part cut, zeroed, doubled or replaced by noise."""
    how = draw(st.sampled_from(["end", "bits", "header", "cut", "zeros", "twice", "noise"]))
    if how in ("bits", "header"):
        end, most = (len(data), 40) if how == "bits" else (min(64, len(data)), 4)
        changed = bytearray(data)
        for bit in draw(st.lists(st.integers(0, 8 * end - 1), min_size=1, max_size=most)):
            changed[bit // 8] ^= 1 << bit % 8
        return bytes(changed)
    start = draw(st.integers(0, len(data) - 1))
    if how == "end":
        return data[:start]
    end = start + draw(st.integers(1, max(len(data) // 4, 1)))
    part = data[start:end]
    instead = {"cut": b"", "zeros": bytes(len(part)), "twice": 2 * part}.get(how)
    if instead is None:
        instead = Random(draw(st.integers(0, 2**32))).randbytes(len(part))
    return data[:start] + instead + data[end:]


_Options = dict[str, object]
_MODES: dict[str, tuple[tuple[str, _Options], ...]] = {
    "png": tuple((mode, {}) for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")),
    "jpg": (("L", {}), ("RGB", {}), ("CMYK", {}), ("RGB", {"progressive": True})),
    "gif": (("P", {}), ("L", {}), ("RGB", {"save_all": True})),
    "tif": (
        *((mode, {}) for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "I", "F")),
        ("RGB", {"compression": "tiff_lzw"}),
        ("RGB", {"compression": "tiff_adobe_deflate"}),
        ("RGB", {"compression": "jpeg"}),
        ("1", {"compression": "group4"}),
    ),
    "webp": (("RGB", {}), ("RGBA", {"lossless": True})),
    "bmp": (("1", {}), ("L", {}), ("P", {}), ("RGB", {})),
}


def _picture(mode: str) -> Image.Image:
    """Return a picture of 48 × 40 px in a mode of Pillow."""
    pixels = np.random.default_rng(0).integers(0, 256, (40, 48, 3), dtype=np.uint8)
    pixels[:20] = 90
    made = Image.fromarray(pixels)
    if mode == "I;16":
        return Image.fromarray(np.asarray(made.convert("L")).astype(np.uint16) * 257)
    return made.convert(mode)


def _saved(suffix: str, mode: str, extra: _Options) -> bytes:
    """Return a good picture, with EXIF where the format has it."""
    options = dict(extra)
    if suffix in ("png", "jpg", "webp", "tif"):
        exif = Image.Exif()
        exif[274], exif[315] = 6, "somebody " * 20
        options["exif"] = exif
    if options.get("save_all"):
        options["append_images"] = [_picture("RGB").rotate(90), _picture("RGB").rotate(180)]
    file = io.BytesIO()
    kind = {"jpg": "JPEG", "tif": "TIFF"}.get(suffix, suffix.upper())
    _picture(mode).save(file, kind, **options)
    return file.getvalue()


@functools.cache
def seed_files() -> list[tuple[str, str, bytes]]:
    """Return (suffix, mode, bytes) of good pictures of every format and mode."""
    made = [(suffix, *each) for suffix, modes in _MODES.items() for each in modes]
    return [(suffix, mode, _saved(suffix, mode, extra)) for suffix, mode, extra in made]


_SIZES: dict[str, tuple[tuple[str, tuple[int, ...]], ...]] = {
    "png": ((">II", (48, 40)),),
    "jpg": ((">HH", (40, 48)),),
    "gif": (("<HH", (48, 40)),),
    "bmp": (("<ii", (48, 40)),),
    "webp": (("<HBHB", (47, 0, 39, 0)),),
    "tif": tuple(("<HHII", (tag, kind, 1, side)) for tag, side in ((256, 48), (257, 40))
                 for kind in (3, 4)),
}  # fmt: skip
"""Where 48 × 40 px stand in a file."""
_GROWN = {48: SIDE, 40: SIDE, 47: SIDE - 1, 39: SIDE - 1}


def huge(suffix: str, data: bytes) -> bytes:
    """Return a picture whose header claims 60000 × 60000 px."""
    for form, size in _SIZES[suffix]:
        grown = struct.pack(form, *(_GROWN.get(number, number) for number in size))
        data = data.replace(struct.pack(form, *size), grown)
    if suffix == "png":
        data = data[:29] + struct.pack(">I", zlib.crc32(data[12:29])) + data[33:]
    return data


@functools.cache
def large(mode: str) -> bytes:
    """Return a PNG of few bytes with nearly as many pixels as are allowed."""
    file = io.BytesIO()
    Image.new(mode, (LARGE, LARGE)).save(file, "PNG", compress_level=1)
    return file.getvalue()


_NO_PICTURES = (
    b"", b"I am no picture\n" * 50, bytes(1000), b"<svg onload=alert(1)/>",
    b"\x89PNG\r\n\x1a\n", b"GIF89a", b"\xff\xd8\xff", b"II*\0", b"RIFF\0\0\0\0WEBP", b"BM",
    b"%!PS\n(canary) (w) file", b"#!/bin/sh\ntouch canary\n",
)  # fmt: skip


def largest() -> list[Case]:
    """Return the largest pictures, of few bytes: too slow to be drawn at random."""
    modes = ("1", "L", "P", "RGB", "RGBA", "I;16")
    return [Case("images", "x.png", large(mode), f"{mode} of {LARGE}² px") for mode in modes]


@st.composite
def images(draw: st.DrawFn) -> Case:
    """Draw a real file of any format and mode: damaged, oversized or none at all."""
    suffix, mode, data = draw(st.sampled_from(seed_files()))
    how = draw(often(undamaged=3, renamed=3, no_picture=4, exif=7, huge=7, damaged=42))
    what = f"{suffix} {mode} {how}"
    if how == "damaged":
        data = draw(damaged(data))
    elif how == "huge":
        data = huge(suffix, data)
    elif how == "exif":
        place = max(data.find(b"somebody"), data.find(b"Exif"), data.find(b"eXIf"), 0)
        start = max(place - draw(st.integers(0, 60)), 0)
        noise = draw(st.binary(min_size=1, max_size=40))
        data = data[:start] + noise + data[start + len(noise) :]
    elif how == "no_picture":
        data = draw(st.sampled_from(_NO_PICTURES))
    elif how == "renamed":
        suffix = draw(st.sampled_from(sorted(_MODES)))
    return Case("images", f"x.{suffix}", data, what)


FULL = """\
name: full
description: everything at once
arch: [r-tiny, r-resnet18]
smoothing: [none, {name: softmax, temperature: 2}]
content: [chelsea, china]
style: [astronaut, flower]
pairing: zip
statistics_images: [chelsea]
preset: balanced
loss: {style_weight: 3, layer_weights: {stage1: 2}}
optimiser: {name: adam, learning_rate: 0.1}
start: noise
size: 32
resize: squash
evals: 5
seed: [0, 1]
precision: fp32
backbone_options: {resnet18: {pool: avg}}
nodes: {}
variants: [{start: style}, {size: 48}]
profiles: {quick: {evals: 3}, full: {evals: 9}}
"""

# Not among them: timm:*, whose 1353 models take 0.3 s each to look at, as they do if it is meant.
VALUES = (
    "", "~", "0", "-1", "1e400", "1e6", ".nan", ".inf", "-.inf", "true", "''", "[]", "{}", "[[]]",
    "[~]", "{a: {b: {c: d}}}", "9" * 5000, "0x" + "f" * 6000, "99999999999999999999", "16384",
    "8192", "4096", "2048", "all", "'*'", "'r-*'", "'?-*'", "builtin",
    "[builtin, builtin]", "[" + ", ".join(map(str, range(3000))) + "]", "[all, all, all]",
    "'" + "x" * 100_000 + "'", "'<script>alert(1)</script>'", "'../../../../etc/passwd'",
    "/dev/zero", "/dev/stdin", "/proc/self/mem", "/", ".", "'~nobody/x'", '"\\ud800"', '"\\0"',
    '"\\x1b[31mred\\a"', "'{{ 7 * 191 }}'", "'r-tiny+gamma=nan'", "'r-tiny+pool=avg+pool=max'",
    "*undefined", "&a [*a]", "&a {x: *a}", "2001-01-01", "2001-99-99", "!!int x", "!!float x",
    "!!bool x", "!!timestamp x", "!!null x", "!!binary '***'", "!!set {a, b}", "!!omap [a]",
    "!!pairs [a: b]", "!!str {a: b}", "!!map [a]", "!!seq {a: b}", "0b_", "0x_", "0o8", "1:99:99",
    "? [a, b]", "? {a: b}", "!unknown x", "!!python/name:os.system",
    f"!!python/object/apply:os.system ['touch {CANARY}']",
    f"!!python/object/new:subprocess.check_call [['touch', '{CANARY}']]",
    f"!!python/object/apply:os.mkdir ['{CANARY}']",
    "!!python/module:os", "!!python/tuple [1]", "${CANARY}", "$(touch canary)", "`touch canary`",
)  # fmt: skip
KEYS = (
    "<script>alert(1)</script>", "__class__", "__proto__", "model_config", "name ", "Größe", "size",
    "1", "~", "[a]", "{a: b}", "!!python/name:os.system", "''", "x" * 3000, "variants", "profiles",
    "profile", "weights", "nodes", "limit", "gradients", "image", "<<",
)  # fmt: skip
_ALONE = ("", "---\n" * 3, "%YAML 9.9\n---\na: b", "\t", "- a\n- b", *VALUES)
_ENCODINGS = ("utf-16", "utf-32", "latin-1", "utf-8-sig", "cp037")


def laughs(levels: int = 30, merged: bool = False) -> str:
    """Return "a billion laughs": each level ten times the one before, as lists or merged keys."""
    lines = ["description: x", "x0: &x0 {lol: lol}" if merged else "x0: &x0 [lol, lol]"]
    for level in range(1, levels):
        ten = ", ".join([f"*x{level - 1}"] * 10)
        text = f"{{<<: [{ten}]}}" if merged else f"[{ten}]"
        lines.append(f"x{level}: &x{level} {text}")
    return "\n".join(lines)


def _changed(draw: st.DrawFn, lines: list[str]) -> None:
    """Give one or two keys another value."""
    places = [i for i, line in enumerate(lines) if ": " in line and not line.startswith("#")]
    for place in draw(st.lists(st.sampled_from(places), min_size=1, max_size=2)):
        key = lines[place].partition(": ")[0]
        lines[place] = f"{key}: {draw(st.sampled_from(VALUES))}"


def _edited(draw: st.DrawFn, text: str, how: str) -> str:
    """Draw an experiment with lines or values that are gone, elsewhere, or hostile."""
    lines = text.splitlines()
    place = draw(st.integers(0, len(lines) - 1))
    if how == "changed":
        _changed(draw, lines)
    elif how == "added":
        added = f"{draw(st.sampled_from(KEYS))}: {draw(st.sampled_from(VALUES))}"
        lines.insert(draw(st.sampled_from([len(lines), 0])), added)
    elif how == "deleted":
        del lines[place]
    elif how == "doubled":
        lines.insert(place, lines[place])
    elif how == "moved":
        line = draw(st.sampled_from(["", "  ", "\t", "- "])) + lines.pop(place)
        lines.insert(draw(st.integers(0, len(lines))), line)
    elif how == "laughing":
        levels = draw(st.sampled_from([5, 8, 30]))
        key = draw(st.sampled_from(["seed", "variants", "loss", "content", "x"]))
        lines = [laughs(levels, draw(st.booleans())), f"{key}: *x{levels - 1}"]
    elif how == "nested":
        depth = draw(st.sampled_from([50, 400, 5000, 100_000]))
        opened, closed = draw(st.sampled_from([("[", "]"), ("{a: ", "}"), ("- ", "")]))
        lines.append(f"loss: {opened * depth}{closed * depth * draw(st.booleans())}")
    else:
        lines = [draw(st.sampled_from(_ALONE))]
    return "\n".join(lines)


@st.composite
def yamls(draw: st.DrawFn, light: bool = False) -> Case:
    """Draw an experiment of `EXPERIMENTS`, damaged, or an attack on readers of YAML."""
    files = [] if light else sorted(EXPERIMENTS.glob("*.yaml"))
    full = [("full.yaml", FULL)]
    name, text = draw(st.sampled_from(full + [(p.name, p.read_text("utf-8")) for p in files]))
    how = draw(often(alone=1, encoded=1, deleted=1, doubled=1, moved=1, laughing=1, nested=1,
                     added=2, damaged=3, changed=4))  # fmt: skip
    if how == "damaged":
        data = draw(damaged(text.encode()))
    elif how == "encoded":
        data = f"{text}\n# größer\n".encode(draw(st.sampled_from(_ENCODINGS)), "replace")
    else:
        data = _edited(draw, text, how).encode()
    return Case("yamls", "x.yaml", data, f"{name} {how}")
