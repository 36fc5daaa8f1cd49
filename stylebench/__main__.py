"""``python -m stylebench``: the command line."""

from stylebench.cli.main import main

if __name__ == "__main__":
    main()
