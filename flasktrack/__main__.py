"""`python -m flasktrack COMMAND`."""

import sys

from flasktrack.cli import main

if __name__ == "__main__":
    sys.exit(main())
