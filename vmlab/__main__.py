# SPDX-License-Identifier: MIT
"""`python -m vmlab`: the command, where its script is not on the path."""

import sys

from vmlab.commands.main import main

if __name__ == "__main__":
    sys.exit(main())
