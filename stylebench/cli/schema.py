"""The command ``stylebench schema``: what an experiment file may hold, as a JSON Schema."""

import json
import re
from typing import Any

Json = dict[str, Any]

DESCRIPTIONS = {
    "name": "Name of the sweep and of its results folder; by default that of the file.",
    "description": "What it asks, in one line; `stylebench ls experiments` shows it.",
    "system": "What makes pictures: `optimise`, models of `stylebench train`, `registry:magenta`.",
    "strength": "How much of the style trained networks give, up to 1.",
    "arch": "Backbones: names, globs, `all`, `NAME+OPTION=VALUE`, `FILE.py:CLASS`.",
    "smoothing": "Smoothings: a name, or a mapping with its parameters.",
    "content": "Photographs: files, folders, built-in names, or `builtin` for all.",
    "style": "Styles: files, folders, built-in names, or `builtin` for all.",
    "statistics_images": "Photographs on which statistics of feature maps are measured; none: [].",
    "preset": "What `loss`, `optimiser`, `resize` and `image` are where they are not given.",
    "loss": "The objective.",
    "optimiser": "How the picture is optimised.",
    "start": "The picture that optimisation begins with.",
    "size": "Long side of the pictures in px.",
    "resize": "`aspect` keeps a picture's proportions, `squash` makes it square.",
    "evals": "Closure evaluations per job, at most.",
    "tolerance": "A job ends where its loss fell by less than this share in 20 evaluations.",
    "seed": "Seeds of random weights and noise.",
    "precision": "Of the network.",
    "backbone_options": "Options by backbone (without r- or p-): `stylebench ls archs -v`.",
    "profiles": "Settings that are laid on the others: --profile NAME, else the first.",
    "variants": "Settings that are laid on the others, a variant each; the sweep is all of them.",
    "grid": "Keys with lists of values, a dot leading into a mapping: every combination.",
    "SmoothingSpec.name": "`stylebench ls smoothings`.",
    "OptimiserSpec.name": "L-BFGS in batches, Adam, or scipy's L-BFGS-B.",
    "NodeChoice.style": "Style nodes, shallow to deep: paths, indices, Gatys' names of VGGs.",
    "NodeChoice.content": "The content node.",
    "LossSpec.content_weight": "Weight of the content term.",
    "LossSpec.style_weight": "Weight of the style term.",
    "layers": "`deep`: of the two deepest stages alone.",
    "params": "Parameters of the smoothing, which may also stand beside its name.",
    "order": "Of the channels.",
    "scale": "Of the picture: 1 for 0..1, 255 for 0..255.",
    "mean": "Of each channel; one number is all three.",
    "std": "Deviation of each channel; one number is all three.",
    "learning_rate": "1 for L-BFGS and 0.02 for Adam unless given.",
    "history": "Pairs that L-BFGS keeps.",
    "line_search": "Of L-BFGS: shortens steps that go too far.",
    "first_step": "Share of the negative gradient at the start that is tried first.",
}
"""Key, or MODEL.KEY -> description, where the model's docstring has none."""
_NUMBERS = {"type": "number"}
_OPTION = {"type": ["string", "number", "boolean"]}


def schema() -> None:
    """Print the JSON Schema of experiment files, with which editors complete and check them.

    For YAML in VS Code and others, write this as the first line of an experiment file:
    `# yaml-language-server: $schema=experiment.schema.json`

    Examples:

        stylebench schema > experiment.schema.json
    """
    print(json.dumps(of_experiments(), indent=2))


def of_experiments() -> Json:
    """Return the JSON Schema (draft 2020-12) of an experiment file."""
    from stylebench.config import PRESET
    from stylebench.sweeps.experiment import OF_SWEEP
    from stylebench.sweeps.settings import SweepConfig
    from stylebench.transfer.presets import OF_PRESET

    made = SweepConfig.model_json_schema()
    defined, keys = made["$defs"], made["properties"]
    for name, own in defined.items():
        _describe(own, name)
    _describe(made)
    del keys["profile"], keys["variants"]
    keys["preset"]["default"] = PRESET
    del keys["name"]["default"]
    for key in OF_PRESET:
        keys[key].pop("default", None)
    for name in ("LossSpec", "OptimiserSpec"):
        for own in defined[name]["properties"].values():
            own.pop("default", None)  # the preset's
    _allow_short_forms(defined, keys)
    settings = {key: _reference(key) for key in keys if key not in OF_SWEEP}
    grown = {
        "variants": {"type": "array", "items": _closed(settings)},
        "grid": _grid(keys, defined),
    }
    grown = {k: {**v, "description": DESCRIPTIONS[k]} for k, v in grown.items()}
    profile = _closed({key: _reference(key) for key in keys} | grown)
    profiles = {"type": "object", "additionalProperties": profile}
    profiles["description"] = DESCRIPTIONS["profiles"]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "stylebench experiment",
        "description": "A sweep of backbones, smoothings, pairs of pictures and seeds.",
        **_closed({**keys, **grown, "profiles": profiles}),
        "$defs": defined,
    }


def _reference(key: str) -> Json:
    return {"$ref": f"#/properties/{key}"}


def _closed(properties: Json) -> Json:
    """Return the schema of a mapping with these keys and no others."""
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _describe(model: Json, name: str = "") -> None:
    """Give each key of a model its description, and the model its first line alone."""
    text = model.get("description", "")
    model["description"] = text.partition("\n")[0]
    spoken = re.findall(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", text, re.MULTILINE)
    spoken += re.findall(r"`(\w+)`: (.*?)(?= ?`\w+`(?:: | are | of )|\Z)", " ".join(text.split()))
    found = {key: " ".join(said.split()).replace("``", "`") for key, said in spoken}
    found |= DESCRIPTIONS
    for key, own in model["properties"].items():
        own.pop("title", None)
        said = found.get(f"{name}.{key}") or found.get(key, "")
        own["description"] = said[:1].upper() + said[1:]


def _allow_short_forms(defined: Json, keys: Json) -> None:
    """Allow what is filled up when a file is read: one value for a list, a name for a mapping."""
    from stylebench.sweeps.experiment import LISTS

    smoothing = defined["SmoothingSpec"]
    smoothing["additionalProperties"] = _NUMBERS
    defined["SmoothingSpec"] = {"anyOf": [{"type": "string"}, smoothing]}
    for key in ("mean", "std"):
        whole = defined["InputSpec"]["properties"][key]
        said = whole.pop("description")
        defined["InputSpec"]["properties"][key] = {"anyOf": [_NUMBERS, whole], "description": said}
    keys["backbone_options"]["additionalProperties"]["additionalProperties"] = _OPTION
    for key in LISTS:
        whole = keys[key]
        said, usual = whole.pop("description"), whole.pop("default")
        keys[key] = {"anyOf": [whole["items"], whole], "description": said, "default": usual}


def _grid(keys: Json, defined: Json) -> Json:
    """Return the schema of a grid: keys, or keys in mappings behind a dot."""
    places = [*keys]
    for key, own in keys.items():
        model = str(own.get("$ref", "")).rpartition("/")[2]
        places += [f"{key}.{inner}" for inner in defined.get(model, {}).get("properties", {})]
    free = "|".join(key for key in keys if "additionalProperties" in keys[key])
    return {
        "type": "object",
        "propertyNames": {"anyOf": [{"enum": places}, {"pattern": rf"^({free})\..+"}]},
        "additionalProperties": {"type": "array", "minItems": 1},
    }
