"""The page of a study: one HTML file that needs no other, and tells nobody which arm is which.

No name of an arm, a picture or a job stands in it: pictures are numbered in an order drawn by lot.
"""

import base64
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Annotated, Any

from markupsafe import Markup
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stylebench import named, pages
from stylebench.config import first_problem
from stylebench.errors import InputError, describe, one_line
from stylebench.images import stored
from stylebench.store import Results, models
from stylebench.store.models import Text
from stylebench.study.design import SCRAMBLED, UNTOUCHED, Design, Question, Trial

TEMPLATES = Path(__file__).resolve().parent / "templates"
LANGUAGES = ("en", "ko", "de")
"""Of the package, TEMPLATES/NAME.json; the first one is shown where none fits the browser."""

MOST = 5_000_000
"""Bytes of the page."""
PICTURES = 3_600_000
"""Bytes of all its pictures, which base64 makes a third more."""
LARGEST, SMALLEST = 640, 96
"""Long side of a picture in px."""
QUALITY = 90
"""Of its JPEG, whose colours have all their pixels."""
TILES = 12
"""Along the long side of a result in pieces."""
MOST_LANGUAGE = 100_000
"""Bytes of a language's file."""

Line = Annotated[Text, Field(min_length=1, max_length=2000)]


class Language(BaseModel):
    """What the page says in a language: a JSON file."""

    model_config = ConfigDict(extra="forbid")

    code: Annotated[str, Field(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$")]
    name: Line
    title: Line
    language: Line
    question: dict[Question, Line]
    introduction: Annotated[list[Line], Field(min_length=1, max_length=20)]
    keys: Line
    privacy: Line
    not_kept: Line
    elsewhere: Line
    start: Line
    content: Line
    style: Line
    left: Line
    right: Line
    same: Line
    back: Line
    progress: Line
    done: Line
    download: Line
    send: Line
    sent: Line
    not_sent: Line
    another: Line


@dataclass(frozen=True)
class _Shown:
    """A picture of the page: a file of the results folder, whole or in pieces."""

    name: str
    size_of: str = ""
    """The file whose size it takes."""
    in_pieces: bool = False


def language(path: Path) -> Language:
    """Return a language of a file of JSON; InputError says what is wrong with it."""
    text = named.read(path, "a language of the study (JSON)", MOST_LANGUAGE)
    try:
        found = Language.model_validate(models.parsed(text.encode()))
        if len(found.question) < 3:
            raise ValueError("question: expected style, content and overall")
    except ValidationError as error:
        where, expected, _ = first_problem(error)
        raise InputError(f"{str(path)!r}: {one_line(f'{where}: {expected}')[:200]}") from None
    except ValueError as error:
        raise InputError(f"{str(path)!r}: {describe(error)}") from None
    return found


def languages(more: Iterable[Path] = ()) -> list[Language]:
    """Return the languages of the package, and those of files: of one code, the last one."""
    paths = [*(TEMPLATES / f"{name}.json" for name in LANGUAGES), *more]
    found = map(language, paths)
    return [*{each.code: each for each in found}.values()]


def build(design: Design, results: Results, texts: Sequence[Language], chance: Random) -> str:
    """Return the page of a study: of less than `MOST` bytes.

    Args:
        design: of the study.
        results: of the folder that it is of.
        texts: languages; the first one is shown where none fits the browser.
        chance: numbers the pictures.

    Raises:
        InputError: a picture is gone, or there are too many for the page.
    """
    rows = {str(row["job_id"]): row for row in results.results.to_dict("records")}
    seen = {trial.trial: _pictures(trial, rows) for trial in design.trials}
    distinct = sorted({s for each in seen.values() for s in each.values()}, key=repr)
    chance.shuffle(distinct)
    number = {shown: place for place, shown in enumerate(distinct)}
    parts: list[list[dict[str, Any]]] = [[], [], []]
    for trial in design.trials:
        of = {role: number[shown] for role, shown in seen[trial.trial].items()}
        parts[trial.part].append({"trial": trial.trial, **of})
    data = {
        "study": design.study,
        "question": design.question,
        "languages": [text.model_dump() for text in texts],
        "parts": [part for part in parts if part],
        "pictures": [
            f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"
            for jpeg in _encoded(distinct, results.folder)
        ],
    }
    text = _fill(data)
    if len(text.encode()) >= MOST:
        raise InputError(f"the page would have over {MOST:,} bytes: expected fewer --pairs")
    return text


def _pictures(trial: Trial, rows: dict[str, dict[Any, Any]]) -> dict[str, _Shown]:
    """Return the four pictures of a trial."""
    a, b = rows[trial.job_a], rows[trial.job_b]
    size = str(a["picture"])

    def side(name: str, row: dict[Any, Any]) -> _Shown:
        if name == UNTOUCHED:
            return _Shown(str(row["content_picture"]), size)
        return _Shown(str(row["picture"]), in_pieces=name == SCRAMBLED)

    return {
        "content": _Shown(str(a["content_picture"]), size),
        "style": _Shown(str(a["style_picture"])),
        "a": side(trial.a, a),
        "b": side(trial.b, b),
    }


def _encoded(shown: Sequence[_Shown], folder: Path) -> list[bytes]:
    """Return the pictures as JPEGs that together keep to `PICTURES`, as large as they can be."""
    images = [_opened(each, folder) for each in shown]
    side = min(LARGEST, max(max(image.size) for image in images))
    while True:
        made = [_jpeg(image, side) for image in images]
        total = sum(map(len, made))
        if total <= PICTURES:
            return made
        side = int(side * min(0.95, (PICTURES / total) ** 0.5))
        if side < SMALLEST:
            raise InputError(
                f"{len(shown)} pictures do not fit into a page of {MOST / 1e6:.0f} MB: expected "
                "fewer --pairs"
            )


def _opened(shown: _Shown, folder: Path) -> Image.Image:
    image = stored.read(folder / shown.name, folder)
    if shown.size_of:
        size = stored.size(folder / shown.size_of, folder)
        image = image.resize(size, Image.Resampling.LANCZOS) if image.size != size else image
    return _in_pieces(image) if shown.in_pieces else image


def _in_pieces(image: Image.Image) -> Image.Image:
    """Return a picture cut into squares that lie anyhow, always the same for the same picture."""
    side = max(1, min(max(image.size) // TILES, *image.size))
    across, down = image.width // side, image.height // side
    places = [(x * side, y * side) for x in range(across) for y in range(down)]
    made = Image.new("RGB", (across * side, down * side))
    order = Random(0).sample(places, len(places))
    for (x, y), place in zip(order, places, strict=True):
        made.paste(image.crop((x, y, x + side, y + side)), place)
    return made


def _jpeg(image: Image.Image, side: int) -> bytes:
    smaller = image.copy()
    smaller.thumbnail((side, side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    smaller.save(buffer, "JPEG", quality=QUALITY, subsampling=0)
    return buffer.getvalue()


def _fill(data: dict[str, Any]) -> str:
    """Put the data into the template; the page may run what stands in it, and talk to its server.

    In the data < is written as its escape, so that no text in it ends the element.
    """
    style = pages.stylesheet(TEMPLATES / "study.css")
    script = (TEMPLATES / "study.js").read_text(encoding="utf-8")
    policy = (
        "default-src 'none'; img-src data:; connect-src 'self'; base-uri 'none'; "
        f"form-action 'none'; style-src '{pages.source(style)}'; "
        f"script-src '{pages.source(script)}'"
    )
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    return pages.template(TEMPLATES / "study.html.j2").render(
        policy=policy, style=Markup(style), script=Markup(script), data=Markup(text)
    )
