"""The errors that s2s raises for problems a user can fix: each gives the value, the choices and the remedy."""

import signal

ENDING = [getattr(signal, name) for name in ("SIGTERM", "SIGUSR1", "SIGHUP") if hasattr(signal, name)]
"""Signals that tell a process to end: two that clusters send when time is up, and that of a closing terminal."""


class Terminated(SystemExit):
    """The process was told to end by a signal; it exits with the status that shells use for this: 128 plus the number.

    Args:
        number: of the signal.

    Attributes:
        name: of the signal, `SIGTERM`.
    """

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)
        self.name = signal.Signals(number).name


class S2SError(Exception):
    """Root of all errors that s2s raises on purpose; the command line prints them without a traceback."""


class ConfigError(S2SError):
    """An invalid name, option or combination of options."""


class DataError(S2SError):
    """Text or files that cannot be read, aligned or learnt from."""


class PluginError(S2SError):
    """A plugin that cannot be found, imported or used."""


class BundleError(S2SError):
    """A bundle that is incomplete, damaged or made by a newer version."""


class WriteError(DataError):
    """A file or a folder that cannot be written; its previous contents are unchanged."""
