"""Asks APIs by their Python SDKs: ``python -m tests.interop.apis.asking MODULE``.

It is driven by lines of JSON, as `tests.interop.presets.asking` is, and imports nothing but the
SDKs of one module of ``asks``, so that it runs in any virtual environment which has them. The
module's ``open_api`` gets the name of a client, and the case.
"""

from __future__ import annotations

import importlib
import sys

from tests.interop.presets.asking import answer_cases

AT_A_TIME = 24
"""Most calls wait: for a pause to be over, or for a time-out."""


def main() -> None:
    """Answer the cases on standard input until it ends."""
    asks = importlib.import_module(f"tests.interop.apis.asks.{sys.argv[1]}")
    answer_cases(lambda case: asks.open_api(case["client"], case), AT_A_TIME)


if __name__ == "__main__":
    main()
