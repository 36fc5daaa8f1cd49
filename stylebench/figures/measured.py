"""Sheets of pictures with scores under them.

Style and content always stand beside each other: neither alone is the quality.
"""

import pandas as pd
from matplotlib.figure import Figure

from stylebench.figures import sheet
from stylebench.figures.arms import in_common, judged, labelled
from stylebench.figures.claims import PARTS
from stylebench.figures.dots import columns
from stylebench.figures.sheet import Look
from stylebench.store import Results


def notes(frame: pd.DataFrame) -> tuple[dict[str, str], str]:
    """Return a line for under each picture by job_id, and what it means.

    Style is the Gram share under each judge of all arms; content is SSIM, and where no job has a
    content term the texture's share stands in its place.

    Args:
        frame: of `judged`.
    """
    frame = in_common(frame.dropna(subset="value"))
    last, word, about = "texture_share", "texture", "texture: share of its distance covered"
    if frame["content_weight"].any():
        last, word, about = "ssim", "SSIM", "SSIM: with the content"
    found = columns(frame)
    style = [column for column in found if column.metric == "gram_share"]
    parts = {"style": style, word: [column for column in found if column.metric == last]}
    lines: dict[str, str] = {}
    for job, own in frame.groupby("job_id"):
        told = []
        for name, those in parts.items():
            values = [f"{share:z.2f}" for column in those for share in column.of(own)["value"]]
            told += [f"{name} {', '.join(values)}"] if values else []
        lines[str(job)] = "  ".join(told)
    judges = ", ".join(column.judge for column in style)
    meaning = f"style: share of the Gram distance covered, judge {judges}; " if style else ""
    return lines, f"{meaning}{about}."


def _placed(jobs: pd.DataFrame) -> pd.DataFrame:
    """Return jobs with row and column: of what differs, that with the fewest values makes rows."""
    counts = {axis: jobs[axis].nunique() for axis in PARTS}
    used = [axis for axis in PARTS if counts[axis] > 1] or ["backbone"]
    row = min(used, key=lambda axis: counts[axis]) if len(used) > 1 else ""
    across = [axis for axis in used if axis != row]
    texts = jobs[across].astype(str).agg(", ".join, axis=1)
    order = texts[jobs.sort_values(across, kind="stable").index].drop_duplicates()
    return jobs.assign(row=jobs[row] if row else "", column=pd.Categorical(texts, order))


def pictures(
    results: Results, jobs: pd.DataFrame | None = None, *, told: str = "", look: Look | None = None
) -> Figure:
    """Return the sheet of pictures of jobs, with a line of scores under each where there are any.

    Args:
        results: the folder that has the pictures.
        jobs: of `arms.labelled`, all by default: rows are the values of backbone, smoothing or
            setting, whichever has the fewest, columns those of the others.
        told: a line under the sheet.
        look: of the sheet; the usual one by default.
    """
    lines, meaning = notes(judged(results)) if len(results.metrics) else ({}, "")
    jobs = labelled(results.results) if jobs is None else jobs
    look = look or Look()
    return sheet.draw(results, _placed(jobs), notes=lines, told=[meaning, told], look=look)
