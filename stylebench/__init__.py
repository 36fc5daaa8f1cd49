"""stylebench: the bench on which any vision backbone is tested for style transfer."""

from stylebench.version import __version__

__all__ = ["__version__"]
