"""The plain way: an evaluation as published scripts make it, which ours are measured against."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from stylebench.backbones.spec import BackboneSpec, normalised
from stylebench.config import LossSpec

Step = Callable[[], object]


class Plain:
    """One picture, by the whole network in float32 and its default layout.

    Forward past the last layer in use, maps by forward hooks, the content loss and a Gram loss for
    each style layer as relative errors with the default weights of `LossSpec`, torch.optim.LBFGS as
    it is by default, from the content picture.

    Args:
        spec: says the nodes, and what the network takes for a picture.
        network: with weights; on the device of the pictures. It is changed: it gets hooks.
        content: (1, 3, H, W) in [0, 1].
        style: (1, 3, H', W').

    Attributes:
        image: (1, 3, H, W), what is optimised.

    Raises:
        AttributeError: a node that is no module, which hooks do not reach.
        RuntimeError: a picture too small for the layers behind the last node.
    """

    def __init__(
        self, spec: BackboneSpec, network: nn.Module, content: Tensor, style: Tensor
    ) -> None:
        self._order = spec.order
        self._network = network.eval().requires_grad_(False).to(content.device)
        self._mean, self._std = (
            content.new_tensor(each).view(1, 3, 1, 1) for each in (spec.mean, spec.std)
        )
        self._maps: dict[str, Tensor] = {}
        for path in spec.nodes:
            network.get_submodule(path).register_forward_hook(self._keeper(path))
        with torch.no_grad():
            self._content = spec.content.path, self._see(content)[spec.content.path]
            seen = self._see(style)
            self._style = [(node.path, gram(seen[node.path])) for node in spec.style]
        self.image = content.clone(memory_format=torch.contiguous_format).requires_grad_()
        self._optimiser = torch.optim.LBFGS([self.image], max_iter=1)

    def _keeper(self, path: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        def keep(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            self._maps[path] = output

        return keep

    def _see(self, image: Tensor) -> dict[str, Tensor]:
        self._network(normalised(image, self._order, self._mean, self._std))
        return dict(self._maps)

    def loss(self, image: Tensor) -> Tensor:
        """Return the loss of a picture (1, 3, H, W)."""
        seen, weights = self._see(image), LossSpec()
        path, target = self._content
        loss = weights.content_weight * mse_loss(seen[path], target) / target.square().mean()
        for path, target in self._style:
            error = mse_loss(gram(seen[path]), target) / target.square().mean()
            loss = loss + weights.style_weight * error
        return loss

    def step(self) -> float:
        """Evaluate the loss and its gradient, take a step, and return the loss before it."""

        def closure() -> Tensor:
            self._optimiser.zero_grad()
            loss = self.loss(self.image)
            loss.backward()  # type: ignore[no-untyped-call]
            return loss

        loss: Tensor = self._optimiser.step(closure)  # type: ignore[no-untyped-call]
        return float(loss.detach())


def gram(value: Tensor) -> Tensor:
    """Return the Gram matrix (1, D, D) of maps (1, D, H, W), over their entries."""
    flat = value.flatten(2)
    return flat @ flat.mT / flat[0].numel()
