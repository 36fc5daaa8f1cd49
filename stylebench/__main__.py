"""``python -m stylebench``: the command line."""

import sys

if __name__ == "__main__":
    if not sys.flags.safe_path:  # the working directory comes last: what lies there is anybody's
        sys.path.append(sys.path.pop(0))
    from stylebench.cli.main import main

    main()
