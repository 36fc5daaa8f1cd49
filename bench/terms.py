"""Weights of a training's terms by which they pull as hard as another's: ``python bench/terms.py``.

For each method, network and smoothing of experiments/feedforward.yaml, those at which the gradients
of the content and the style term, at mixtures of half a content and half a style, have the norms
that they have in the method's quick training. They stand in experiments/train.
"""

import argparse
import itertools
from pathlib import Path

import torch

from stylebench import runtime
from stylebench.images import ROLES
from stylebench.stylisers.settings import METHODS
from stylebench.stylisers.training import Training
from stylebench.sweeps.training import load_training

NETWORKS = ("", "p-resnet50", "r-vgg19", "r-resnet50")
"""The first is the encoder."""
SMOOTHINGS = ("none", "softmax-fitted")
SEED = 7
"""Of the crops, which are those of no training here."""


def gradients(method: str, network: str, smoothing: str, steps: int) -> tuple[float, float]:
    """Return the norms of the gradients of content and style term, means over so many batches."""
    loss = {"network": network, "smoothing": smoothing, "balance": "none"}
    how = load_training(Path(method), {"loss": loss, "precision": "fp32"})
    training = Training(how, Path("results/none"))
    seer, found = training.loss_network(), []
    for step in range(steps):
        crops = [training.pools[role].draw(SEED, step, how.batch) for role in ROLES]
        pictures = torch.cat(crops)
        with torch.no_grad():
            maps = seer.backbone(pictures)
        made = torch.stack(crops).mean(dim=0).requires_grad_()
        terms = seer.terms(made, pictures, maps)[:2]
        norms = [torch.autograd.grad(term, made, retain_graph=True)[0].norm() for term in terms]
        found.append(torch.stack(norms))
    content, style = torch.stack(found).mean(dim=0).tolist()
    return content, style


def main() -> None:
    """Print a line for each training."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=2, help="batches (default: 2)")
    steps = parser.parse_args().steps
    runtime.configure()
    for method in METHODS:
        own = load_training(Path(method)).loss
        content, style = gradients(method, *("", "none"), steps)
        for network, smoothing in itertools.product(NETWORKS, SMOOTHINGS):
            c, s = gradients(method, network, smoothing, steps)
            weights = (own.content_weight * content / c, own.style_weight * style / s)
            told = "content_weight: {:.2g}, style_weight: {:.2g}".format(*weights)
            print(f"{method}  {network or own.network or 'the encoder'}  {smoothing}  {told}")


if __name__ == "__main__":
    main()
