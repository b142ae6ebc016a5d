"""That a trigger never fired, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from modyn_bench.runs.files import read_table
from modyn_bench.runs.manifest import read_manifest
from modyn_bench.runs.naming import choice


def never_fired(run: Path, *, num_arrived: int, num_models: int) -> str | None:
    """Say that no decision of a run fired; ``None`` if one did, or if the trigger never does.

    Args:
        run: The run's directory.
        num_arrived: Samples that arrived.
        num_models: Models that were trained, which the end of the stream alone can have led to.

    Raises:
        RunError: If the table of decisions is missing or damaged.
    """
    decisions = read_table(run / "decisions.parquet").select(["policy", "fired"]).to_pylist()
    fired = [row["fired"] for row in decisions if "/" not in row["policy"]]  # of the policy itself, not of its members
    manifest = read_manifest(run)
    name, options = choice("trigger", manifest), manifest["config"].get("trigger")
    if any(fired) or name == "never":
        return None
    interval = options.get("interval") if isinstance(options, Mapping) else None
    over = f"{num_arrived:,} samples" + (f", one every {interval:,}" if isinstance(interval, int) else "")
    did = f"never fired in {len(fired):,} decision{'' if len(fired) == 1 else 's'}" if fired else "never decided"
    outcome = "the only model was trained at the end of the stream" if num_models else "no model was trained"
    advice = "have a shorter warm-up or a threshold within reach" if fired else "decide earlier"
    more = "" if num_models else ", or set replay.flush=true"
    return f"The trigger {name} {did} ({over}): {outcome}. To retrain, let it {advice}{more}."
