"""The whole method on one page: replay, decide, select, train, predict, commit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from modyn_bench import interruption
from modyn_bench.bookkeeping import (
    Cursor,
    StageClock,
    check_decision_point,
    check_kind,
    check_selection,
    decision_records,
    trigger_record,
)
from modyn_bench.config import EvaluationConfig, ReplayConfig
from modyn_bench.data.named import NamedColumns
from modyn_bench.data.replay import Replay
from modyn_bench.data.store import SampleStore
from modyn_bench.errors import RunError
from modyn_bench.inference.predict import predict
from modyn_bench.inference.view import ModelView
from modyn_bench.observer import Observer, RunStart
from modyn_bench.runs.directory import RunDirectory
from modyn_bench.seeding import derive
from modyn_bench.selectors.base import SelectionContext, Selector
from modyn_bench.training.second import SecondModels
from modyn_bench.training.trained import TrainedModel
from modyn_bench.training.trainer import ModelTrainer
from modyn_bench.triggers.base import Trigger
from modyn_bench.types import (
    BACKWARD,
    Arrivals,
    Decision,
    DecisionRecord,
    IntArray,
    Predictions,
    Selection,
    TriggerRecord,
)


class Pipeline:
    """Replays a dataset, retrains when the trigger fires on what the selector returns, and commits every trigger.

    A run that was interrupted goes on after its last committed trigger, and ends with the same bytes.

    Args:
        store: The dataset.
        trigger: When to retrain.
        selector: On which samples.
        trainer: How.
        run: The open run directory; committed triggers are resumed from.
        replay: Which part of the stream, and the delays.
        evaluation: Batch size and split of the predictions.
        keep_probabilities: Whether a metric needs all class probabilities.
        seed: The run's seed.
        device: Where models predict.
        precision: Lightning's name of the precision that they predict in.
        observers: Who is told.
    """

    def __init__(
        self,
        *,
        store: SampleStore,
        trigger: Trigger,
        selector: Selector,
        trainer: ModelTrainer,
        run: RunDirectory,
        replay: ReplayConfig,
        evaluation: EvaluationConfig,
        keep_probabilities: bool = False,
        seed: int = 0,
        device: str = "cpu",
        precision: str = "32-true",
        observers: Sequence[Observer] = (),
    ) -> None:
        self.train_split = store.splits["train"]
        self.test_split = store.splits[evaluation.split]
        self.trigger = trigger
        self.selector = selector
        self.trainer = trainer
        self.second_models = SecondModels(trainer)
        self.run_directory = run
        self.replay_config = replay
        self.evaluation = evaluation
        self.keep_probabilities = keep_probabilities
        self.seed = seed
        self.device = device
        self.precision = precision
        self.observers = observers
        self.replay = Replay(self.train_split, replay)
        self.columns = NamedColumns(store.schema, self.train_split)
        self.clock = StageClock()
        self.decisions: list[DecisionRecord] = []  # since the last trigger
        self.model: TrainedModel | None = None
        self.first_model: TrainedModel | None = None  # where the trigger uses it
        first = self.replay.first_key
        self.cursor = Cursor(first, self.replay.first_time, since_key=first, since_labelled=first)
        self.view = self._new_view(None)

    def run(self) -> None:
        """Replay the stream to its end, and commit every trigger and what comes after the last one."""
        self._resume()
        for arrivals in self.clock.timed("replay", self.replay.chunks(self.cursor.next_key)):
            self._advance(arrivals)
            if self._exhausted:
                break
        if self.replay_config.flush and not self._exhausted:
            self._flush()
        with self.run_directory.begin(None) as tail:
            tail.write_decisions(self.decisions)
            tail.write_stages(self.clock.costs())

    @property
    def _exhausted(self) -> bool:
        limit = self.replay_config.max_triggers
        return limit is not None and self.cursor.num_trained >= limit

    def _advance(self, arrivals: Arrivals) -> None:
        """Take a chunk: up to each decision in it, and then the rest."""
        while len(arrivals) and not self._exhausted:
            with self.clock.measure("decide"):
                point = self.trigger.next_decision(arrivals)
            if point is not None:
                check_decision_point(point, self.trigger, self.cursor, arrivals)
            part, arrivals = arrivals.split(len(arrivals) if point is None else point.position)
            if len(part):
                with self.clock.measure("decide", num_samples=len(part)):
                    self.trigger.consume(part)
                with self.clock.measure("select"):
                    self.selector.consume(part)
                self.clock.add("replay", num_samples=len(part))
                self.cursor.next_key = int(part.keys[-1]) + 1
                self.cursor.last_time = int(part.timestamps[-1])
                for observer in self.observers:
                    observer.on_arrivals(self.cursor.last_time, self.cursor.next_key - self.replay.first_key)
            if point is not None:
                self._decide(self.cursor.last_time if point.time is None else point.time)

    def _decide(self, now: int) -> None:
        """Ask the trigger, log what it says, and act on it."""
        num_labelled = self.replay.num_labelled(now, self.cursor.next_key)
        self.view.move_to(time=now, num_arrived=self.cursor.next_key, num_labelled=num_labelled)
        passes = self.view.forward_passes
        with self.clock.measure("decide"):
            decision = self.trigger.decide(self.view)
            check_kind(decision, Decision, self.trigger, "decide")
        passes = self.view.forward_passes - passes
        self.clock.add("decide", forward_passes=passes)
        self.cursor.num_empty_periods += decision.num_empty_periods
        something_new = self.cursor.next_key > self.cursor.since_key or num_labelled > self.cursor.since_labelled
        fires = decision.fired and something_new
        index = self.cursor.trigger_index if fires else None
        records = list(
            decision_records(
                decision,
                self.trigger.name,
                trigger_index=index,
                at=now,
                num_samples_seen=self.cursor.next_key - self.replay.first_key,
                forward_passes=passes,
            )
        )
        self.decisions.extend(records)
        for observer in self.observers:
            observer.on_decisions(records)
        if fires:
            self._fire(now, num_labelled)
        elif decision.fired:  # nothing to train on: absorbed
            self.cursor.num_empty_periods += 1

    def _flush(self) -> None:
        """Train on the rest when the stream has ended and its last label has arrived."""
        now = self.replay.last_time + self.replay.label_delay
        num_labelled = self.replay.stop_key
        if self.cursor.next_key > self.cursor.since_key or num_labelled > self.cursor.since_labelled:
            self._fire(now, num_labelled)

    def _fire(self, now: int, num_labelled: int) -> None:
        """Select, train, predict, tell the policies, and commit: one trigger."""
        index = self.cursor.trigger_index
        selection, scope = self._select(index, num_labelled)
        predictions = None
        if len(selection):
            self._train(selection, scope, num_labelled - 1, index)
            predictions = self._predict(index)
        record = self._record(now, num_labelled, selection)
        self.trigger.on_trigger(record)
        self.selector.on_trigger(record, selection)
        self.cursor.trigger_index += 1
        self.cursor.num_trained += record.model is not None
        self.cursor.since_key = self.cursor.next_key
        self.cursor.since_labelled = num_labelled
        self.cursor.num_empty_periods = 0
        self._commit(record, selection, predictions)
        self.second_models.settle(trained=record.model is not None)
        self.decisions = []
        self.clock.clear()
        self.view = self._new_view(self.cursor.num_trained - 1 if self.model is not None else None)
        for observer in self.observers:
            observer.on_trigger(record)
        interruption.check()

    def _select(self, index: int, num_labelled: int) -> tuple[Selection, range]:
        """Return the trigger training set, and the keys that it could be chosen from."""
        self._announce("select", index, num_labelled - self.cursor.since_labelled)
        last_key = num_labelled - 1
        context = SelectionContext(
            trigger_index=index,
            num_labelled=num_labelled,
            generator=derive(self.seed, "selection", last_key),
            labels=partial(self.replay.labels_of, num_labelled=num_labelled),
            timestamps=self.replay.timestamps_of,
            seed=self.seed,
            column=self.columns,
            train=partial(self.second_models.train, last_key=last_key),
        )
        with self.clock.measure("select"):
            selection = self.selector.select(context)
            check_selection(selection, self.selector, self.replay.first_key, num_labelled)
            scope = self.selector.scope(context)
        self.clock.add("select", num_samples=len(selection))
        return selection, scope

    def _train(self, selection: Selection, scope: range, last_key: int, index: int) -> None:
        """Train a model, on as many sample passes as it may use."""
        forward, backward = self._passes_of_second_models(selection, last_key)
        self.clock.add("select", forward_passes=forward, backward_passes=backward)
        passes, epochs = None, self.trainer.config.epochs
        if self.trainer.config.budget == "sample_passes":
            passes = epochs * len(scope) * (1.0 + BACKWARD) - forward - BACKWARD * backward
            if passes <= 0:
                raise RunError(
                    f"training.budget=sample_passes: the second models {', '.join(self.second_models.names)} used all "
                    f"that training.epochs={epochs} over {len(scope):,} samples may use; train them for fewer epochs, "
                    "as by irreducible_epochs of rho_loss"
                )
        downsampler = self.selector.downsampler
        plan = self.trainer.plan(len(selection), downsampler, last_key=last_key, passes=passes)
        self._announce("train", index, plan.num_gathered)
        with self.clock.measure("train", num_samples=len(selection)):
            self.model = self.trainer.fit(
                selection,
                self.model,
                last_key=last_key,
                downsampler=downsampler,
                passes=passes,
                oldest_key=self.selector.oldest_key,
                on_samples=self._on_samples,
            )
        if self.trigger.uses_first_model and self.first_model is None:
            self.first_model = self.model
        trained = self.model
        self.clock.add(
            "train",
            seconds=-trained.scoring_seconds,
            forward_passes=trained.forward_passes - trained.num_scored,
            backward_passes=trained.backward_passes,
        )
        if downsampler is not None:
            self.clock.add(
                "score",
                seconds=trained.scoring_seconds,
                num_samples=trained.num_scored,
                forward_passes=float(trained.num_scored),
            )

    def _passes_of_second_models(self, selection: Selection, last_key: int) -> tuple[float, float]:
        """Return what second models used for this trigger, as passes of the model that is evaluated."""
        if not self.second_models.names:
            return 0.0, 0.0
        return self.second_models.passes(self.trainer.num_parameters(selection, self.model, last_key=last_key))

    def _predict(self, index: int) -> Predictions:
        assert self.model is not None
        self._announce("predict", index, len(self.test_split))
        with self.clock.measure("predict", num_samples=len(self.test_split)):
            predictions = predict(
                self.model.module,
                self.model.preprocessor,
                self.test_split,
                batch_size=self.evaluation.batch_size,
                keep_probabilities=self.keep_probabilities,
                device=self.device,
                precision=self.precision,
                seed=self.seed,
                on_samples=self._on_samples,
            )
        self.clock.add("predict", forward_passes=len(self.test_split))
        return predictions

    def _record(self, now: int, num_labelled: int, selection: Selection) -> TriggerRecord:
        span: IntArray | None = None
        if self.cursor.next_key > self.cursor.since_key:
            span = self.replay.timestamps_of(np.array([self.cursor.since_key, self.cursor.next_key - 1]))
        return trigger_record(
            self.cursor,
            now=now,
            num_labelled=num_labelled,
            num_selected=len(selection),
            span=None if span is None else (int(span[0]), int(span[1])),
            trained=self.model if len(selection) else None,
            continues=self.trainer.config.start_from == "previous",
            activation_delay=self.replay_config.activation_delay,
            stages=self.clock.costs(),
        )

    def _commit(self, record: TriggerRecord, selection: Selection, predictions: Predictions | None) -> None:
        """Write everything that a resume needs, and what the tables are made of, with one rename at the end."""
        self._announce("commit", record.trigger_index, 0)
        with self.run_directory.begin(record.trigger_index) as part:
            with self.clock.measure("commit"):
                uses = self.model.uses if predictions is not None and self.model is not None else {}
                part.write_selection(selection, extra=uses)
                if predictions is not None and self.model is not None:
                    part.write_predictions(predictions)
                    self.trainer.save(self.model, part.model_path)
                    self.second_models.save(part.model_path)
                part.write_decisions(self.decisions)
                part.write_states(
                    {
                        "cursor": self.cursor.state_dict(),
                        "trigger": self.trigger.state_dict(),
                        "selector": self.selector.state_dict(),
                    }
                )
            keep = self.model is not None and self.model is self.first_model
            part.write_record(replace(record, stages=self.clock.costs()), keep_model=keep and record.model is not None)

    def _resume(self) -> None:
        """Go on after the last committed trigger, if there is one."""
        parts = self.run_directory.parts()
        records = [part.record for part in parts]
        if parts:
            states = parts[-1].states()
            self.cursor.load_state_dict(states["cursor"])
            self.trigger.load_state_dict(states["trigger"])
            self.selector.load_state_dict(states["selector"])
            if self.cursor.num_trained:
                last = self.run_directory.last_model_path()
                self.model = self.trainer.load(last)
                self.second_models.resume_from(last)
            kept = next((part for part in parts if part.keeps_model), None)
            if kept is not None:
                self.first_model = self.trainer.load(kept.model_path)
            self.view = self._new_view(self.cursor.num_trained - 1 if self.model is not None else None)
        start = RunStart(
            run_id=self.run_directory.run_id,
            path=self.run_directory.path,
            config=self.run_directory.config,
            num_samples=len(self.replay),
            first_time=self.replay.first_time,
            last_time=self.replay.last_time,
            num_resumed=self.cursor.next_key - self.replay.first_key,
            committed=records,
        )
        for observer in self.observers:
            observer.on_start(start)

    def _new_view(self, model_id: int | None) -> ModelView:
        """Return a view of the newest model, with nothing cached."""
        first = None if self.first_model is None else self._view_of(self.first_model, 0)
        return self._view_of(self.model, model_id, first)

    def _view_of(self, model: TrainedModel | None, model_id: int | None, first: ModelView | None = None) -> ModelView:
        return ModelView(
            self.train_split,
            model_id=model_id,
            module=None if model is None else model.module,
            preprocessor=None if model is None else model.preprocessor,
            first_key=self.replay.first_key,
            device=self.device,
            precision=self.precision,
            first=first,
            seed=self.seed,
        )

    def _announce(self, stage: str, trigger_index: int, num_samples: int) -> None:
        for observer in self.observers:
            observer.on_stage(stage, trigger_index, num_samples)

    def _on_samples(self, num_samples: int) -> None:
        for observer in self.observers:
            observer.on_samples(num_samples)
