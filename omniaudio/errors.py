"""What goes wrong in a way that a person can mend: one message each, and an exit code for scripts."""

from enum import IntEnum
from unicodedata import category


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
    TRUNCATED = 11
    CANCELLED = 130


class UserError(Exception):
    """An error that its reader can mend. `message` says what is wrong and what to do; no trace is shown."""

    def __init__(self, message: str, code: ExitCode = ExitCode.FAILED) -> None:
        """Names in `message` need not be printable: see `printable`."""
        self.message = printable(message)
        super().__init__(self.message)
        self.code = code


def printable(text: str) -> str:
    """A text in one line of UTF-8: control characters, line breaks and bytes of names that are not UTF-8 as escapes,
    like `\\n` and `\\xff`."""
    return "".join(_escaped(character) if category(character) in _UNPRINTABLE else character for character in text)


_UNPRINTABLE = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Unicode's control characters, surrogates, and separators of lines and of paragraphs."""


def _escaped(character: str) -> str:
    if "\udc80" <= character <= "\udcff":  # what Python makes of a byte in a name that is not UTF-8 (PEP 383)
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")


def installation(*extras: str) -> str:
    """What installs the project with extras of pyproject.toml into this environment, to stand in a message. It is in
    no package index, so its own name would not be found there."""
    what = f"'.[{','.join(extras)}]'" if extras else "."
    return f"`pip install {what}` in OmniAudio's folder"
