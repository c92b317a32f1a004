"""Number of threads of networks, shared with the other programs of a machine."""

from __future__ import annotations

import os

# The threads of OpenMP, which torch computes with, wait for work by spinning. Two trainings on one
# machine then take each other's cores. Measured on 2 cores that other programs used too, a step of
# a small CNN with two threads: 334, 478, 1081 ms for 1, 2, 3 processes that spin, and 174, 239,
# 298 ms for those that sleep.
_SETTINGS = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0", "KMP_BLOCKTIME": "0"}


def share_cores() -> None:
    """Let idle threads of OpenMP sleep; call it before torch is loaded.

    Environment variables that the user has set are kept.
    """
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
