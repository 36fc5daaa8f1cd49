"""``stylebench bench``: measure closure evaluations, show them, compare them with earlier ones."""
