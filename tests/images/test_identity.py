"""Identity hangs on no processor and no library's rounding: digests of pictures, and job ids."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from stylebench import images
from stylebench.errors import InputError
from stylebench.sweeps import plan
from stylebench.sweeps.job import load_image
from stylebench.sweeps.settings import SweepConfig

OTHER_PROCESSOR = {
    "JSIMD_FORCENONE": "1",  # libjpeg-turbo's C code in place of its vector instructions
    "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA,-FMA4,-AVX512F",  # other sin, exp, pow
    "OPENBLAS_CORETYPE": "Prescott",
    "ATEN_CPU_CAPABILITY": "default",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
    "OMP_NUM_THREADS": "1",
}
AT_256 = {
    "astronaut": "dc70d3df833780b9",
    "chelsea": "d26d23394eb861e7",
    "coffee": "01616969019d2fd6",
    "rocket": "d0c6c601416f7281",
    "motorcycle": "90f3e0ede3aa2aab",
    "hubble": "f1eca13f5b126f35",
    "ihc": "c73aa9abc06bc60b",
    "retina": "155c3f3109280dd0",
    "china": "d12777a72c52efe5",
    "flower": "43dd2dcae1d282fe",
    "brush": "1fc6399d581d4f21",
    "pointillism": "2074f227dc584039",
    "mosaic": "e66a6304ac060e8d",
    "woodcut": "6f1a7ff43ea33ad5",
    "stained-glass": "49b3bbab8179b94d",
}
"""First digits of the digests at 256 px: others are other jobs, as with another decoder of JPEG."""
SWEEP = SweepConfig(
    arch=("r-resnet18+batchnorm=calibrated", "r-timm:convnext_atto", "r-vgg11+rescale=mean"),
    content=("china",), style=("brush",), size=96, precision="fp32",
)  # fmt: skip


def identities() -> tuple[dict[str, list[str]], list[str]]:
    """Return the digests of all built-in pictures at four sizes, and the job ids of a sweep."""
    names = [*images.PHOTOGRAPHS, *images.PAINTINGS]
    made = plan.expand(SWEEP)
    ids = [job.job_id for job in made.jobs] + [job.job_id for job in made.statistics]
    sizes = (32, 100, 256, 640)
    return {n: [images.digest("builtin:" + n, s) for s in sizes] for n in names}, ids


CODE = """
import json
from tests.images.test_identity import identities
print(json.dumps(identities()))
"""


def test_builtins_have_the_digests_that_they_had() -> None:
    found = {name: images.digest(f"builtin:{name}", 256)[:16] for name in images.builtins()}
    assert found == AT_256


@pytest.mark.slow
def test_digests_and_job_ids_are_those_of_another_processor() -> None:
    """What controls measure, how weights begin and what a picture is are computed by either."""
    root = str(Path(__file__).parents[2])
    ran = subprocess.run(
        [sys.executable, "-c", CODE], env={**os.environ, **OTHER_PROCESSOR, "PYTHONPATH": root},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    digests, ids = json.loads(ran.stdout.splitlines()[-1])
    assert len(digests) == 15
    assert (digests, ids) == identities()


def test_a_builtin_that_is_read_otherwise_here_is_told() -> None:
    planned = plan.expand(SWEEP.model_copy(update={"arch": ("r-tiny",)})).jobs[0]
    other = planned.content.model_copy(update={"digest": "0" * 32})
    with pytest.raises(InputError, match=r"builtin:china: .* other pixels here .* Pillow"):
        load_image(other, 96, "aspect", "cpu")
