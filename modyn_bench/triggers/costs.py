"""What trainings have cost, what the next one will, and what waiting for it costs."""

from __future__ import annotations

from modyn_bench.errors import RequestError
from modyn_bench.state import Stateful
from modyn_bench.triggers.forecasts import ridge
from modyn_bench.types import BACKWARD, TRAINING_STAGES, TriggerRecord

COST_MODELS = ("samples", "seconds")


class TrainingCosts(Stateful):
    """Forecasts the cost of the next training from those of the past ones.

    Args:
        cost_model: ``samples``: sample passes, a backward one counting twice, the same on every machine; ``seconds``:
            measured seconds of selection and training, which are not.
        window: Trainings that are kept.

    Raises:
        RequestError: If a value is out of range.
    """

    state_fields = ("sizes", "costs")

    def __init__(self, *, cost_model: str = "samples", window: int = 1000) -> None:
        if cost_model not in COST_MODELS:
            raise RequestError(f"trigger.cost_model={cost_model!r} must be one of {', '.join(COST_MODELS)}")
        if window < 1:
            raise RequestError(f"trigger.cost_window={window} must be at least 1")
        self.cost_model = cost_model
        self.window = window
        self.sizes: list[float] = []  # samples that the training took in
        self.costs: list[float] = []

    def on_trigger(self, record: TriggerRecord) -> None:
        """Take note of what a training cost."""
        if record.model is not None:
            self.sizes = [*self.sizes, float(record.num_labelled)][-self.window :]
            self.costs = [*self.costs, self.cost_of(record)][-self.window :]

    def cost_of(self, record: TriggerRecord) -> float:
        """Return what a training cost, in the cost model's unit."""
        if self.cost_model == "seconds":
            return sum(cost.seconds for cost in record.stages if cost.stage in TRAINING_STAGES)
        model = record.model
        return 0.0 if model is None else model.forward_passes + BACKWARD * model.backward_passes

    def forecast(self, num_samples: int) -> float:
        """Return the cost of a training that takes in so many samples; above 0.

        A line through sizes and costs with slope shrunk by a penalty of 1, but never less than the cheapest so far:
        where trainings grow whatever they take in, the line may fall. After one training it is constant.
        """
        return max(ridge(self.sizes, self.costs, at=float(num_samples), penalty=1.0), min(self.costs), 1e-9)


class RegretCurve(Stateful):
    r"""The area under a curve that grows by what happens and is reset by a training.

    With rate :math:`\rho` after some time, growing evenly by r over a block of length d, the area grows by
    :math:`\rho d + r d / 2`.

    Example:
        >>> curve = RegretCurve()
        >>> curve.grow(2.0, until=10); curve.grow(1.0, until=20)
        >>> curve.area
        25.0
    """

    state_fields = ("area", "rate", "last_time")

    def __init__(self) -> None:
        self.area = 0.0
        self.rate = 0.0
        self.last_time: int | None = None

    def grow(self, regret: float, *, until: int) -> None:
        """Add a block's regret, spread evenly over the time since the last block."""
        length = 0 if self.last_time is None else until - self.last_time
        self.area += self.rate * length + regret * length / 2.0
        self.rate += regret
        self.last_time = until

    def reset(self) -> None:
        """Begin anew after a training; time goes on."""
        self.area = self.rate = 0.0
