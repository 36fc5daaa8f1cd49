"""What the tests of backbones share: VGG's classifiers, which the bench cuts off, are not drawn."""

from collections.abc import Iterator
from typing import Any

import pytest
from torch import Tensor, nn

from stylebench.backbones import extractor

LARGE = 10**7
"""Of as many weights are the linear layers of VGG and AlexNet, which take a second to draw."""


@pytest.fixture(scope="module", autouse=True)
def _undrawn_classifiers() -> Iterator[None]:
    drawn, normal = nn.Linear.reset_parameters, nn.init.normal_

    def reset_parameters(layer: nn.Linear) -> None:
        if layer.weight.numel() < LARGE:
            drawn(layer)

    def normal_(tensor: Tensor, *args: Any, **keys: Any) -> Tensor:
        return normal(tensor, *args, **keys) if tensor.numel() < LARGE else tensor

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(nn.Linear, "reset_parameters", reset_parameters)
        patched.setattr(nn.init, "normal_", normal_)
        extractor._cached.cache_clear()
        yield
        extractor._cached.cache_clear()
