"""What goes wrong in a way that a person can mend: one sentence each, and an exit code for scripts."""

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of the command line; 2 is what the option parser uses for a wrong option."""

    FAILED = 1
    NO_INPUT = 3
    NOT_A_VIDEO = 4
    NOT_360 = 5
    BAD_RANGE = 6
    NOT_WRITABLE = 7
    NO_MODEL = 8
    NO_BACKEND = 9
    IN_USE = 10
    CANCELLED = 130


class UserError(Exception):
    """An error that its reader can mend. `sentence` says what is wrong and what to do; no trace is shown."""

    def __init__(self, sentence: str, code: ExitCode = ExitCode.FAILED) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.code = code
