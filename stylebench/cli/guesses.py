"""What people type who know other tools: a word -> what it is here.

It is looked at where a command knows no such option, never before: what exists needs no suggestion.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

OPTIMISES = "--preset"
"""A flag of the commands whose results an experiment file's keys decide."""


class Hint(NamedTuple):
    """What a word is here.

    Attributes:
        needs: the flag (``--evals``) or the key of experiment files (``loss``) that has to be there
            for it; nothing if empty. Keys are for commands that have `OPTIMISES`.
        text: what to type, or what to do.
    """

    needs: str
    text: str


def _flag(text: str) -> Hint:
    return Hint(text.split()[0], text)


def _key(text: str) -> Hint:
    return Hint(text.partition(":")[0], f"`{text}` in an experiment file (stylebench sweep FILE)")


_IN_TRANSFER = "the first two arguments: stylebench transfer CONTENT STYLE"


def _in_one_pass(command: str, flag: str) -> Hint:
    return Hint(flag, f"among the arguments: stylebench {command}")


_IN_APPLY = _in_one_pass("apply MODEL CONTENT STYLE", "--style-size")
_OF_MODELS = (
    _IN_APPLY, _in_one_pass("export MODEL FILE.onnx", "--fp16"),
    _in_one_pass("demo MODEL…", "--ort"),
)  # fmt: skip
_TABLE: tuple[tuple[str, tuple[Hint, ...]], ...] = (
    ("iterations num-iterations iters num-iters niter max-iter steps num-steps epochs num-epochs",
     (_flag("--evals N (closure evaluations; an iteration takes one, or a few)"),)),
    ("gpu gpus cuda use-gpu use-cuda no-cuda cpu mps backend",
     (_flag("--device cuda (or cuda:1, cpu, mps)"),)),
    ("model backbone network net architecture encoder model-file model-name arch",
     (*_OF_MODELS, _flag("--arch NAME (stylebench ls archs)"))),
    ("image-size img-size imsize max-size resolution output-size resize-to",
     (_flag("--size PX (of the long side)"),)),
    ("output-image output-path output-file output-dir output-folder out-dir outdir output out save "
     "save-path result",
     (_flag("--output FILE"), _flag("--out FOLDER"))),
    ("content-image content-img content-path content input input-image c i",
     (_flag("--content FILES"), _IN_APPLY, Hint("--output", _IN_TRANSFER))),
    ("style-image style-img style-path style-images style s",
     (_flag("--style FILES"), _IN_APPLY, Hint("--output", _IN_TRANSFER))),
    ("style-weight style-strength strength alpha beta",
     (_flag("--strength X (times the style's weight in the preset)"),
      _key("loss: {style_weight: 20}"))),
    ("judge judges metrics",
     (Hint("--dry-run", "`judge: true` in an experiment file, or stylebench judge DIR later"),)),
    ("content-weight",
     (_flag("--strength X (the style's weight over the content's)"),
      _key("loss: {content_weight: 2}"))),
    ("tv-weight tv total-variation total-variation-weight", (_key("loss: {tv_weight: 0.01}"),)),
    ("layer-weights style-layer-weights", (_key("loss: {layer_weights: {relu5_1: 0.2}}"),)),
    ("original-colors original-colours keep-colors keep-colours preserve-color preserve-colors "
     "preserve-colour preserve-colours colors colours color-control luminance",
     (_flag("--keep-colours"), _flag("--colours luminance"), _key("colours: luminance"))),
    ("style-blend-weights blend-weights style-interpolation style-weights blend",
     (_flag("--blend 0.7,0.3"), Hint("blend", "a blend in `style:` of an experiment file"))),
    ("masks mask content-mask style-mask mask-path region regions segmentation guidance",
     (_flag("--mask FILE,FILE"), Hint("regions", "regions in `style:` of an experiment file"))),
    ("style-scale style-size",
     (_flag("--style-size PX (of the long side)"), _flag("--style-scale X"),
      _key("style_scale: 1.5"))),
    ("save-every save-iter print-iter log-interval save-interval every",
     (_flag("--every N"), Hint("--jobs", "not needed: the best of every job is kept, and traced"))),
    ("init init-image init-method initialization start",
     (_flag("--start noise"), _key("start: noise"))),
    ("frames video frame-dir temporal temporal-weight flicker init-from-previous",
     (_flag("--start previous, of a folder of frames as CONTENT"),)),
    ("optimizer optimiser optim", (_key("optimiser: {name: adam}"),)),
    ("lr learning-rate step-size",
     (_key("optimiser: {name: adam, learning_rate: 0.02}"),)),
    ("normalize-gradients balance", (_key("loss: {balance: gradient}"),)),
    ("pooling pool", (_flag("--arch NAME+pool=avg"),)),
    ("style-layers layers", (_flag("--nodes PATH,PATH…"),)),
    ("content-layers content-layer", (_flag("--content-node PATH, beside --nodes"),)),
    ("temperature t", (_flag("--smoothing softmax-mean (stylebench ls smoothings)"),)),
    ("checkpoint ckpt weights-path model-path pretrained-weights load",
     (_flag("--weights NAME=FILE"),)),
    ("pretrained", (_flag("--arch p-NAME (r-NAME has random weights)"),)),
    ("batch-size bs", (_flag("--batch N (stylisations computed together)"),
                       Hint("--output", "not needed for one picture; a sweep has --batch"))),
    ("workers num-workers n-jobs n-workers processes parallel threads ngpus",
     (_flag("--jobs N (worker processes)"),
      Hint("--output", "not needed for one picture; a sweep has --jobs"))),
    ("half fp16 amp bf16 mixed-precision dtype", (_flag("--precision bf16"),)),
    ("random-seed manual-seed seeds", (_flag("--seed N"),)),
    ("verbose v debug log-level progress", (Hint("", "not needed: what happens is told anyway"),)),
    ("quiet q silent", (_flag("--json (for machines), or send it to a file"),
                        Hint("", "not needed: send what is printed to a file"))),
    ("resume continue skip-existing",
     (Hint("--force", "not needed: finished jobs are kept, run the same command again"),)),
    ("overwrite rerun", (_flag("--force"),)),
    ("config experiment yaml",
     (Hint("--profile", "an argument: stylebench sweep FILE (stylebench ls experiments)"),)),
    ("mlflow wandb logger log-dir", (_flag("--tracking-uri ADDRESS (MLflow), or off"),)),
    ("list dry", (_flag("--dry-run"),)),
)  # fmt: skip
GUESSES: dict[str, tuple[Hint, ...]] = {
    word: hints for words, hints in _TABLE for word in words.split()
}
"""Word without dashes -> hints, of which the first that the command can follow is told."""
COMMANDS = {
    word: command
    for command, words in {
        "transfer": "stylize stylise style stylization run-transfer neural-style convert",
        "sweep": "run start launch execute experiment experiments grid",
        "ls": "list show models archs",
        "judge": "eval evaluate metrics score measure",
        "figures": "figure plot plots draw tables",
        "report": "html view page",
        "stats": "statistics stat",
        "track": "mlflow log",
        "train": "fit training",
        "export": "onnx to-onnx",
        "demo": "browser web serve gradio app",
        "apply": "infer inference predict",
        "weights get": "download fetch",
        "plan": "estimate cost",
        "study": "survey user-study preference preferences questionnaire mos",
    }.items()
    for word in words.split()
}
"""A command that is none -> what it is here."""


