"""What goes wrong in a way that a person can mend. Knows no bpy."""


class UserError(Exception):
    """An error that its reader can mend: `message` says what is wrong and what to do; `code` names the kind of error
    where a program can offer the remedy, as the engine's codes do."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.code = code


class CancelledError(UserError):
    """The user ended the job."""

    def __init__(self) -> None:
        super().__init__("Cancelled; the sequencer is as it was.", "cancelled")
