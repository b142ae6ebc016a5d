"""Models beside the one that is evaluated, such as that of the irreducible loss: trained alike, and counted."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np

from modyn_bench.errors import ContractError
from modyn_bench.types import FloatArray, IntArray, Selection

if TYPE_CHECKING:
    from modyn_bench.training.trained import TrainedModel
    from modyn_bench.training.trainer import ModelTrainer


class SecondModels:
    """Trains second models by name, each from where its own last training left off, and keeps them between triggers.

    A second model that is not trained where the one that is evaluated is, is not kept any longer: it begins anew when
    its policy asks for it again.

    Args:
        trainer: The trainer of the model that is evaluated.
    """

    def __init__(self, trainer: ModelTrainer) -> None:
        self._trainer = trainer
        self._passes: list[tuple[int, float, float]] = []  # parameters, forward, backward
        self._kept: dict[str, TrainedModel] = {}
        self._trained: dict[str, tuple[ModelTrainer, TrainedModel]] = {}  # since the last trigger
        self._saved: Path | None = None  # where an interrupted run has left them

    def train(
        self,
        name: str,
        selection: Selection,
        *,
        last_key: int,
        model: Mapping[str, Any] | None = None,
        epochs: int | None = None,
    ) -> KeptModel:
        """Train the model of a name; see ``selectors.base.TrainSecond``.

        Args:
            name: What it is called.
            selection: Keys and weights.
            last_key: The data's last key, which randomness derives from.
            model: Its configuration; ``None``: that of the model that is evaluated.
            epochs: Epochs; ``None``: as ``training`` says.

        Raises:
            ContractError: If that of this name was trained since the last trigger.
        """
        if name in self._trained:
            raise ContractError(
                f"second model {name} was trained twice at one trigger: give each a name of its own, and each part of "
                "a policy a context of its own, by context.inside"
            )
        trainer = self._trainer.second(name, model=model, epochs=epochs)
        trained = trainer.fit(selection, self._parent(name, trainer), last_key=last_key)
        self._trained[name] = trainer, trained
        self.count(trained, trained.forward_passes, trained.backward_passes)
        return KeptModel(self, trainer, trained)

    def count(self, trained: TrainedModel, forward: float, backward: float = 0.0) -> None:
        """Add sample passes of a second model."""
        self._passes.append((trained.num_parameters, forward, backward))

    def passes(self, num_parameters: int) -> tuple[float, float]:
        """Return forward and backward passes since the last trigger, as so many of a model of so many parameters."""
        forward = sum(number * forward for number, forward, _ in self._passes) / num_parameters
        backward = sum(number * backward for number, _, backward in self._passes) / num_parameters
        return forward, backward

    @property
    def names(self) -> list[str]:
        """Those that were trained since the last trigger."""
        return list(self._trained)

    def save(self, directory: Path) -> None:
        """Write the models that were trained since the last trigger beside the one that is evaluated."""
        for name, (trainer, trained) in self._trained.items():
            trainer.save(trained, _folder(directory, name))

    def settle(self, *, trained: bool) -> None:
        """Take note that a trigger is over: keep what was trained for it, and begin to count anew.

        Args:
            trained: Whether the model that is evaluated was trained; else nothing was saved, and what was kept stays.
        """
        if trained:
            self._kept = {name: model for name, (_, model) in self._trained.items()}
            self._saved = None
        self._trained, self._passes = {}, []

    def resume_from(self, directory: Path) -> None:
        """Go on from what was saved beside a model; it is read when it is needed."""
        self._saved = directory

    def _parent(self, name: str, trainer: ModelTrainer) -> TrainedModel | None:
        if name not in self._kept and self._saved is not None and _folder(self._saved, name).is_dir():
            self._kept[name] = trainer.load(_folder(self._saved, name))
        return self._kept.get(name)


def _folder(model: Path, name: str) -> Path:
    """Return where a second model lies beside the one that is evaluated; a name with a slash is one folder, too."""
    return model / "second" / quote(name, safe=" ")


class KeptModel:
    """A trained second model; implements ``selectors.base.SecondModel``."""

    def __init__(self, owner: SecondModels, trainer: ModelTrainer, trained: TrainedModel) -> None:
        self._owner = owner
        self._trainer = trainer
        self._trained = trained

    def losses(self, keys: IntArray) -> FloatArray:
        """Return the training loss of each sample, in eval mode, shape (n,)."""
        self._owner.count(self._trained, float(len(keys)))
        if not len(keys):
            return np.empty(0, dtype=np.float64)
        return self._trainer.losses(self._trained, keys)
