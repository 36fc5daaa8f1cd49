"""Hostile experiment files: those of experiments/, damaged, and attacks on readers of YAML."""

import functools
from pathlib import Path
from random import Random

from tests.faults.fuzz_bytes import CANARY, DAMAGE, Case, dice

EXPERIMENTS = Path(__file__).resolve().parents[2] / "experiments"

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


@functools.cache
def seeds() -> tuple[tuple[str, str], ...]:
    """Return (name, text) of good experiment files."""
    found = [(path.name, path.read_text("utf-8")) for path in sorted(EXPERIMENTS.glob("*.yaml"))]
    return ("full.yaml", FULL), *found


def good() -> Case:
    """Return an undamaged file."""
    return Case("yamls", -1, "x.yaml", FULL.encode(), "undamaged")


def laughs(levels: int = 30, merged: bool = False) -> str:
    """Return "a billion laughs": each level ten times the one before, as lists or merged keys."""
    lines = ["description: x", "x0: &x0 {lol: lol}" if merged else "x0: &x0 [lol, lol]"]
    for level in range(1, levels):
        ten = ", ".join([f"*x{level - 1}"] * 10)
        text = f"{{<<: [{ten}]}}" if merged else f"[{ten}]"
        lines.append(f"x{level}: &x{level} {text}")
    return "\n".join(lines)


def _laughing(text: str, random: Random) -> str:
    merged, key = random.random() < 0.4, random.choice(["seed", "variants", "loss", "content", "x"])
    levels = random.choice([5, 8, 30])
    return f"{laughs(levels, merged)}\n{key}: *x{levels - 1}\n"


def _nested(text: str, random: Random) -> str:
    """Return the text with a key nested deeply, closed or not."""
    depth = random.choice([50, 400, 5000, 100_000])
    opened, closed = random.choice([("[", "]"), ("{a: ", "}"), ("- ", "")])
    return f"{text}\nloss: {opened * depth}{closed * depth * random.randint(0, 1)}\n"


def _line(text: str, random: Random) -> tuple[list[str], int]:
    lines = text.splitlines() or [""]
    return lines, random.randrange(len(lines))


def _deleted(text: str, random: Random) -> str:
    lines, place = _line(text, random)
    return "\n".join(lines[:place] + lines[place + 1 :])


def _doubled(text: str, random: Random) -> str:
    lines, place = _line(text, random)
    return "\n".join([*lines[: place + 1], *lines[place:]])


def _moved(text: str, random: Random) -> str:
    lines, place = _line(text, random)
    line = lines.pop(place)
    lines.insert(random.randrange(len(lines) + 1), random.choice(["", "  ", "\t", "- "]) + line)
    return "\n".join(lines)


def _changed(text: str, random: Random) -> str:
    """Return the text with the value of one key replaced by something odd."""
    lines, _ = _line(text, random)
    places = [i for i, line in enumerate(lines) if ": " in line and not line.startswith("#")]
    for place in random.sample(places, min(len(places), random.randint(1, 2))):
        lines[place] = f"{lines[place].partition(': ')[0]}: {random.choice(VALUES)}"
    return "\n".join(lines)


def _added(text: str, random: Random) -> str:
    key, value = random.choice(KEYS), random.choice(VALUES)
    return f"{text}\n{key}: {value}\n" if random.random() < 0.8 else f"{key}: {value}\n{text}"


def _alone(text: str, random: Random) -> str:
    return random.choice(["", "---\n" * 3, "%YAML 9.9\n---\na: b", "\t", "- a\n- b", *VALUES])


_OF_TEXT = (
    *(4 * (_changed,)), _added, _added, _deleted, _doubled, _moved, _laughing, _nested, _alone,
)  # fmt: skip
_ENCODINGS = ("utf-16", "utf-32", "latin-1", "utf-8-sig", "cp037")


def make(seed: int, number: int) -> Case:
    """Return hostile experiment file `number`."""
    random = dice("yamls", seed, number)
    name, text = random.choice(seeds())
    roll = random.random()
    if roll < 0.2:
        damage = random.choice(DAMAGE)
        data, what = damage(text.encode(), random), damage.__name__
    elif roll < 0.25:
        encoding = random.choice(_ENCODINGS)
        data, what = f"{text}\n# größer\n".encode(encoding, "replace"), encoding
    else:
        change = random.choice(_OF_TEXT)
        data, what = change(text, random).encode(), change.__name__.strip("_")
    return Case("yamls", number, "x.yaml", data, f"{name} {what}")
