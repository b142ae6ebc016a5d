"""Schemas of the configuration groups that no class of their own describes; the names of keys are public.

Plain dataclasses: names, types, defaults and ranges. The YAML files in ``conf`` hold the same keys; the preflight
merges them into these schemas, so that a wrong key or type is answered before anything starts. ``Any`` stands where
the value is a union that OmegaConf cannot express; ``check`` of the owner reads it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

from modyn_bench.errors import RequestError
from modyn_bench.timespan import parse_duration, parse_offset, parse_time


def _at_least(key: str, value: float | None, bound: float) -> None:
    if value is not None and value < bound:
        raise RequestError(f"{key}={value} must be at least {bound}")


def _one_of(key: str, value: object, allowed: tuple[object, ...]) -> None:
    if value not in allowed:
        raise RequestError(f"{key}={value!r} must be one of {', '.join(map(str, allowed))}")


@dataclass
class ReplayConfig:
    """How the train split is replayed.

    Attributes:
        start: First point in time to replay, inclusive: an ISO date or UTC seconds; ``None`` is the first sample.
        stop: End of the replay, exclusive; ``None`` is the end of the data.
        chunk_size: Samples handed out at once; changes speed and memory, never a result.
        flush: Train on the rest when the stream ends.
        label_delay: Seconds or a duration between a sample and its label; 0 for none.
        max_triggers: Stop after this many triggers that trained.
        activation_delay: Time between a trigger's decision and the model's being in service: a duration, 0, a rate as
            ``{per_sample: seconds}``, or ``measured`` for the seconds of selection and training (not reproducible).
    """

    start: Any = None
    stop: Any = None
    chunk_size: int = 16_384
    flush: bool = True
    label_delay: Any = 0
    max_triggers: int | None = None
    activation_delay: Any = 0

    def check(self) -> None:
        """Raise ``RequestError`` if a value is out of range."""
        _at_least("replay.chunk_size", self.chunk_size, 1)
        _at_least("replay.max_triggers", self.max_triggers, 1)
        start = None if self.start is None else parse_time(self.start, "replay.start")
        stop = None if self.stop is None else parse_time(self.stop, "replay.stop")
        if start is not None and stop is not None and stop <= start:
            raise RequestError(f"replay.stop={self.stop} must be later than replay.start={self.start}")
        if self.label_delay != 0:
            parse_duration(self.label_delay, "replay.label_delay")
        delay = self.activation_delay
        if isinstance(delay, dict):
            if set(delay) != {"per_sample"} or not isinstance(delay["per_sample"], (int, float)):
                raise RequestError(
                    f"replay.activation_delay={delay} must be a duration, 0, {{per_sample: seconds}} or measured"
                )
            _at_least("replay.activation_delay.per_sample", delay["per_sample"], 0)
        elif delay not in (0, "measured"):
            parse_duration(delay, "replay.activation_delay")

    @property
    def label_delay_seconds(self) -> int:
        """The label delay in seconds."""
        return 0 if self.label_delay == 0 else parse_duration(self.label_delay, "replay.label_delay")


_PRECISIONS = ("32-true", "64-true", "bf16-mixed", "bf16-true", "16-mixed", "16-true")
_STEPS_ON_MORE = {
    "torch.optim.LBFGS": "a closure that computes the loss again",
    "torch.optim.lr_scheduler.ReduceLROnPlateau": "a validation metric",
}


@dataclass
class TrainingConfig:
    """How a model is trained at a trigger.

    Attributes:
        epochs: Passes over the trigger training set.
        num_samples: Train on this many samples (whole batches, as many epochs as it takes) instead of ``epochs``.
        budget: ``epochs``, or ``sample_passes``: use as many sample passes, scoring and second models included, as
            ``epochs`` over all data in the selector's scope would take.
        batch_size: Samples per forward pass and device.
        accumulate: Batches whose gradients are summed into one optimiser step.
        clip_norm: Bound on the global gradient norm; ``None`` for none.
        shuffle: Draw a new order every epoch.
        drop_last: Leave out the last, smaller batch of an epoch.
        optimizer: ``{_target_, ...}`` for one optimiser, or ``{name: {_target_, params, ...}}`` for several; ``params``
            is a regular expression over parameter names, ``groups`` a list of ``{params, ...}`` with own options.
        schedule: ``{_target_, interval: step | epoch, ...}`` or ``None``; an argument ``total_steps`` (or ``T_max``,
            ``total_iters``) left null is filled with the real number of optimiser steps (or epochs).
        loss: ``{_target_, ...}`` of a loss with ``reduction="none"``.
        start_from: ``previous``, ``scratch`` or ``pretrained``.
        initial_weights: A safetensors file that the first model (``previous``) or every one (``pretrained``) starts
            from.
        fresh_layers: Layers that ``initial_weights`` does not fill, by the beginning of their names, such as ``fc``.
        augmentation: What training batches, and no others, are changed by at random: ``{_target_, ...}`` for one
            augmentation, ``{name: {_target_, ...}}`` for several in the order of their names, ``None`` for none.
        carry_optimizer: Keep the optimiser's state from trigger to trigger (``start_from: previous`` only).
        fit_on: Data that preprocessing is fitted on: ``first_trigger`` or ``all`` (which looks into the future).
        accelerator: Lightning's: ``cpu``, ``gpu``, ``mps``.
        devices: Devices that train together, each in a process of its own; a step then has as many times more samples.
        precision: Lightning's: ``32-true``, ``64-true``, ``bf16-mixed``, ``bf16-true``, and, where the device is no
            CPU, ``16-mixed`` and ``16-true``.
        compile: Compile the model with ``torch.compile``.
        deterministic: Use deterministic algorithms only.
        threads: Threads that torch computes with, in each process.
    """

    epochs: int = 3
    num_samples: int | None = None
    budget: str = "epochs"
    batch_size: int = 128
    accumulate: int = 1
    clip_norm: float | None = None
    shuffle: bool = True
    drop_last: bool = False
    optimizer: dict[str, Any] = field(default_factory=dict)
    schedule: dict[str, Any] | None = None
    loss: dict[str, Any] = field(default_factory=lambda: {"_target_": "torch.nn.CrossEntropyLoss"})
    start_from: str = "previous"
    initial_weights: str | None = None
    fresh_layers: list[str] = field(default_factory=list)
    augmentation: dict[str, Any] | None = None
    carry_optimizer: bool = False
    fit_on: str = "first_trigger"
    accelerator: str = "cpu"
    devices: int = 1
    precision: str = "32-true"
    compile: bool = False
    deterministic: bool = True
    threads: int = 1

    def check(self) -> None:
        """Raise ``RequestError`` if a value is out of range."""
        for key in ("epochs", "batch_size", "accumulate", "num_samples", "devices", "threads"):
            _at_least(f"training.{key}", getattr(self, key), 1)
        if self.clip_norm is not None and self.clip_norm <= 0:
            raise RequestError(f"training.clip_norm={self.clip_norm} must be above 0, or null")
        _one_of("training.budget", self.budget, ("epochs", "sample_passes"))
        if self.budget == "sample_passes" and self.num_samples is not None:
            raise RequestError(
                f"training.num_samples={self.num_samples} and training.budget=sample_passes exclude each other: "
                "give one"
            )
        _one_of("training.start_from", self.start_from, ("previous", "scratch", "pretrained"))
        _one_of("training.fit_on", self.fit_on, ("first_trigger", "all"))
        _one_of("training.accelerator", self.accelerator, ("cpu", "gpu", "cuda", "mps"))
        _one_of("training.precision", self.precision, _PRECISIONS)
        if self.devices > 1 and self.accelerator == "mps":
            raise RequestError(f"training.devices={self.devices}: training.accelerator=mps has one device")
        if self.precision.startswith("16-") and self.accelerator == "cpu":
            raise RequestError(
                f"training.precision={self.precision} is for GPUs: with training.accelerator=cpu use bf16-mixed"
            )
        for key, node in (("optimizer", self.optimizer), ("schedule", self.schedule or {})):
            for target in (inner.get("_target_") for inner in (node, *node.values()) if isinstance(inner, Mapping)):
                if target in _STEPS_ON_MORE:
                    raise RequestError(
                        f"training.{key}._target_={target} cannot be used: its step needs {_STEPS_ON_MORE[target]}, "
                        "which trainings here have not"
                    )
        if self.start_from == "pretrained" and self.initial_weights is None:
            raise RequestError("training.start_from=pretrained needs training.initial_weights, a safetensors file")
        if self.fresh_layers and self.initial_weights is None:
            raise RequestError(
                f"training.fresh_layers={self.fresh_layers} needs training.initial_weights: without them all layers "
                "are fresh"
            )
        if self.carry_optimizer and self.start_from != "previous":
            raise RequestError("training.carry_optimizer=true needs training.start_from=previous")
        if not self.optimizer:
            raise RequestError("training.optimizer is empty: give one with _target_, such as torch.optim.SGD")


@dataclass
class WindowsConfig:
    """One named set of evaluation windows over the test split.

    Attributes:
        kind: ``sliced`` (consecutive, ``every`` long), ``sliding`` (``[t - radius, t + radius)`` for t every
            ``every``), ``static`` (``intervals``), ``between_triggers``, ``offset`` (``offsets`` relative to the time
            range of each model's data).
        every: A duration, or ``auto``: the longest of a ladder of durations that gives at least 40 windows.
        calendar: ``month`` or ``year`` for calendar windows instead of ``every``.
        radius: Half the length of a sliding window.
        start: First window's start, or centre for sliding windows: a date or seconds; default: the first test sample.
            Calendar windows begin with the period that holds it.
        end: No window starts (sliding: is centred) at or after this, and between triggers none reaches beyond it;
            default: after the last test sample.
        anchor: ``start`` or ``center``; default: ``center`` for sliding windows, else ``start``.
        intervals: ``[[start, end], ...]`` for static windows; a null end is after the last test sample.
        offsets: For offset windows: durations such as ``1y`` and ``-1y``, ``0``, ``inf``, ``-inf``.
    """

    kind: str = "sliced"
    every: Any = "auto"
    calendar: str | None = None
    radius: Any = None
    start: Any = None
    end: Any = None
    anchor: str | None = None
    intervals: list[Any] | None = None
    offsets: list[Any] | None = None

    def check(self, name: str) -> None:
        """Raise ``RequestError`` if a value is out of range."""
        at = f"evaluation.windows.{name}"
        _one_of(f"{at}.kind", self.kind, ("sliced", "sliding", "static", "between_triggers", "offset"))
        _one_of(f"{at}.anchor", self.anchor, (None, "start", "center"))
        _one_of(f"{at}.calendar", self.calendar, (None, "month", "year"))
        if self.every != "auto":
            parse_duration(self.every, f"{at}.every")
        if self.kind == "sliding":
            if self.radius is None:
                raise RequestError(f"{at}.radius is missing: a sliding window needs half its length, such as 1y")
            parse_duration(self.radius, f"{at}.radius")
        for key in ("start", "end"):
            if getattr(self, key) is not None:
                parse_time(getattr(self, key), f"{at}.{key}")
        if self.start is not None and self.end is not None and parse_time(self.end) <= parse_time(self.start):
            raise RequestError(f"{at}.end={self.end} must be later than {at}.start={self.start}")
        if self.kind == "static":
            self._check_intervals(at)
        if self.kind == "offset":
            if not self.offsets:
                raise RequestError(f"{at}.offsets is missing: a list of durations such as [-1y, 0, 1y]")
            for offset in self.offsets:
                parse_offset(offset, f"{at}.offsets")

    def _check_intervals(self, at: str) -> None:
        if not self.intervals:
            raise RequestError(f"{at}.intervals is missing: static windows are a list of [start, end]")
        for interval in self.intervals:
            if not isinstance(interval, Sequence) or isinstance(interval, str) or len(interval) != 2:
                raise RequestError(f"{at}.intervals: {interval!r} is not a pair [start, end]")
            start, end = (None if time is None else parse_time(time, f"{at}.intervals") for time in interval)
            if start is not None and end is not None and end <= start:
                raise RequestError(f"{at}.intervals: {interval!r} must end after it starts")


@dataclass
class EvaluationConfig:
    """What is computed from the kept predictions.

    Attributes:
        windows: Named sets of windows.
        metrics: ``accuracy``, ``top_<k>_accuracy``, ``f1_macro|micro|weighted|binary``, ``roc_auc``, ``loss``, ``ece``.
        f1_classes: F1 is averaged over classes ``present`` in labels or predictions, or over ``all``.
        ece_bins: Number of equal-width confidence bins.
        roc_auc_max_classes: ``roc_auc`` is refused above this many classes: it needs the probabilities of all of them.
        min_window_samples: A window with fewer test samples has undefined metrics.
        aggregates: ``mean``, ``time_weighted``, ``sample_weighted`` over windows.
        models: ``all``, or ``composite`` for the cells that a composite model serves.
        batch_size: Samples per forward pass when predicting; changes bits, so it is part of a run's identity.
        max_probabilities_bytes: Budget of one model's class probabilities, needed for ``roc_auc``.
        split: The split that is evaluated.
    """

    windows: dict[str, WindowsConfig] = field(default_factory=dict)
    metrics: list[str] = field(default_factory=lambda: ["accuracy"])
    f1_classes: str = "present"
    ece_bins: int = 15
    roc_auc_max_classes: int = 20
    min_window_samples: int = 1
    aggregates: list[str] = field(default_factory=lambda: ["mean", "time_weighted", "sample_weighted"])
    models: str = "all"
    batch_size: int = 4096
    max_probabilities_bytes: int = 268_435_456
    split: str = "test"

    def check(self) -> None:
        """Raise ``RequestError`` if a value is out of range; metric names are checked by ``metrics``."""
        if not self.windows:
            raise RequestError("evaluation.windows is empty: name at least one set, such as {sliced: {kind: sliced}}")
        for name, windows in self.windows.items():
            windows.check(name)
        if not self.metrics:
            raise RequestError("evaluation.metrics is empty: name at least one, such as accuracy")
        for key in ("metrics", "aggregates"):
            if len(set(getattr(self, key))) < len(getattr(self, key)):
                raise RequestError(f"evaluation.{key}={getattr(self, key)} names one twice")
        _one_of("evaluation.f1_classes", self.f1_classes, ("present", "all"))
        _one_of("evaluation.models", self.models, ("all", "composite"))
        for aggregate in self.aggregates:
            _one_of("evaluation.aggregates", aggregate, ("mean", "time_weighted", "sample_weighted"))
        for key in ("ece_bins", "roc_auc_max_classes", "min_window_samples", "batch_size"):
            _at_least(f"evaluation.{key}", getattr(self, key), 1)


@dataclass
class RunsConfig:
    """What a run keeps on disk.

    Attributes:
        keep_models: ``last`` (what a resume needs) or ``all``.
    """

    keep_models: str = "last"

    def check(self) -> None:
        """Raise ``RequestError`` if a value is out of range."""
        _one_of("runs.keep_models", self.keep_models, ("last", "all"))


@dataclass
class LoggerConfig:
    """Where a run is logged besides its own tables.

    Attributes:
        kind: ``wandb`` or ``none``.
        project: The W&B project.
        entity: The W&B entity; ``None`` is the account's default.
        mode: ``offline``, ``online`` or ``disabled``.
        group: The W&B group; ``None``: the sweep's name or hash.
        tags: The W&B tags.
        log_models: Upload models as artifacts.
    """

    kind: str = "wandb"
    project: str = "modyn_bench"
    entity: str | None = None
    mode: str = "offline"
    group: str | None = None
    tags: list[str] = field(default_factory=list)
    log_models: bool = False

    def check(self) -> None:
        """Raise ``RequestError`` if a value is out of range."""
        _one_of("logger.kind", self.kind, ("wandb", "none"))
        _one_of("logger.mode", self.mode, ("offline", "online", "disabled"))


SECTIONS: dict[str, type] = {
    "evaluation": EvaluationConfig,
    "logger": LoggerConfig,
    "replay": ReplayConfig,
    "runs": RunsConfig,
    "training": TrainingConfig,
}
"""The sections of a configuration that have a schema."""

Section = TypeVar("Section")


def section(schema: type[Section], values: Mapping[str, Any]) -> Section:
    """Make a section of the configuration from its resolved keys, and check its ranges.

    Raises:
        RequestError: If a key is unknown or a value out of range.

    Example:
        >>> section(ReplayConfig, {"chunk_size": 7}).chunk_size
        7
    """
    known = {item.name for item in fields(schema)}  # type: ignore[arg-type]
    unknown = sorted(set(values) - known)
    if unknown:
        raise RequestError(
            f"{schema.__name__} has no key {', '.join(unknown)}: its keys are {', '.join(sorted(known))}"
        )
    made = schema(**values)
    if not isinstance(made, WindowsConfig):
        made.check()  # type: ignore[attr-defined]
    return made


def evaluation_config(values: Mapping[str, Any]) -> EvaluationConfig:
    """Make the ``evaluation`` section, its named window sets included.

    Raises:
        RequestError: If a key is unknown or a value out of range.
    """
    windows = {name: section(WindowsConfig, options) for name, options in (values.get("windows") or {}).items()}
    return section(EvaluationConfig, {**values, "windows": windows})
