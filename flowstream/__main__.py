"""The `flowstream` command as `python -m flowstream`."""

from __future__ import annotations

from flowstream.cli import main

if __name__ == "__main__":
    main(prog_name="flowstream")
