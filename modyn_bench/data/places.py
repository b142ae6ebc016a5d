"""Where what is made of sources is kept."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any


def data_dir(config: Mapping[str, Any]) -> Path:
    """Return where sample stores go: ``data_dir`` of a configuration, by default the user's cache."""
    if config.get("data_dir"):
        return Path(config["data_dir"])
    from platformdirs import user_cache_path

    return user_cache_path("modyn_bench")
