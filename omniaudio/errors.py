"""Errors that the user can correct: one message each, and an exit code for scripts."""

from enum import IntEnum
from unicodedata import category


class ExitCode(IntEnum):
    """Exit codes of the command line; the option parser uses 2 for an invalid option."""

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
    """An error that the user can correct. `message` says what is wrong and what to do; no traceback is shown."""

    def __init__(self, message: str, code: ExitCode = ExitCode.FAILED) -> None:
        """`message` may contain unprintable names: see `printable`."""
        self.message = printable(message)
        super().__init__(self.message)
        self.code = code


def printable(text: str) -> str:
    """Make a text one line of UTF-8: control characters, line breaks and non-UTF-8 bytes of names become escapes, such
    as `\\n` and `\\xff`."""
    return "".join(_escaped(character) if category(character) in _UNPRINTABLE else character for character in text)


_UNPRINTABLE = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Unicode's control characters, surrogates, and separators of lines and of paragraphs."""


def _escaped(character: str) -> str:
    if "\udc80" <= character <= "\udcff":  # a byte of a name that is not UTF-8 (PEP 383)
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")


def installation(*extras: str) -> str:
    """The command that installs the project with extras of pyproject.toml into this environment, for a message. The
    project is in no package index, so `pip` cannot find it by name."""
    what = f"'.[{','.join(extras)}]'" if extras else "."
    return f"`pip install {what}` in OmniAudio's folder"
