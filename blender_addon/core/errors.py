"""Errors that the user can fix. Does not import bpy."""


class UserError(Exception):
    """An error that the user can fix: `message` says what is wrong and what to do. `code` names the kind of error, as
    the service's codes do, where the panel can offer a fix."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.code = code


class CancelledError(UserError):
    """The user cancelled the job."""

    def __init__(self) -> None:
        super().__init__("Cancelled; the sequencer is as it was.", "cancelled")
