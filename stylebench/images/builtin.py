"""The built-in pictures: ten photographs from installed packages and five painted styles."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from stylebench.errors import InputError
from stylebench.images.decode import Picture, Resize, read_file
from stylebench.registry import Registry


@dataclass(frozen=True)
class Builtin:
    """A picture that comes inside an installed package; reading it imports and fetches nothing.

    Args:
        package: name of the package it ships in.
        file: path of the file inside the package.
        description: one line on what it shows.
        credit: who made it, and under which licence, as the package documents it.
    """

    package: str
    file: str
    description: str
    credit: str

    @property
    def path(self) -> Path:
        """Where the file lies; a package that is missing or lacks it raises InputError."""
        spec = find_spec(self.package)
        for folder in (spec.submodule_search_locations or ()) if spec else ():
            if (path := Path(folder) / self.file).is_file():
                return path
        raise InputError(
            f"the package {self.package} has no {self.file}; install the tested versions: "
            "pip install -e . -c constraints.txt"
        )

    def render(self, size: int, resize: Resize = "aspect") -> Picture:
        """Return the picture, uint8 (H, W, 3), its long side (squashed: each) `size` px.

        Its values are those in the file, though rocket's are of Adobe RGB: all results have them.
        """
        shown = Path(self.package, self.file)
        return read_file(self.path, size, resize, shown, converted=False)


PHOTOGRAPHS: Registry[Builtin] = Registry("photograph")
PAINTINGS: Registry[Builtin] = Registry("painted style")


def _photograph(name: str, package: str, file: str, description: str, credit: str) -> None:
    PHOTOGRAPHS.add(name, Builtin(package, file, description, credit))


_photograph(
    "astronaut",
    "skimage",
    "data/astronaut.png",
    "portrait of Eileen Collins in an orange suit before a flag and a shuttle",
    "NASA Great Images, public domain",
)
_photograph(
    "chelsea",
    "skimage",
    "data/chelsea.png",
    "Chelsea the cat, a close-up of fur and eyes",
    "Stefan van der Walt, CC0",
)
_photograph(
    "coffee",
    "skimage",
    "data/coffee.png",
    "a cup of coffee on a red saucer and a wooden table",
    "Rachel Michetti, courtesy of Pikolo Espresso Bar, CC0",
)
_photograph(
    "rocket",
    "skimage",
    "data/rocket.jpg",
    "Falcon 9 on its launch pad at dusk",
    "SpaceX, public domain",
)
_photograph(
    "motorcycle",
    "skimage",
    "data/motorcycle_left.png",
    "a red motorcycle in a garage (left image of a stereo pair)",
    "D. Scharstein et al., Middlebury Stereo 2014; no licence stated in the package",
)
_photograph(
    "hubble",
    "skimage",
    "data/hubble_deep_field.jpg",
    "the Hubble eXtreme Deep Field, galaxies on black",
    "NASA, public domain",
)
_photograph(
    "ihc",
    "skimage",
    "data/ihc.png",
    "stained tissue of colonic glands, brown and blue",
    "Center for Microscopy and Molecular Imaging, no known copyright restrictions",
)
_photograph(
    "retina",
    "skimage",
    "data/retina.jpg",
    "fundus of a human eye, a red disk on black",
    "Mikael Häggström, CC0",
)
_photograph(
    "china",
    "sklearn",
    "datasets/images/china.jpg",
    "a pagoda above a lake and trees",
    "danielbuechele, CC BY 2.0",
)
_photograph(
    "flower",
    "sklearn",
    "datasets/images/flower.jpg",
    "an orange dahlia on dark green",
    "vultilion (flickr), CC BY 2.0",
)


def _painting(name: str, source: str, description: str) -> None:
    credit = f"painted by stylebench after {source!r} ({PHOTOGRAPHS[source].credit})"
    PAINTINGS.add(name, Builtin("stylebench", f"images/painted/{name}.webp", description, credit))


_painting("brush", "china", "a pagoda under swirls, in curved brush strokes")
_painting("pointillism", "flower", "a dahlia before a pinwheel, in dots")
_painting("mosaic", "coffee", "a cup on rings of sea colours, in tiles")
_painting("woodcut", "chelsea", "a cat in carved lines and colour blocks")
_painting("stained-glass", "astronaut", "an astronaut with a halo, in glass")


def builtin(name: str) -> Builtin:
    """Return a built-in picture, a photograph or a painted style."""
    return (PHOTOGRAPHS if name in PHOTOGRAPHS else PAINTINGS)[name]


def builtins() -> dict[str, Builtin]:
    """Return every built-in picture by name: the photographs, then the painted styles."""
    return {**dict(PHOTOGRAPHS.items()), **dict(PAINTINGS.items())}
