"""Damaged stacks: zeroed, flipped and cut blocks; all bytes are under a digest."""

from __future__ import annotations

from benchmarks.faults.tally import Budget, Tally
from tests.store.campaign import run as examine
from tests.store.campaign import variants, write_large, write_packed, write_small

_OUTCOMES = {
    "refused": "detected",
    "harmless": "harmless",
    "wrong": "wrong",
    "silent": "wrong",
    "crashed": "crashed",
    "traceback": "crashed",
    "hung": "hung",
}
_BATCH = 200


def run(budget: Budget) -> Tally:
    """Damage a small stack with all outputs, a pack of two, and a large stack."""
    tally = budget.tally("stacks")
    for write, share in ((write_small, 0.6), (write_packed, 0.3), (write_large, 0.1)):
        path = write(budget.scratch / f"{write.__name__}.h5")
        count = int(budget.most * share)
        chosen = variants(path.stat().st_size, count, seed=budget.seed)
        for start in range(0, len(chosen), _BATCH):
            if budget.is_spent(tally.tried):
                return tally
            for outcome, number in examine(path, chosen[start : start + _BATCH]).items():
                for _ in range(number):
                    tally.add(_OUTCOMES[outcome], f"{path.name}, seed {budget.seed}: {outcome}")
    return tally
