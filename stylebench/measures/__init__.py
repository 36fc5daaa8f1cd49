"""What is measured: statistics of feature maps, metrics of results, and their judges."""
