"""How much frames flicker, against closed forms."""

import numpy as np
import pytest

from stylebench.measures.flicker import flicker


def test_a_still_scene_flickers_by_the_change_of_its_results() -> None:
    draw = np.random.default_rng(0)
    results = [draw.integers(0, 256, (6, 5, 3), dtype=np.uint8) for _ in range(4)]
    still = [results[0]] * 4
    found = flicker(results, still)
    stack = np.stack(results).astype(float)
    assert found.excess == pytest.approx(np.abs(np.diff(stack, axis=0)).mean())
    assert found.contents == 0
    assert flicker(still, results).excess == 0
    assert flicker(results, results).excess == 0


def test_what_the_scene_changes_is_no_flicker() -> None:
    zero = np.zeros((2, 2, 3), np.uint8)
    content, result = zero.copy(), zero.copy()
    content[0], result[0], result[1] = 200, 255, 30
    found = flicker([zero, result], [zero, content])
    assert (found.excess, found.contents) == ((55 + 30) / 2, 100)
