"""Training a model at a trigger: initial weights, data, a fresh Lightning Trainer, and what is carried on."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from modyn_bench.config import TrainingConfig
from modyn_bench.data.preprocessing import Preprocessor
from modyn_bench.data.store import Schema, Split
from modyn_bench.errors import RequestError, RunError
from modyn_bench.inference.forward import Forward, evaluating, model_dtype, torch_device
from modyn_bench.models.build import build_model, copies_faithfully
from modyn_bench.seeding import derive_seed, forked_global_state
from modyn_bench.selectors.downsampling.base import Downsampler
from modyn_bench.training import files
from modyn_bench.training.augmentation.augmenter import Augmenter
from modyn_bench.training.budgets import plan_training
from modyn_bench.training.devices import train_together
from modyn_bench.training.initial_weights import read_initial_weights
from modyn_bench.training.lightning import collect_garbage
from modyn_bench.training.optimizers import (
    OptimizerState,
    build_optimizers,
    build_schedules,
)
from modyn_bench.training.plan import TrainingPlan
from modyn_bench.training.records import SampleRecords
from modyn_bench.training.rehearsal import Rehearsal
from modyn_bench.training.sweep import sweep
from modyn_bench.training.targets import make
from modyn_bench.training.trained import TrainedModel, num_parameters
from modyn_bench.training.work import Work, train
from modyn_bench.types import FloatArray, IntArray, Selection

_REHEARSED = 64  # samples that a rehearsal fits preprocessing on


class ModelTrainer:
    """Trains, saves and loads the models of one run.

    Args:
        model: The model's Hydra configuration: ``_target_`` and arguments.
        config: How to train.
        schema: The dataset's columns and classes.
        split: Where the samples lie.
        seed: The run's seed.

    Raises:
        RequestError: If the configuration asks for what cannot be done.
    """

    def __init__(
        self, *, model: Mapping[str, Any], config: TrainingConfig, schema: Schema, split: Split, seed: int
    ) -> None:
        config.check()
        self.config = config
        self._model = dict(model)
        self._schema = schema
        self._split = split
        self._seed = seed
        self._untrained: tuple[object, nn.Module] | None = None  # the module last built, and what it was built from
        self._loss = make(config.loss, "training.loss", reduction="none", **_options(config.loss))
        torch.set_num_threads(config.threads)

    def rehearse(self, *, embeddings_for: Sequence[str] = ()) -> None:
        """Check, before anything is trained, that device, model, data, loss, optimisers, schedule, augmentation fit.

        A model is built from the first samples, and passes two of them forward as in training and in eval mode; nothing
        of it stays.

        Args:
            embeddings_for: Who will ask the model for embeddings, such as ``selector.policies.a=k_center``.

        Raises:
            RequestError: If they do not.
        """
        device = torch_device(self.config.accelerator)
        if device.type == "cuda" and torch.cuda.device_count() < self.config.devices:
            raise RequestError(
                f"training.devices={self.config.devices}, but this machine has {torch.cuda.device_count()} GPUs"
            )
        keys = np.arange(min(len(self._split), _REHEARSED), dtype=np.int64)
        preprocessor = Preprocessor.fit(self._schema, self._split, keys)
        module = self._build(preprocessor, -1).to(device)
        self._untrained = None
        knows_shapes = not preprocessor.inputs.cardinalities  # else the first trigger's categories decide
        if self.config.initial_weights is not None and self.config.start_from != "scratch" and knows_shapes:
            read_initial_weights(module, Path(self.config.initial_weights), self.config.fresh_layers)
        plan = TrainingPlan(len(self._split), self.config, self._seed, 0, world_size=self.config.devices)
        optimizers = build_optimizers(self.config.optimizer, module)
        steps = plan.num_optimizer_steps
        build_schedules(self.config.schedule, optimizers, num_steps=steps, num_epochs=plan.num_epochs)
        rows = {name: self._split.columns[name][:2] for name in preprocessor.outputs}
        labels = torch.from_numpy(np.array(self._split.labels[:2], dtype=np.int64)).to(device)
        augmenter = None
        if self.config.augmentation is not None:
            augmenter = Augmenter(self.config.augmentation, seed=self._seed, last_key=-1)
        rehearsal = Rehearsal(
            module,
            preprocessor.transform(rows),
            num_classes=self._schema.num_classes,
            accelerator=self.config.accelerator,
            precision=self.config.precision,
        )
        with forked_global_state(self._seed, "rehearsal"):
            rehearsal.train(self._loss, labels, augmenter)
            rehearsal.evaluate(embeddings_for=embeddings_for)

    def fit(
        self,
        selection: Selection,
        parent: TrainedModel | None,
        *,
        last_key: int,
        downsampler: Downsampler | None = None,
        passes: float | None = None,
        oldest_key: int = 0,
        on_samples: Callable[[int], None] | None = None,
    ) -> TrainedModel:
        """Train a model on a selection. The parent stays as it is.

        Args:
            selection: The trigger training set.
            parent: The last model; ``None`` at the first trigger.
            last_key: The last key of the data, which all seeds derive from.
            downsampler: What chooses among the selection meanwhile; ``None``: all of it is trained on.
            passes: Sample passes that may be used, a backward one counting twice; ``None``: as ``training`` says.
            oldest_key: Records of samples with a lower key are dropped.
            on_samples: Told how many more samples are done.

        Raises:
            RequestError: If the selection is empty, or the model and the configuration do not fit together.
            RunError: If the training diverges.
        """
        plan = self.plan(len(selection), downsampler, last_key=last_key, passes=passes)
        torch.set_num_threads(self.config.threads)
        preprocessor = self._fit_preprocessor(selection) if parent is None else parent.preprocessor
        continued = parent if self.config.start_from == "previous" else None
        module, built_at = self._start(continued, preprocessor, last_key)
        records = {} if parent is None else parent.records
        recorder = None if downsampler is None else downsampler.recorder
        work = Work(
            module=module,
            config=self.config,
            plan=plan,
            loss=self._loss,
            num_classes=self._schema.num_classes,
            optimizer_states=parent.optimizer_states if parent is not None and self.config.carry_optimizer else {},
            selection=selection,
            columns=self._columns(preprocessor),
            labels=self._split.labels,
            preprocessor=preprocessor,
            downsampler=downsampler,
            continues=continued is not None,
            records=None if recorder is None else records.get(recorder.name),
            seed=self._seed,
            last_key=last_key,
        )
        outcome = train(work, on_samples=on_samples) if self.config.devices == 1 else train_together(work, on_samples)
        kept = self._build(preprocessor, built_at)
        kept.load_state_dict(module.state_dict())
        trained = TrainedModel(
            module=kept,
            preprocessor=preprocessor,
            built_at=built_at,
            optimizer_states=outcome.optimizer_states,
            num_epochs=plan.num_epochs,
            num_optimizer_steps=outcome.num_steps,
            forward_passes=float(outcome.num_trained + outcome.num_scored),
            backward_passes=float(outcome.num_trained),
            num_scored=outcome.num_scored,
            scoring_seconds=outcome.scoring_seconds,
            uses=outcome.uses,
            records={policy: of_policy.since(oldest_key) for policy, of_policy in records.items()},
        )
        if recorder is not None and outcome.recorded is not None:
            before = trained.records.get(recorder.name, SampleRecords.empty(recorder.record_size))
            trained.records[recorder.name] = before.updated(selection.keys, outcome.recorded)
        del work, module
        collect_garbage()
        return trained

    def _start(
        self, continued: TrainedModel | None, preprocessor: Preprocessor, last_key: int
    ) -> tuple[nn.Module, int]:
        """Return the model that a training begins with, and the key that its initialisation was seeded with."""
        if continued is not None:
            module = self._build(preprocessor, continued.built_at)
            module.load_state_dict(continued.module.state_dict())
            return module, continued.built_at
        module = self._build(preprocessor, last_key)
        if self.config.initial_weights is not None and self.config.start_from != "scratch":
            read_initial_weights(module, Path(self.config.initial_weights), self.config.fresh_layers)
        return module, last_key

    def _columns(self, preprocessor: Preprocessor) -> dict[str, NDArray[Any]]:
        return {name: self._split.columns[name] for name in preprocessor.outputs}

    def plan(
        self, num_samples: int, downsampler: Downsampler | None, *, last_key: int, passes: float | None = None
    ) -> TrainingPlan:
        """Return the plan of training on so many samples; see ``fit``."""
        return plan_training(num_samples, self.config, downsampler, seed=self._seed, last_key=last_key, passes=passes)

    def num_parameters(self, selection: Selection, parent: TrainedModel | None, *, last_key: int) -> int:
        """Return the number of parameters, at least 1, of the model that ``fit`` would train."""
        if parent is not None:
            return parent.num_parameters
        return num_parameters(self._build(self._fit_preprocessor(selection), last_key))

    def second(self, name: str, *, model: Mapping[str, Any] | None = None, epochs: int | None = None) -> ModelTrainer:
        """Return a trainer of a second model on the same data, whose randomness is its own.

        Another model than this trainer's starts from scratch where this trainer's starts from given weights, or from
        those that its configuration names as ``initial_weights``, but for its ``fresh_layers``.

        Args:
            name: What the model is called.
            model: Its configuration; ``None``: that of this trainer's.
            epochs: Epochs; ``None``: as many, or as many samples, as this trainer's.
        """
        config = self.config if epochs is None else replace(self.config, epochs=epochs, num_samples=None)
        if model is not None:
            model = dict(model)
            weights, fresh = model.pop("initial_weights", None), model.pop("fresh_layers", [])
            start = "scratch" if config.start_from == "pretrained" and weights is None else config.start_from
            config = replace(config, initial_weights=weights, fresh_layers=fresh, start_from=start)
        return ModelTrainer(
            model=self._model if model is None else model,
            config=replace(config, budget="epochs"),
            schema=self._schema,
            split=self._split,
            seed=derive_seed(self._seed, "second", name),
        )

    def losses(self, trained: TrainedModel, keys: IntArray) -> FloatArray:
        """Return the training loss of each sample, in eval mode, shape (n,)."""
        preprocessor = trained.preprocessor
        forward = Forward(
            trained.module,
            num_classes=self._schema.num_classes,
            device=self.config.accelerator,
            precision=self.config.precision,
        )
        losses = np.empty(len(keys), dtype=np.float64)
        with evaluating(trained.module), forked_global_state(self._seed, "losses"):
            for batch in sweep(self._columns(preprocessor), self._split.labels, keys, preprocessor):
                logits = forward(batch.inputs)
                losses[batch.positions.numpy()] = self._loss(logits, batch.labels.to(logits.device)).cpu().numpy()
        return losses

    def save(self, trained: TrainedModel, directory: Path) -> None:
        """Write a model and what the next training carries on: the same bytes for the same model.

        Args:
            trained: What to write.
            directory: Made if it is absent.
        """
        directory.mkdir(parents=True, exist_ok=True)
        aliases = files.write_weights(trained.module, directory / files.WEIGHTS)
        numbers: dict[str, Any] = {}
        policies: list[str] = []
        if trained.optimizer_states:
            numbers = files.write_optimizers(trained.optimizer_states, directory / files.OPTIMIZERS)
        if trained.records:
            policies = files.write_records(trained.records, directory / files.RECORDS)
        description = {
            "aliases": aliases,
            "built_at": trained.built_at,
            "optimizers": numbers,
            "preprocessing": trained.preprocessor.to_json(),
            "records": policies,
            "num_epochs": trained.num_epochs,
            "num_optimizer_steps": trained.num_optimizer_steps,
            "forward_passes": trained.forward_passes,
            "backward_passes": trained.backward_passes,
        }
        files.write_description(description, directory / files.DESCRIPTION)

    def load(self, directory: Path) -> TrainedModel:
        """Read a model that ``save`` of the same configuration wrote; training goes on from it bit by bit.

        Args:
            directory: Where it lies.

        Raises:
            RunError: If it is damaged, or belongs to another configuration.
        """
        values = files.read_description(directory / files.DESCRIPTION)
        try:
            preprocessor = Preprocessor.from_json(values["preprocessing"], self._schema)
            module = self._build(preprocessor, values["built_at"])
            files.read_weights(module, directory / files.WEIGHTS, values["aliases"])
            states: dict[str, OptimizerState] = {}
            if values["optimizers"]:
                states = files.read_optimizers(directory / files.OPTIMIZERS, values["optimizers"])
            policies = values["records"]
            return TrainedModel(
                module=module,
                preprocessor=preprocessor,
                built_at=values["built_at"],
                optimizer_states=states,
                records=files.read_records(directory / files.RECORDS, policies) if policies else {},
                num_epochs=values["num_epochs"],
                num_optimizer_steps=values["num_optimizer_steps"],
                forward_passes=values["forward_passes"],
                backward_passes=values["backward_passes"],
            )
        except KeyError as error:
            raise RunError(
                f"{directory / files.DESCRIPTION} lacks {error}: delete the run and start it anew"
            ) from error

    def _fit_preprocessor(self, selection: Selection) -> Preprocessor:
        everything = self.config.fit_on == "all"
        keys = np.arange(len(self._split), dtype=np.int64) if everything else selection.keys
        return Preprocessor.fit(self._schema, self._split, keys)

    def _build(self, preprocessor: Preprocessor, key: int) -> nn.Module:
        """Return the module as it is before any training, made with the randomness of a key.

        It is kept and copied where a copy is the same; a module that refers to itself elsewhere, as by a closure or a
        hook, is made anew each time.
        """
        made_from = (key, preprocessor.inputs)
        if self._untrained is not None and self._untrained[0] == made_from:
            return copy.deepcopy(self._untrained[1])
        with forked_global_state(self._seed, "training", key, "initialisation"):
            module = build_model(self._model, preprocessor.inputs).to(model_dtype(self.config.precision))
        self._untrained = None
        if copies_faithfully(module):
            self._untrained = made_from, module
            return copy.deepcopy(module)
        return module


def _options(config: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in config.items() if name not in ("_target_", "reduction")}
