"""What mends an error: the buttons that the panel offers beside its message, by the error's code. Knows no bpy."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Fix:
    """A button: the operator's name, what stands on it, and its icon. One that is `of_job` is told which job failed,
    whether to take its picture for a 360° one, and whether to take what can be read of it."""

    operator: str
    label: str
    icon: str
    of_job: bool = False
    force: bool = False
    allow_truncated: bool = False


PREFERENCES = Fix("omniaudio.show_preferences", "Preferences", "PREFERENCES")
LOG = Fix("omniaudio.show_log", "Show Log", "TEXT")
TRY_AGAIN = Fix("omniaudio.try_again", "Try Again", "FILE_REFRESH", of_job=True)
FORCE = Fix("omniaudio.try_again", "It Is a 360° Picture", "CHECKMARK", of_job=True, force=True)
READABLE = Fix("omniaudio.try_again", "Take What Can Be Read", "CHECKMARK", of_job=True, allow_truncated=True)
FIND_FILES = Fix("file.find_missing_files", "Find Missing Files", "VIEWZOOM")

# The codes of the engine (docs/service.md), of its client, and of the extension's own files.
_FIXES = {
    "no_program": (PREFERENCES, TRY_AGAIN),
    "unauthorized": (PREFERENCES, TRY_AGAIN),
    "forbidden": (PREFERENCES, TRY_AGAIN),
    "foreign": (PREFERENCES, TRY_AGAIN),
    "offline": (TRY_AGAIN,),
    "unreachable": (TRY_AGAIN, PREFERENCES),
    "timeout": (TRY_AGAIN, LOG),
    "service_failed": (TRY_AGAIN, LOG),
    "crashed": (TRY_AGAIN, LOG),
    "internal": (TRY_AGAIN, LOG),
    "queue_full": (TRY_AGAIN,),
    "no_room": (TRY_AGAIN,),
    "folder": (TRY_AGAIN,),
    "no_model": (PREFERENCES,),
    "no_backend": (PREFERENCES,),
    "not_360": (FORCE,),
    "truncated": (READABLE,),
    "source": (FIND_FILES,),
}


def fixes(code: str) -> tuple[Fix, ...]:
    """What helps against an error of this code, the likeliest first; nothing where only the message does."""
    return _FIXES.get(code, ())
