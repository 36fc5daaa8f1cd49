"""The commands ``stylebench study …``; like main.py, they import nothing heavy before its use."""

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stylebench.cli import bounds, options
from stylebench.cli.progress import counted, say
from stylebench.errors import InputError, one_line

if TYPE_CHECKING:
    from stylebench.study.read import Reading

app = typer.Typer()
Study = Annotated[Path, typer.Argument(help="The folder of a study.")]


@app.callback()
def _study() -> None:
    """Ask people which of two results they prefer, and read what they say.

    Examples:

        stylebench study make results/default --question style --out study

        stylebench study read study answers/*.json
    """


@app.command()
def make(
    folder: Annotated[Path, typer.Argument(help="A results folder.")],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Write into this folder, which is new or empty.")
    ],
    arms: Annotated[
        list[str] | None,
        typer.Option(
            "--arms",
            metavar="A,B,C",
            help="Arms that meet, each as `compare` takes it; default: all. Repeatable.",
        ),
    ] = None,
    question: Annotated[
        str, typer.Option("--question", help="What is asked: `style | content | overall`.")
    ] = "style",
    pairs: Annotated[
        int | None,
        typer.Option(
            "--pairs",
            help="Comparisons, every two arms equally often; default: up to 24. Some are repeated, "
            "and there are two attention checks.",
            callback=bounds.COUNT,
        ),
    ] = None,
    language: Annotated[
        list[Path] | None,
        typer.Option(
            "--language",
            metavar="FILE.json",
            help="Another language, with the keys of `stylebench/study/templates/en.json`; one of "
            "the same code is replaced. Repeatable.",
        ),
    ] = None,
    plugin: options.Plugin = None,
) -> None:
    """Make a study of a results folder: one HTML page on which people compare two results.

    The page needs no server and tells nobody which arm is which: design.json beside it does.

    Examples:

        stylebench study make results/default --arms p-vgg19,p-resnet50 --out study

        stylebench study make results/default --arms "r-vgg19,softmax" --arms r-vgg19 --out study
    """
    from random import SystemRandom

    from stylebench import files, named, store
    from stylebench.cli import flags
    from stylebench.errors import suggestion
    from stylebench.study import design, page

    if question not in design.QUESTIONS:
        raise InputError(
            f"--question expects one of {', '.join(design.QUESTIONS)}, found {question!r}"
            f"{suggestion(question, design.QUESTIONS)}"
        )
    named.check_free(out)
    results = store.load(folder)
    texts = page.languages(language or [])
    made = design.make(results, question, arms or [], pairs, flags.command())
    html = page.build(made, results, texts, SystemRandom())
    out.mkdir(parents=True, exist_ok=True)
    design.write(made, results, out)
    files.write_text(out / design.PAGE, html, out)
    counts = [f"{len(made.of_kind(kind))} {told}" for kind, told in (
        ("pair", "comparisons"), ("repeat", "repeats"), ("check", "attention checks"))]  # fmt: skip
    say(
        f"{out / design.PAGE}: {', '.join(counts)}; {len(html.encode()) / 1e6:.1f} MB, "
        f"{', '.join(text.name for text in texts)}",
        f"{out / design.DESIGN} tells which arm is which: keep it to yourself",
        f"give people the page, or run `stylebench study serve {out}`; then "
        f"`stylebench study read {out} ANSWERS.json…`",
    )


@app.command()
def serve(
    study: Study,
    host: Annotated[
        str, typer.Option("--host", help="Serve at this address; default: this machine alone.")
    ] = "127.0.0.1",
    port: Annotated[
        int,
        typer.Option(
            "--port", help="Serve at this port; 0 takes a free one.", callback=bounds.PORT
        ),
    ] = 8021,
) -> None:
    """Serve the page of a study, and take answers into its folder `answers`, until Ctrl-C.

    Answers are sent without encryption: in other networks put a server with TLS before it.

    Examples:

        stylebench study serve study

        stylebench study serve study --host 192.168.0.2 --port 8080
    """
    from stylebench.study.serve import Server

    with Server(study, host, port, say) as server:
        say(f"{server.address}: Ctrl-C ends")
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()


@app.command("read")
def read_(
    study: Study,
    answers: Annotated[list[Path], typer.Argument(help="Answer files, each of a participant.")],
    results: Annotated[
        Path | None,
        typer.Option("--results", help="Take metrics of this folder, if it was judged since."),
    ] = None,
) -> None:
    """Read the answers of a study: which arm is preferred, how far people agree, which metric does.

    Bradley–Terry scores with bootstrap 95 % intervals over participants and pairs of pictures,
    Krippendorff's alpha, repeats answered alike, Spearman's ρ of each metric with preferences.
    Tables go into the study's folder. Files that do not count are named.

    Examples:

        stylebench study read study answers/*.json

        stylebench study read study study/answers/*.json --results results/default
    """
    from stylebench.study import answers as given
    from stylebench.study import design, read

    made = design.read(study)
    metrics = read.metrics_of(made, study, results)
    participants = given.gather(answers, made)
    left = [each for each in participants if each.left_out]
    for each in left:
        say(f"{each.name}: left out: {each.left_out}", error=True)
    found = read.read(made, metrics, participants)
    read.write(found, study)
    say(*_lines(found), f"tables: {study / 'tables'}")


def _lines(found: "Reading") -> list[str]:
    """Return what a study says, as lines."""
    from stylebench.cli.show import table

    scores, metrics = found.tables["scores"], found.tables["metrics"]
    label = ["SIMULATED: programs gave these answers, no people"] if found.simulated else []
    tag = " (simulated)" if found.simulated else ""
    counts = scores.iloc[0]
    people, pairs = int(counts["participants"]), int(counts["pairs"])
    told = f"{counted(people, 'participant')}, {counted(pairs, 'pair')} of pictures"
    if (people == 1) != (pairs == 1):
        other = ("pictures", "people") if people == 1 else ("people", "pictures")
        told += "; with one, intervals speak of other {} and of no other {}".format(*other)
    rows = [[f"question: {found.design.question}{tag}", "score", "95 % interval", "won"]]
    rows += [
        [one_line(row["arm"]), f"{row['score']:+z.2f}", _interval(row["low"], row["high"]),
         f"{100 * row['won']:.0f} %"]
        for row in scores.to_dict("records")
    ]  # fmt: skip
    agreement = found.tables["agreement"].to_dict("records")
    lines = [*label, told, *table(rows), ""]
    lines += [f"{row['measure']}{tag}  {_number(row['value'], '.2f')}" for row in agreement]
    if len(metrics):
        head = [f"metric{tag}", "judge", "ρ", "95 % interval", "same side", "comparisons"]
        body = [
            [one_line(row["metric"]), one_line(f"{row['judge']} {row['judge_weights']}".strip()),
             _number(row["rho"], "+z.2f"), _interval(row["low"], row["high"]),
             _number(row["same_side"], ".0%"), str(row["comparisons"])]
            for row in metrics.to_dict("records")
        ]  # fmt: skip
        lines += ["", *table([head, *body])]
    else:
        lines += ["", "no metrics: judge the results (`stylebench judge`), then --results DIR"]
    return lines


def _number(value: float, how: str) -> str:
    return format(value, how) if value == value else "–"


def _interval(low: float, high: float) -> str:
    return f"[{low:+z.2f}, {high:+z.2f}]" if low == low else ""
