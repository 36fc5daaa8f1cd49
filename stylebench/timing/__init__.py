"""Time, memory and disk: measured by ``stylebench bench``, estimated by ``stylebench plan``."""
