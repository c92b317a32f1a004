"""What happens inside a network while it runs: every use of a part, in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision.ops.misc import Permute
from torchvision.ops.stochastic_depth import StochasticDepth

# What computes nothing in evaluation.
_SILENT = (
    nn.Identity,
    nn.Flatten,
    Permute,
    StochasticDepth,
    nn.modules.dropout._DropoutNd,
)
_CHANNELS_LAST = (nn.Linear, nn.MultiheadAttention, nn.RNNBase, nn.Embedding)
_CHANNELS_FIRST = (
    nn.modules.conv._ConvNd,
    nn.modules.batchnorm._NormBase,
    nn.modules.pooling._MaxPoolNd,
    nn.modules.pooling._AvgPoolNd,
    nn.modules.pooling._AdaptiveAvgPoolNd,
    nn.modules.pooling._AdaptiveMaxPoolNd,
)


class Key(NamedTuple):
    """Which use of a part: its name as in `named_modules`, and how many came before it.

    Uses in a row, as of a recurrent cell at each moment, count as one.
    """

    name: str
    use: int


@dataclass
class Use:
    """One use of a part, or several in a row, of which `output` is the last one's."""

    key: Key
    module: nn.Module
    output: Tensor
    """(n, C, positions ...): channels moved to the front, moments unfolded from the batch."""
    flops: int
    """Of its own: those of the parts that it used are theirs."""
    whole: bool
    """Whether it used no other part."""
    times: int = 1


@dataclass
class _Running:
    """A part between its beginning and its end."""

    begun: int
    inner: int = 0
    whole: bool = True


@dataclass
class _Watch:
    """The hooks' memory: what runs now, and what has run."""

    count: int
    flops: Callable[[], int]
    report: Callable[[Use], None]
    stack: list[_Running] = field(default_factory=list)
    uses: dict[str, int] = field(default_factory=dict)
    last: str | None = None
    layouts: dict[tuple[int, ...], int] = field(default_factory=dict)

    def begin(self, *_: object) -> None:
        """A part begins."""
        if self.stack:
            self.stack[-1].whole = False
        self.stack.append(_Running(self.flops()))

    def end(self, name: str, module: nn.Module, output: Any) -> None:
        """A part ends with an output."""
        running = self.stack.pop()
        spent = self.flops() - running.begun
        if self.stack:
            self.stack[-1].inner += spent
        silent = isinstance(module, _SILENT)
        if silent or (running.whole and isinstance(module, nn.Sequential)):
            return
        if running.whole and name != self.last:
            self.uses[name] = self.uses.get(name, -1) + 1
        if running.whole:
            self.last = name
        key = Key(name, self.uses.get(name, 0))
        maps = self._unfolded(module, _first_tensor(output))
        self.report(Use(key, module, maps, spent - running.inner, running.whole))

    def _unfolded(self, module: nn.Module, output: Tensor) -> Tensor:
        """(n, C, positions ...) of an output, wherever its channels are."""
        axis = self._channel_axis(module, output)
        self.layouts[tuple(output.shape)] = axis
        output = output.movedim(axis, 1)
        if len(output) == self.count:
            return output
        folded = output.reshape(self.count, -1, *output.shape[1:])
        return folded.movedim(2, 1)  # moments, or places, become the first position

    def _channel_axis(self, module: nn.Module, output: Tensor) -> int:
        if isinstance(module, _CHANNELS_LAST) or type(module) is nn.LayerNorm:
            return output.ndim - 1
        if isinstance(module, _CHANNELS_FIRST):
            return 1
        # Activations and the like leave channels where they were.
        known = self.layouts.get(tuple(output.shape))
        return known if known is not None else (1 if output.ndim > 3 else output.ndim - 1)


def _first_tensor(output: Any) -> Tensor:
    while not isinstance(output, Tensor):
        output = next(iter(output.values() if isinstance(output, Mapping) else output))
    return output


@contextmanager
def watched(
    network: nn.Module, count: int, report: Callable[[Use], None], *, count_flops: bool = True
) -> Iterator[None]:
    """Within it, each use of a part of the network is reported as it ends.

    Parameters
    ----------
    network : torch.nn.Module
    count : int
        n: clips of the batch that it will run on.
    report : function of a Use
        May raise, to end the run.
    count_flops : bool
        Counting slows a run.
    """
    counter = FlopCounterMode(display=False) if count_flops else None
    watch = _Watch(count, counter.get_total_flops if counter else lambda: 0, report)
    handles = []
    for name, module in network.named_modules():
        handles.append(module.register_forward_pre_hook(watch.begin))

        def end(module: nn.Module, _: object, output: Any, *, name: str = name) -> None:
            watch.end(name, module, output)

        handles.append(module.register_forward_hook(end))
    try:
        with counter or nullcontext():
            yield
    finally:
        for handle in handles:
            handle.remove()


def run(network: nn.Module, inputs: Sequence[Tensor]) -> list[Use]:
    """All uses of parts worth a row: those that use no other, or that do work beside them.

    The network itself is always the last.
    """
    uses: dict[Key, Use] = {}

    def keep(use: Use) -> None:
        own = next(iter(use.module.parameters(recurse=False)), None)
        if not (use.whole or use.flops or own is not None or use.module is network):
            return
        if use.key in uses:
            use.times += uses[use.key].times
            use.flops += uses[use.key].flops
        uses[use.key] = use

    with watched(network, len(inputs[0]), keep):
        network(*inputs)
    return list(uses.values())
