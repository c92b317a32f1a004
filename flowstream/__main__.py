"""The `flowstream` command: `python -m flowstream` and the console script."""

from __future__ import annotations

import signal


def run() -> None:
    """Run the command line; an interrupt while it is imported ends the process without a word."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from flowstream.cli import main

    main(prog_name="flowstream")


if __name__ == "__main__":
    run()
