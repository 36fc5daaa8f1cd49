"""What a shell completes: names of backbones, smoothings, pictures and experiments.

A shell calls this at every press of the tab key, so nothing here imports torch.
"""

from collections.abc import Iterable


def _last(names: Iterable[str], incomplete: str) -> list[str]:
    """Return completions of the last name of a comma list."""
    before, comma, last = incomplete.rpartition(",")
    return [before + comma + name for name in names if name.startswith(last)]


def archs(incomplete: str) -> list[str]:
    """Return backbones, without timm's thousand."""
    from stylebench.backbones import names

    return _last(["all", *names.known()], incomplete)


def smoothings(incomplete: str) -> list[str]:
    """Return smoothings."""
    from stylebench.transfer.smoothing import SMOOTHINGS

    return _last(SMOOTHINGS, incomplete)


def photographs(incomplete: str) -> list[str]:
    """Return built-in photographs; a shell adds files where none fits."""
    from stylebench.images import PHOTOGRAPHS

    return _last(PHOTOGRAPHS, incomplete)


def styles(incomplete: str) -> list[str]:
    """Return built-in paintings and photographs, either of which may be a style."""
    from stylebench.images import PAINTINGS, PHOTOGRAPHS

    return _last([*PAINTINGS, *PHOTOGRAPHS], incomplete)


def experiments(incomplete: str) -> list[str]:
    """Return shipped experiments; a shell adds files where none fits."""
    return _shipped("", incomplete)


def trainings(incomplete: str) -> list[str]:
    """Return shipped trainings; a shell adds files where none fits."""
    return _shipped("train", incomplete)


def classifiers(incomplete: str) -> list[str]:
    """Return shipped experiments of classifiers; a shell adds files where none fits."""
    return _shipped("accuracy", incomplete)


def _shipped(kind: str, incomplete: str) -> list[str]:
    from stylebench.sweeps.reading import shipped

    return [name for name in shipped(kind) if name.startswith(incomplete)]


def kinds(incomplete: str) -> list[str]:
    """Return what ``stylebench ls`` lists."""
    from stylebench.cli.show import KINDS

    return [kind for kind in KINDS if kind.startswith(incomplete)]
