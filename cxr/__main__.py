"""``python -m cxr`` is the command ``cxr``."""

import sys

from cxr.cli import main

if __name__ == "__main__":
    sys.exit(main())
