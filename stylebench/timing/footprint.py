"""How much disk jobs need, before they run, and how large weights are."""

from collections.abc import Iterable

from stylebench.backbones import names
from stylebench.config import Spec, StatisticsSpec
from stylebench.timing.estimate import pixels

PNG = 2.4
"""Bytes a pixel of a lossless picture: means of 17 sweeps are from 1.8 to 3.0."""
COPIES = 2
"""Of each picture and record: in the job's folder, and MLflow's."""
PREVIEW = 0.25
"""Bytes a pixel of the JPEG in OUT/images."""
FOLDER = 40e3
"""Bytes of a job beside its pictures: records, metrics, folders, and blocks that are not full."""
TRACKED = 30e3
"""Bytes of a job in MLflow's database, without its trace."""
EVALUATION = 1.1e3
"""Bytes of an evaluation: four metrics in MLflow's database, a row of trace.parquet."""
NETWORK = 20e3
"""Bytes of the statistics of a backbone."""
SWEEP, SHEETS = 2.5e6, 10e3
"""Bytes of figures, tables and an empty database; and what each stylisation adds to figures."""


def disk(specs: Iterable[Spec]) -> float:
    """Return the bytes that a sweep of jobs puts into its folder, MLflow's own copies included.

    Measured over 18 sweeps of 8 to 210 jobs at 128 to 256 px, blocks of 4096 bytes: they took 0.82
    to 1.13 times as much. MLflow keeps what came before, too: with jobs that were run again, and
    figures that were drawn under other names, 1.0 to 2.0 times.
    """
    specs = list(specs)
    return SWEEP * bool(specs) + sum(_bytes(spec) for spec in specs)


def _bytes(spec: Spec) -> float:
    if isinstance(spec, StatisticsSpec):
        return NETWORK
    content, style = (
        pixels(image.ref, spec.size, spec.resize) for image in (spec.content, spec.style)
    )
    pictures = COPIES * PNG * (2 * content + style) + PREVIEW * content
    return pictures + FOLDER + TRACKED + SHEETS + EVALUATION * spec.evals


def download(spec: Spec) -> float:
    """Return the bytes of a backbone's weights in float32, the file that is downloaded."""
    network = names.find(spec.arch).sketch({})
    return 4.0 * sum(parameter.numel() for parameter in network.parameters())
