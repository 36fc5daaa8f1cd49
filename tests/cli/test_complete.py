"""What a shell is told at the tab key, and that it need not wait for it."""

import os
import subprocess
import sys

import pytest

from stylebench.transfer.smoothing import SMOOTHINGS
from tests.often import often

CODE = """
import sys
sys.argv[0] = "stylebench"
from stylebench.cli.main import main
try:
    main()
finally:
    loaded = {"torch", "torchvision", "timm", "mlflow", "matplotlib", "pandas"} & {*sys.modules}
    print(*sorted(loaded), file=sys.stderr)
"""

COMPLETIONS = {
    "sweep smo": ["smoke", "smoothing"],
    "sweep experiments/smo": [],  # the shell's own: files
    "sweep --arch r-vgg19,p-resnet5": ["r-vgg19,p-resnet50"],
    "sweep --smoothing none,softmax-": [
        f"none,{name}" for name in SMOOTHINGS if name.startswith("softmax-")
    ],
    "stats --content ch": ["chelsea", "china"],
    "transfer chelsea mo": ["mosaic", "motorcycle"],
    "ls e": ["experiments"],
    "train s": ["sanet"],
}  # fmt: skip


@pytest.mark.parametrize(
    "line",
    often({"sweep smo", "sweep --arch r-vgg19,p-resnet5", "transfer chelsea mo"}, COMPLETIONS),
)
def test_completion(line: str) -> None:
    words = {"COMP_WORDS": f"stylebench {line}", "COMP_CWORD": str(len(line.split()))}
    done = subprocess.run(
        [sys.executable, "-c", CODE],
        env={**os.environ, **words, "_STYLEBENCH_COMPLETE": "complete_bash"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.split() == COMPLETIONS[line]
    assert done.stderr.strip() == ""
