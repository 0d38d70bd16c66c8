"""The buttons that the panel offers beside an error's message, by the error's code. Does not import bpy."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Fix:
    """A button: the operator's name, the label and the icon. With `of_job` the operator gets the failed job's index,
    `force` (skip the check for a 360° panorama) and `allow_truncated` (use what can be read of a truncated file)."""

    operator: str
    label: str
    icon: str
    of_job: bool = False
    force: bool = False
    allow_truncated: bool = False


PREFERENCES = Fix("omniaudio.show_preferences", "Preferences", "PREFERENCES")
LOG = Fix("omniaudio.show_log", "Show Log", "TEXT")
RETRY = Fix("omniaudio.retry", "Retry", "FILE_REFRESH", of_job=True)
FORCE = Fix("omniaudio.retry", "It Is a 360° Panorama", "CHECKMARK", of_job=True, force=True)
READABLE = Fix("omniaudio.retry", "Use What Can Be Read", "CHECKMARK", of_job=True, allow_truncated=True)
FIND_FILES = Fix("file.find_missing_files", "Find Missing Files", "VIEWZOOM")

# Codes of the service (docs/service.md), of its client and of the extension itself.
_FIXES = {
    "no_program": (PREFERENCES, RETRY),
    "unauthorized": (PREFERENCES, RETRY),
    "forbidden": (PREFERENCES, RETRY),
    "foreign": (PREFERENCES, RETRY),
    "offline": (RETRY,),
    "unreachable": (RETRY, PREFERENCES),
    "timeout": (RETRY, LOG),
    "service_failed": (RETRY, LOG),
    "crashed": (RETRY, LOG),
    "internal": (RETRY, LOG),
    "queue_full": (RETRY,),
    "no_room": (RETRY,),
    "folder": (RETRY,),
    "no_model": (PREFERENCES,),
    "no_backend": (PREFERENCES,),
    "not_360": (FORCE,),
    "truncated": (READABLE,),
    "source": (FIND_FILES,),
}


def fixes(code: str) -> tuple[Fix, ...]:
    """The fixes for an error of this code, the likeliest first; empty if there are none."""
    return _FIXES.get(code, ())
