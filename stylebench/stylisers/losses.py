"""What a generator is trained by: the terms, as a backbone under any smoothing sees pictures."""

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from stylebench.backbones.extractor import Backbone
from stylebench.backbones.spec import Node
from stylebench.runtime import float32
from stylebench.stylisers.moments import adain, moments, normalised
from stylebench.stylisers.settings import TrainingLoss
from stylebench.transfer import smoothing
from stylebench.transfer.losses import gram, squared_distance

Fitted = Mapping[str, Tensor | None]
"""What a smoothing takes from the style's maps, by path (`smoothing.fit`)."""


def mean_square(a: Tensor, b: Tensor) -> Tensor:
    """Return the mean of (a − b)² over all but the first dimension: (B,)."""
    return squared_distance(a, b) / a[0].numel()


def relative_square(a: Tensor, b: Tensor) -> Tensor:
    """Return ‖a − b‖²/‖b‖² over all but the first dimension, b the target: (B,)."""
    return squared_distance(a, b) / b.square().flatten(1).sum(dim=1).clamp_min(1e-30)


Seen = Mapping[str, Tensor]
"""Maps (B, D, H, W) by the path of their node."""


class LossNetwork:
    """A backbone that sees pictures for the terms of a training.

    Args:
        backbone: gives the maps of all nodes by their paths.
        content: the nodes of the content term.
        style: those of the style term and of the identity of maps.
        how: the terms.
        method: ``adain`` or ``sanet``.
    """

    def __init__(
        self, backbone: Backbone, content: Sequence[Node], style: Sequence[Node],
        how: TrainingLoss, method: str,
    ) -> None:  # fmt: skip
        self.backbone, self.how, self.method = backbone, how, method
        self._content = [node.path for node in content]
        self._style = [node.path for node in style]
        self._stages = {node.path: node.stage for node in (*content, *style)}
        self._distance = mean_square if how.balance == "none" else relative_square

    def fit(self, maps: Seen) -> Fitted:
        """Return what the smoothing takes from the style's maps (nothing, for most)."""
        with torch.no_grad():
            return {
                path: smoothing.fit(self.how.smoothing, float32(maps[path]), stage)
                for path, stage in self._stages.items()
            }

    def smoothed(self, maps: Seen, fitted: Fitted) -> Seen:
        """Return σ(F) of what the backbone gave for pictures, in float32 at least.

        Of softmaxes N·σ(F), of mean 1, which is a change of the term's weight: σ(F) itself is out
        of reach.
        """
        linear, found = smoothing.SMOOTHINGS.fact(self.how.smoothing.name, "linear"), {}
        for path, stage in self._stages.items():
            smoothed, unit = smoothing.apply(self.how.smoothing, maps[path], stage, fitted[path])
            found[path] = float32(smoothed) * (unit if linear else 1.0)
        return found

    def content(self, made: Seen, content: Seen, style: Seen) -> Tensor:
        """Return the content term, summed over nodes: (B,).

        AdaIN: ‖F − AdaIN(F_c, F_s)‖², eq. (12) of Huang & Belongie 2017, the target being made of
        this network's maps: of the encoder's, as published, where it is the encoder. SANet: ‖F̄ −
        F̄_c‖², eq. (8) of Park & Lee 2019. Means over entries, as both releases have it.
        """
        terms = []
        for path in self._content:
            own, target = made[path], content[path]
            if self.method == "adain":
                target = adain(target, style[path])
            else:
                own, target = normalised(own), normalised(target)
            terms.append(self._distance(own, target))
        return torch.stack(terms).sum(dim=0)

    def style(self, made: Seen, style: Seen) -> Tensor:
        """Return the style term, summed over nodes: (B,).

        ``moments``: ‖μ − μ_s‖² + ‖σ − σ_s‖², means over channels: eq. (13) of Huang & Belongie 2017
        and eq. (9) of Park & Lee 2019. ``gram``: eq. (4) of Gatys et al. 2016 with G/M for G.
        """
        terms = []
        for path in self._style:
            own, target = made[path], style[path]
            if self.how.style == "gram":
                scale = 0.25 if self.how.balance == "none" else 1.0  # 1/(4D²), the mean is 1/D²
                terms.append(scale * self._distance(gram(own), gram(target)))
                continue
            (mean, deviation), (goal, spread) = moments(own), moments(target)
            if self.how.balance == "none":
                terms += [mean_square(mean, goal), mean_square(deviation, spread)]
            else:
                both = torch.cat([mean, deviation], dim=1), torch.cat([goal, spread], dim=1)
                terms.append(relative_square(*both))
        return torch.stack(terms).sum(dim=0)

    def identity(self, made: Seen, own: Seen) -> Tensor:
        """Return Σ over nodes of the mean of (F − F_own)²: (B,); eq. (10), second term."""
        return torch.stack([
            self._distance(made[path], own[path]) for path in self._style
        ]).sum(dim=0)  # fmt: skip

    def terms(self, made: Tensor, pictures: Tensor, maps: Seen) -> tuple[Tensor, ...]:
        """Return content, style and both identity terms, means over the batch, in this order.

        Identity in pixels is ‖I_cc − I_c‖² + ‖I_ss − I_s‖², means over entries; eq. (10) of Park &
        Lee 2019, first term. Without identities both are 0, and that of the maps at weight 0.

        Args:
            made: (B, 3, H, W) from contents and styles; behind them, where there are identities,
                B from contents and contents, and B from styles and styles.
            pictures: (2B, 3, H, W), contents and then styles.
            maps: of these, as the backbone gives them.
        """
        count = len(pictures) // 2
        own, target = _parts(maps, count)
        seen = made if self.how.identity_maps else made[:count]
        results = list(_parts(self.backbone(seen), count))
        fits = self.fit(target)
        content, style = self.smoothed(own, fits), self.smoothed(target, fits)
        first = self.smoothed(results[0], fits)
        terms = (self.content(first, content, style).mean(), self.style(first, style).mean())
        nothing = made.new_zeros(())
        if len(made) == count:
            return *terms, nothing, nothing
        pixels = mean_square(made[count : 2 * count], pictures[:count])
        pixels = (pixels + mean_square(made[2 * count :], pictures[count:])).mean()
        if len(results) == 1:
            return *terms, pixels, nothing
        plain = self.fit(own)
        again = (
            self.identity(self.smoothed(results[1], plain), self.smoothed(own, plain)).mean()
            + self.identity(self.smoothed(results[2], fits), style).mean()
        )
        return *terms, pixels, again


def _parts(maps: Seen, count: int) -> Iterator[Seen]:
    """Yield the maps of so many pictures, and of those that follow."""
    total = len(next(iter(maps.values())))
    for begin in range(0, total, count):
        yield {path: each[begin : begin + count] for path, each in maps.items()}
