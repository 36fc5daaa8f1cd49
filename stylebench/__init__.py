"""stylebench: the bench on which any vision backbone is tested for style transfer.

From Python: `stylize` a picture, make a `backbone` of a network of one's own, measure its
`statistics`, `judge` a result, run a `sweep`, and `load_results` of one. Each is imported when it
is used.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stylebench.backbones.extractor import backbone
    from stylebench.errors import InputError
    from stylebench.measures.judges import judge
    from stylebench.measures.statistics import statistics
    from stylebench.store import load_results
    from stylebench.sweeps.run import sweep
    from stylebench.transfer.stylize import stylize

__version__ = "0.1.0"
__all__ = [
    "InputError", "__version__", "backbone", "judge", "load_results", "statistics", "stylize",
    "sweep",
]  # fmt: skip

_PLACES = {
    "InputError": "stylebench.errors",
    "backbone": "stylebench.backbones.extractor",
    "judge": "stylebench.measures.judges",
    "load_results": "stylebench.store",
    "statistics": "stylebench.measures.statistics",
    "stylize": "stylebench.transfer.stylize",
    "sweep": "stylebench.sweeps.run",
}


def __getattr__(name: str) -> Any:
    if name in _PLACES:
        return getattr(importlib.import_module(_PLACES[name]), name)
    raise AttributeError(f"module 'stylebench' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