def _word(option: str) -> str:
    """Return an option as the table has it: without dashes in front, a value, or underscores."""
    return option.lstrip("-").partition("=")[0].replace("_", "-").lower()


def _long(args: Iterable[str]) -> Iterator[str]:
    """Yield the options with one dash and a whole word, as Lua's neural-style has them."""
    return (arg for arg in args if re.fullmatch(r"-[a-z]\w+(=.*)?", arg) and _word(arg) in GUESSES)


def _follows(hint: Hint, flags: Sequence[str]) -> bool:
    """Tell whether a hint can be followed by a command with these flags."""
    if not hint.needs or hint.needs in flags:
        return True
    if hint.needs.startswith("--"):
        return False
    from stylebench.config import JobSpec

    return OPTIMISES in flags and hint.needs in JobSpec.model_fields


def _of_optimisation(context: Any, option: str) -> str:
    """Return what tells that an option of ``apply`` is one of ``transfer``; "" if it is none."""
    if context.command.name != "apply":
        return ""
    other = context.find_root().command.commands["transfer"]
    flags = [flag for each in other.params for flag in each.opts if flag.startswith("--")]
    word = _word(option)
    hints = (hint.text for hint in GUESSES.get(word, ()) if hint.needs in flags)
    here = next(hints, f"--{word}" if f"--{word}" in flags else "")
    return here and f"{here} is of stylebench transfer, which optimises; apply makes one pass"


def _of_value(error: Any) -> str:
    """Return what a flag expects and what it was given, where its value is of another type."""
    cause, flag = error.__cause__, getattr(error, "param", None)
    if flag is None or not hasattr(cause, "errors"):
        return ""
    from stylebench.config import first_problem

    _, expected, found = first_problem(cause)
    return f"{flag.opts[0]} {expected.replace('expected', 'expects', 1)}, found {found!r:.40}"


def told(error: Any, args: Sequence[str]) -> str:
    """Return what to print of wrong usage: with what it is here, where that is known.

    Args:
        error: a `UsageError` of click's.
        args: what was typed behind ``stylebench``.
    """
    text = _of_value(error) or str(error.format_message())
    context = getattr(error, "ctx", None)
    if found := re.fullmatch(r"No such command '(.*?)'.*", text):
        here = COMMANDS.get(found[1].lower())
        return f"No such command {found[1]!r}; here it is: stylebench {here}" if here else text
    if context is None:
        return text
    option = getattr(error, "option_name", "") if hasattr(error, "possibilities") else ""
    if not option.startswith("--"):
        option = next(_long(args), option)
    flags = [flag for each in context.command.params for flag in each.opts]
    hints = GUESSES.get(_word(option), ())
    hint = next((hint.text for hint in hints if _follows(hint, flags)), "")
    if not hint:
        other = _of_optimisation(context, option)
        return f"No such option: {option}; {other}" if other else text
    here = hint if hint.startswith("not needed") else f"here it is {hint}"
    return f"No such option: {option}; {here}"
