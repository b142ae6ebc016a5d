"""What W&B's client raises when its server cannot be reached, refuses, or answers with nonsense."""

from __future__ import annotations


def wandb_errors() -> tuple[type[Exception], ...]:
    """Return the exceptions to catch around a call of W&B's client; its classes have no base of their own in common.

    Lists and downloads go through W&B's background service, whose failures are no ``wandb.Error``.
    """
    import wandb
    from wandb.sdk.lib.service.service_connection import WandbApiFailedError

    return wandb.Error, WandbApiFailedError, OSError, ValueError
