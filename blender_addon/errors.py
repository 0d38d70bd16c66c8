"""What goes wrong in a way that a person can mend. Knows no bpy."""


class UserError(Exception):
    """An error that its reader can mend; `sentence` says what is wrong and what to do."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


class CancelledError(UserError):
    """The user ended the job."""

    def __init__(self) -> None:
        super().__init__("Cancelled; the sequencer is as it was.")
