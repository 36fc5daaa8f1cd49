"""What the optimiser changes: the pixels, or their spectrum.

A parameterisation is a linear bijection T from a vector z to a picture x = T z. It does not change
which pictures there are or what they lose, only which steps an optimiser takes: one of steepest
descent in z changes x by −T Tᵀ ∂L/∂x.
"""

from typing import Protocol

import torch
from torch import Tensor

from stylebench.config import Image
from stylebench.errors import InputError

COLOUR = ((0.26, 0.09, 0.02), (0.27, 0.00, -0.05), (0.27, -0.09, 0.03))
"""Square root, by singular values, of the covariance of the colours of ImageNet: a column for each
decorrelated colour (about: brightness, red against blue, green against the others), rows R, G, B.

Source: ``color_correlation_svd_sqrt`` of Lucid, optvis/param/color.py, the code of Olah,
Mordvintsev & Schubert, "Feature Visualization", Distill 2017. Lucid divides it by the largest norm
of a column; `Fourier` has a normalisation of its own, in which that cancels."""


class Parameterisation(Protocol):
    """A linear bijection T between vectors and pictures, both (B, 3, H, W)."""

    def image(self, vector: Tensor) -> Tensor:
        """Return the picture x = T z."""

    def vector(self, image: Tensor) -> Tensor:
        """Return z = T⁻¹ x."""

    def gradient(self, gradient: Tensor) -> Tensor:
        """Return ∂L/∂z = Tᵀ ∂L/∂x."""


class Pixels:
    """The picture itself: T = 1."""

    def image(self, vector: Tensor) -> Tensor:
        """Return the picture."""
        return vector

    def vector(self, image: Tensor) -> Tensor:
        """Return the picture."""
        return image

    def gradient(self, gradient: Tensor) -> Tensor:
        """Return the gradient."""
        return gradient


PIXELS = Pixels()


def hartley(tensor: Tensor) -> Tensor:
    """Return the orthonormal discrete Hartley transform over the last two dimensions.

    X_uv = (HW)^(−1/2) Σ_yx x_yx cas 2π(uy/H + vx/W), cas = cos + sin: the real minus the imaginary
    part of the Fourier transform. It is real and its own inverse, and each coefficient belongs to
    one frequency, for odd and even sizes alike. It differs from the Fourier transform with real and
    imaginary parts (times √2) apart by a rotation of the two coefficients of ±(u, v).

    Source: Bracewell 1983, "Discrete Hartley transform", J. Opt. Soc. Am. 73, 1832.

    Args:
        tensor: (…, H, W), real.
    """
    spectrum: Tensor = torch.fft.fft2(tensor, norm="ortho")
    return spectrum.real - spectrum.imag


class Spectrum:
    """x = F S z: real Fourier coefficients z, larger at low frequencies.

    F is `hartley` and S = f^(−slope), f = max(√(f_y² + f_x²), 1/max(H, W)) in cycles a pixel,
    divided by its root mean square, so that that of T's singular values is 1. Steepest descent in z
    changes x by −F S² F g: at slope 1/2 along the amplitude spectrum of photographs, 1/f, halfway
    between pixels, where all frequencies count alike and coarse changes take many steps, and
    `Fourier`, where fine ones do. Colours are as they are. Source of the slope: measured by
    ``bench/bakeoff.py`` (docs/performance.md).

    Args:
        like: (…, H, W), a picture of the size, type and device of those to come.
    """

    SLOPE = 0.5

    def __init__(self, like: Tensor) -> None:
        height, width = like.shape[-2:]
        rows, columns = (torch.fft.fftfreq(n, dtype=torch.float64) for n in (height, width))
        frequency = torch.hypot(rows.unsqueeze(1), columns)
        scale = 1 / frequency.clamp(min=1 / max(height, width)) ** self.SLOPE
        self._scale = (scale / scale.square().mean().sqrt()).to(like)

    def image(self, vector: Tensor) -> Tensor:
        """Return x = F S z."""
        return hartley(self._scale * vector)

    def vector(self, image: Tensor) -> Tensor:
        """Return z = S⁻¹ F x."""
        return hartley(image) / self._scale

    def gradient(self, gradient: Tensor) -> Tensor:
        """Return S F ∂L/∂x."""
        return self._scale * hartley(gradient)


class Fourier(Spectrum):
    """x = C F S z: real Fourier coefficients z of decorrelated colours, large at low frequencies.

    F and S are those of `Spectrum` at slope 1, the amplitude spectrum of photographs, and C is
    `COLOUR`. C and S are divided by the root mean square of their singular values, so that that of
    T is 1: white noise z of variance 1 makes a picture of
    mean square 1, and a step of Adam, ±learning rate in every coefficient, changes the pixels by
    the learning rate in the root mean square, as it does without. Lucid's F is the same up to the
    rotation; its sigmoid, which is no linear map, is left out.

    Source: Lucid, optvis/param/spatial.py and color.py; Mordvintsev, Pezzotti, Schubert & Olah,
    "Differentiable Image Parameterizations", Distill 2018.

    Args:
        like: (…, H, W), a picture of the size, type and device of those to come.
    """

    SLOPE = 1.0

    def __init__(self, like: Tensor) -> None:
        super().__init__(like)
        colour = self.colours()
        colour = colour / (colour.square().sum() / 3).sqrt()
        self._colour, self._colour_inverse = colour.to(like), colour.inverse().to(like)

    def colours(self) -> Tensor:
        """Return C (3, 3) before it is divided, in float64."""
        return torch.tensor(COLOUR, dtype=torch.float64)

    def image(self, vector: Tensor) -> Tensor:
        """Return x = C F S z."""
        return _mix(self._colour, super().image(vector))

    def vector(self, image: Tensor) -> Tensor:
        """Return z = S⁻¹ F C⁻¹ x."""
        return super().vector(_mix(self._colour_inverse, image))

    def gradient(self, gradient: Tensor) -> Tensor:
        """Return S F Cᵀ ∂L/∂x."""
        return super().gradient(_mix(self._colour.T, gradient))


def _mix(matrix: Tensor, image: Tensor) -> Tensor:
    """Return a 3 × 3 matrix times the colours of every pixel of (B, 3, H, W)."""
    return torch.einsum("ij,bjhw->bihw", matrix, image).contiguous()


def parameterise(name: Image, like: Tensor) -> Parameterisation:
    """Return the parameterisation of this name for pictures like one (…, H, W).

    Raises:
        InputError: an unknown name.
    """
    if name == "pixels":
        return PIXELS
    if name == "fourier":
        return Fourier(like)
    if name == "spectrum":
        return Spectrum(like)
    raise InputError(f"image: expected pixels, fourier or spectrum, found {name!r}")
