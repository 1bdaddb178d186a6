"""Lets ``python -m faultinject`` do what the command does."""

import sys

from faultinject.cli import main

sys.exit(main())
