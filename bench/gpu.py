"""All that a GPU is asked: tests, speed, a profile, and as many experiments as fit; in one folder.

``python bench/gpu.py OUT`` needs torch, torchvision, timm and what pip brings besides, but no
MLflow. Each step has its time and leaves a text OUT/STEP.txt; a sweep that is stopped keeps what is
finished, and its tables. OUT/experiments has the tables, the pictures of the tables as JPEG and the
figures, without the job folders. ``--tiny`` runs every step at a toy's size, on any device.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SECONDS = 470.0
MOST = 60_000_000
"""Bytes of OUT; pictures that do not fit are left out, and told."""
LEFT = 40.0
"""Seconds that are kept of a sweep's time for its tables."""
SWEEPS = (
    ("frontier", "--profile", "full", "--arch", "p-vgg19,p-resnet50"),
    ("recipe", "--profile", "standard"),
    ("fitted", "--profile", "standard"),
    ("fig1_2", "--profile", "standard"),
    ("controls_weights", "--profile", "standard"),
    ("controls_rival", "--profile", "standard"),
    ("smoothing", "--profile", "standard"),
)
"""The most important first."""
TINY = (
    ("frontier", "--arch", "r-tiny", "--content", "chelsea", "--style", "brush", "--size", "32",
     "--evals", "3"),
)  # fmt: skip


def steps(device: str, *, tiny: bool) -> dict[str, tuple[float, list[str]]]:
    """Return name -> (seconds at most, command) of what comes before the experiments."""
    python, module = sys.executable, [sys.executable, "-m", "stylebench"]
    small = ["--arch", "tiny", "--size", "32"] if tiny else []
    batches = ["--batch", "1", "--batch", "2" if tiny else "16"]
    precisions = ["--precision", "bf16", "--precision", "fp32"]
    if device.startswith("cuda"):
        precisions += ["--precision", "tf32"]
    return {
        "tests": (120, [python, "-m", "pytest", "-q", "-m", "gpu", "tests/test_gpu.py"]),
        "bench": (120, [*module, "bench", "--device", device, *small, *batches, *precisions]),
        "closure": (100, [python, "bench/closure.py", device, *small, *batches]),
    }


def run(name: str, command: list[str], out: Path, seconds: float) -> bool:
    """Run a command, interrupt it when its time is over, tell how it ended, and whether well."""
    began, stopped, log = time.monotonic(), False, out / f"{name}.txt"
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    environment["PYTHONPATH"] = os.pathsep.join(
        filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")])
    )
    with log.open("a") as file:
        child = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=file, stderr=file)
        try:
            child.wait(max(0.0, seconds))
        except subprocess.TimeoutExpired:
            stopped = True
            child.send_signal(signal.SIGINT)
            try:
                child.wait(LEFT)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
    told = "stopped" if stopped else f"exit {child.returncode}"
    print(f"{name}: {told}, {time.monotonic() - began:.0f} s", flush=True)
    return stopped or child.returncode == 0


def keep(results: Path, out: Path) -> None:
    """Copy a results folder without its jobs, as far as there is room."""
    spent = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    left = 0
    for path in sorted(results.rglob("*"), key=lambda path: path.suffix == ".jpg"):
        own = path.relative_to(results)
        if not path.is_file() or own.parts[0] == "jobs" or own.name.startswith("."):
            continue
        if spent + path.stat().st_size > MOST:
            left += 1
            continue
        (out / own).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, out / own)
        spent += path.stat().st_size
    if left:
        print(f"{results.name}: {left} files left out, {MOST:,} bytes are the most", flush=True)


def main() -> int:
    """Read the arguments and take every step; return 1 if one ended badly by itself."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="in all")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true")
    asked = parser.parse_args()
    out = asked.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    end, well = time.monotonic() + asked.seconds, True
    for name, (seconds, command) in steps(asked.device, tiny=asked.tiny).items():
        seconds = min(seconds, end - time.monotonic())
        well &= run(name, command, out, seconds)
    for name, *flags in TINY if asked.tiny else SWEEPS:
        seconds = end - time.monotonic() - LEFT
        if seconds < LEFT and not asked.tiny:
            print(f"{name}: no time left", flush=True)
            continue
        results = out.with_name(f"{out.name}-work") / name
        command = [sys.executable, "-m", "stylebench", "sweep", name, *flags, "--device",
                   asked.device, "--tracking-uri", "off", "--out", str(results)]  # fmt: skip
        well &= run(name, command, out, seconds)
        if results.is_dir():
            keep(results, out / "experiments" / name)
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
