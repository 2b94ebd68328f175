"""Starts the command from its own folder only: files of a search, such as a random.py, are no part of it."""

import os
import sys

here = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [here, os.path.join(here, "packages")]

from hyperpilot_steering.command import main

sys.exit(main(sys.argv[1:]))
