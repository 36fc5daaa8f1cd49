"""Backbones: networks with named nodes, from which feature maps are taken."""
