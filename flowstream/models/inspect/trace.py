"""Trace of a network: each use of its parts, in order of execution."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision.ops.misc import Permute
from torchvision.ops.stochastic_depth import StochasticDepth

# Parts that compute nothing in evaluation mode.
_IGNORED = (
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
    """Identification of one use of a part: its name, and the number of uses before.

    Consecutive uses, as of a recurrent cell at each frame, count as one.
    """

    name: str
    use: int


@dataclass
class Use:
    """One use of a part, or several consecutive ones, with the output of the last."""

    key: Key
    module: nn.Module
    output: Tensor
    """Output as (n, C, positions ...), with frames unfolded from the batch."""
    flops: int
    """FLOPs of the part itself, without those of the parts that it calls."""
    whole: bool
    """True if the part calls no other part."""
    times: int = 1


@dataclass
class _Running:
    """Part that is running."""

    begun: int
    inner: int = 0
    whole: bool = True


@dataclass
class _Watch:
    """State of the hooks: the parts that run and have run."""

    count: int
    flops: Callable[[], int]
    report: Callable[[Use], None]
    stack: list[_Running] = field(default_factory=list)
    uses: dict[str, int] = field(default_factory=dict)
    last: str | None = None
    layouts: dict[tuple[int, ...], int] = field(default_factory=dict)

    def begin(self, *_: object) -> None:
        """Record the start of a part."""
        if self.stack:
            self.stack[-1].whole = False
        self.stack.append(_Running(self.flops()))

    def end(self, name: str, module: nn.Module, output: Any) -> None:
        """Record the end of a part and report it."""
        running = self.stack.pop()
        spent = self.flops() - running.begun
        if self.stack:
            self.stack[-1].inner += spent
        ignored = isinstance(module, _IGNORED)
        if ignored or (running.whole and isinstance(module, nn.Sequential)):
            return
        if running.whole and name != self.last:
            self.uses[name] = self.uses.get(name, -1) + 1
        if running.whole:
            self.last = name
        key = Key(name, self.uses.get(name, 0))
        maps = self._reorder(module, _first_tensor(output))
        self.report(Use(key, module, maps, spent - running.inner, running.whole))

    def _reorder(self, module: nn.Module, output: Tensor) -> Tensor:
        """Reorder an output to (n, C, positions ...)."""
        axis = self._channel_axis(module, output)
        self.layouts[tuple(output.shape)] = axis
        output = output.movedim(axis, 1)
        if len(output) == self.count:
            return output
        folded = output.reshape(self.count, -1, *output.shape[1:])
        return folded.movedim(2, 1)  # frames or positions become the first position

    def _channel_axis(self, module: nn.Module, output: Tensor) -> int:
        if isinstance(module, _CHANNELS_LAST) or type(module) is nn.LayerNorm:
            return output.ndim - 1
        if isinstance(module, _CHANNELS_FIRST):
            return 1
        # Activations and similar parts keep the axis of channels.
        known = self.layouts.get(tuple(output.shape))
        return known if known is not None else (1 if output.ndim > 3 else output.ndim - 1)


def _first_tensor(output: Any) -> Tensor:
    while not isinstance(output, Tensor):
        output = next(iter(output.values() if isinstance(output, Mapping) else output))
    return output


@contextmanager
def report_uses(
    network: nn.Module, count: int, report: Callable[[Use], None], *, count_flops: bool = True
) -> Iterator[None]:
    """Report each use of a part of a network that runs within the context.

    Parameters
    ----------
    network : torch.nn.Module
    count : int
        Number of clips n in the batch.
    report : function of a Use
        Receives each use; may raise to end the run.
    count_flops : bool
        Count FLOPs, which slows the run.
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


def trace_network(network: nn.Module, inputs: Sequence[Tensor]) -> list[Use]:
    """Return the uses of all parts that compute something themselves, in order.

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

    with report_uses(network, len(inputs[0]), keep):
        network(*inputs)
    return list(uses.values())
