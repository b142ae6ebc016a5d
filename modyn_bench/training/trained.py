"""A trained model, and what its trainer carries on with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import nn

    from modyn_bench.data.preprocessing import Preprocessor
    from modyn_bench.training.optimizers import OptimizerState
    from modyn_bench.training.records import SampleRecords


@dataclass
class TrainedModel:
    """A model, what its trainer carries on, and what training it cost.

    Attributes:
        module: The model, on the CPU: built anew and filled with the state that training led to. What a model keeps
            elsewhere while it trains, such as a counter in Python, is no part of it, as it is none of a saved model.
        preprocessor: Fitted on the first trigger's data, or on all.
        built_at: The key that the module's initialisation was seeded with; building it anew gives the same module, what
            its state does not hold included, such as buffers that are not persistent.
        optimizer_states: Of each optimiser, by its name, if the next training carries them on; else empty.
        records: What downsampling policies recorded of samples, by the policy's name.
        num_epochs: Epochs begun.
        num_optimizer_steps: Steps of all optimisers together count once.
        forward_passes: Samples passed forward, those that were only scored included.
        backward_passes: Samples passed backward.
        num_scored: Samples passed forward to be scored. This and what follows is not saved.
        scoring_seconds: Seconds of scoring and choosing.
        uses: Of each sample of the selection, ``num_uses`` and ``sum_of_weights``; empty without a downsampling policy.
    """

    module: nn.Module
    preprocessor: Preprocessor
    built_at: int = 0
    optimizer_states: dict[str, OptimizerState] = field(default_factory=dict)
    records: dict[str, SampleRecords] = field(default_factory=dict)
    num_epochs: int = 0
    num_optimizer_steps: int = 0
    forward_passes: float = 0.0
    backward_passes: float = 0.0
    num_scored: int = 0
    scoring_seconds: float = 0.0
    uses: dict[str, NDArray[Any]] = field(default_factory=dict)

    @property
    def num_parameters(self) -> int:
        """Number of the model's parameters, at least 1."""
        return num_parameters(self.module)


def num_parameters(module: nn.Module) -> int:
    """Return the number of a model's parameters, at least 1."""
    return max(sum(parameter.numel() for parameter in module.parameters()), 1)
