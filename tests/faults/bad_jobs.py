"""Jobs that cannot succeed beside jobs that can: NaN, a backbone that raises, a lost picture.

python -m tests.faults.bad_jobs
"""

from functools import partial
from pathlib import Path

from PIL import Image

from stylebench import store
from stylebench.config import JobSpec, OptimiserSpec
from tests.faults import sweeps
from tests.faults.outcome import Outcome, main

NAN = {"name": "adam", "learning_rate": 1e30, "history": 10, "line_search": "strong_wolfe",
       "first_step": 1.0}  # fmt: skip


def _config(folder: Path) -> Path:
    """Write a sweep whose losses are NaN in one variant, and whose third content is a file."""
    picture = folder / "mine.png"
    Image.radial_gradient("L").convert("RGB").resize((64, 48)).save(picture)
    return sweeps.write(
        folder / "faults.yaml",
        arch=["r-tiny", "r-timm:inception_v3"],
        smoothing=["none"],
        content=["chelsea", "coffee", str(picture)],
        style=["brush"],
        evals=500,
        variants=[{"seed": [0]}, {"arch": ["r-tiny"], "optimiser": NAN}],
    )


def _begun(out: Path) -> bool:
    return any(out.glob("jobs/[!.]*"))


def _outcomes(out: Path) -> dict[str, list[store.JobRecord]]:
    found: dict[str, list[store.JobRecord]] = {}
    for record in store.records(out):
        spec = record.stylisation
        assert isinstance(spec, JobSpec)
        kind = "the rest"
        if spec.optimiser == OptimiserSpec.model_validate(NAN):
            kind = "NaN"
        elif "inception" in spec.arch:
            kind = "raises"
        elif spec.content.name == "mine":
            kind = "lost picture"
        found.setdefault(kind, []).append(record)
    return found


def measure(times: int) -> list[Outcome]:
    """Run the sweep, and remove the picture when its first job is finished."""
    outcomes = []
    for _ in range(times):
        with sweeps.folder() as folder:
            config, out = _config(folder), folder / "out"
            process = sweeps.start(config, out, "--batch", 1)
            sweeps.wait_for(partial(_begun, out))
            (folder / "mine.png").unlink()
            _, errors = process.communicate()
            found = _outcomes(out)
        reasons = {
            kind: next((r.error for r in records if r.status == "failed"), "none failed")
            for kind, records in found.items()
            if kind != "the rest"
        }
        fine = [record.status for record in found.get("the rest", [])]
        met = (
            all(r.status == "failed" and r.error for k in reasons for r in found[k])
            and set(reasons) == {"NaN", "raises", "lost picture"}
            and fine == ["ok", "ok"]
            and (process.returncode, errors) == (1, "")
        )
        said = "; ".join(f"{kind}: {reason}" for kind, reason in reasons.items())
        outcomes.append(
            Outcome(
                "a loss of NaN, a backbone that raises, a picture deleted in mid-sweep",
                "that job failed with its reason, the rest fine",
                f"{said}; the rest: {', '.join(fine)}; exit {process.returncode} {errors[-200:]}",
                met,
            )
        )
    return outcomes


if __name__ == "__main__":
    main(measure, 1, str(__doc__))
