"""Style transfer: losses of feature maps, and the image that minimises them."""
