"""The errors that are meant for users: each says what was wrong, where, what was expected, and what to do."""


class RequestError(ValueError):
    """The request was wrong: a configuration key, value or path. Nothing was started (exit code 2)."""


class DataError(ValueError):
    """The data are not what the request says they are: an unreadable row, a missing label, an empty split."""


class RunError(RuntimeError):
    """A run directory is locked, foreign or corrupt, or a run cannot go on."""


class ContractError(RuntimeError):
    """A policy broke its contract, for instance by a decision that does not advance; the message names it."""
