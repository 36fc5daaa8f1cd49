"""stylebench: the bench on which any vision backbone is tested for style transfer."""

__version__ = "0.1.0"
