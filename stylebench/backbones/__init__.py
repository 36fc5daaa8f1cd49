"""Backbones: networks with named nodes, from which feature maps are taken."""

from stylebench.backbones.zoo import ARCHS, BackboneSpec, Node, expand

__all__ = ["ARCHS", "BackboneSpec", "Node", "expand"]
