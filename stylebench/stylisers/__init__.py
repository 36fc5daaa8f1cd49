"""Networks that stylise in one pass: AdaIN and SANet with any backbone, and published ones."""
