"""The exception tree. Every message says what went wrong, where, and what to do about it."""

from typing import Literal


class JikimiError(Exception):
    """Anything a user can act on. The command line prints it as one line and exits 1."""


class SettingsError(JikimiError):
    """A setting, option or behaviours file that cannot be used."""


class PasswordError(SettingsError):
    """A password that is guessed first; one of `least` to `most` letters is expected."""

    def __init__(self, message: str, *, least: int, most: int) -> None:
        super().__init__(message)
        self.least, self.most = least, most


class VideoError(JikimiError):
    """A file or stream that cannot be opened, decoded or written."""


CameraCause = Literal["login", "rights", "path", "refused", "unreachable", "unknown-host", "silent"]


class CameraError(VideoError):
    """A camera that was tried and cannot be used; `cause` is what to look at."""

    def __init__(self, message: str, *, cause: CameraCause) -> None:
        super().__init__(message)
        self.cause = cause


class DataError(JikimiError):
    """Labelled material that cannot be made into a data set, or a data set that is damaged."""


class TrainError(JikimiError):
    """Training that cannot start or cannot go on."""


class WeightsError(TrainError):
    """Encoder weights that cannot be had or do not fit."""


class ExportError(JikimiError):
    """A model that does not pass the gates of export."""


class BundleError(JikimiError):
    """A bundle that is damaged, foreign or made for something else."""


class MissingExtraError(JikimiError):
    """A command whose extra is not installed."""


class InferenceError(JikimiError):
    """A model that failed on a picture: a fault, and never the same as seeing nothing."""


class SimError(JikimiError):
    """A simulation that cannot run: nothing to render with, or no room for what it makes."""


class StoreError(JikimiError):
    """A database or key that cannot be used."""


class StoreBusyError(StoreError):
    """Trouble that passes by itself (locked, disk full, connection lost): try the call again."""


class NotFoundError(StoreError):
    """Something that the store was asked for by name and does not hold."""


class ConflictError(StoreError):
    """A change that what the store holds stands against, such as removing the last admin."""


class AlertError(JikimiError):
    """An alert that did not reach its target this time; trying again may help."""


class RefusedError(AlertError):
    """An alert or a target that will not work as it is: somebody must change it, here or there."""
