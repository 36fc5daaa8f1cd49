"""Names with spaces, quotes, unicode, ``../`` and 300 characters: the tests of them, counted.

python -m tests.faults.names
"""

import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree

from tests.faults.outcome import Outcome, main

TESTS = "tests/e2e/test_names.py"


def measure(times: int) -> list[Outcome]:
    """Run the tests of odd names of pictures, folders, jobs and experiments."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "found.xml"
        command = [sys.executable, "-m", "pytest", "-q", "-n", "0", f"--junitxml={place}", TESTS]
        for _ in range(times):
            ended = subprocess.run(command, check=False, stdout=sys.stderr)
        found = ElementTree.parse(place).getroot()[0].attrib
    wrong = int(found["failures"]) + int(found["errors"]) + int(found["skipped"])
    return [
        Outcome(
            "names with spaces, quotes, unicode, `../`, 300 characters, of pictures, folders, jobs "
            "and experiments",
            "right files in OUT and nowhere else, or one clear line",
            f"{found['tests']} tests of {TESTS}, {wrong} not passed",
            ended.returncode == 0 and not wrong,
        )
    ]


if __name__ == "__main__":
    main(measure, 1, str(__doc__))
