"""What mends an error: the operator that the panel offers beside its sentence, by the error's code."""

from dataclasses import dataclass

PREFERENCES, RESTART, LOG, FORCE = (
    "omniaudio.show_preferences",
    "omniaudio.restart_engine",
    "omniaudio.show_log",
    "omniaudio.generate_anyway",
)


@dataclass(frozen=True)
class Fix:
    """A button: the operator's name, what stands on it, and its icon."""

    operator: str
    label: str
    icon: str


_RESTART = Fix(RESTART, "Restart Engine", "FILE_REFRESH")
_PREFERENCES = Fix(PREFERENCES, "Preferences", "PREFERENCES")
_LOG = Fix(LOG, "Show Log", "TEXT")

_FIXES = {
    "no_program": (_PREFERENCES,),
    "unauthorized": (_PREFERENCES,),
    "forbidden": (_PREFERENCES,),
    "foreign": (_PREFERENCES, _RESTART),
    "no_model": (_PREFERENCES,),
    "no_backend": (_PREFERENCES,),
    "unreachable": (_RESTART, _PREFERENCES),
    "timeout": (_RESTART, _LOG),
    "engine_failed": (_RESTART, _LOG),
    "crashed": (_LOG,),
    "internal": (_LOG,),
    "not_360": (Fix(FORCE, "It Is a 360° Picture", "CHECKMARK"),),
}


def fixes(code: str) -> tuple[Fix, ...]:
    """What helps against an error of this code, the likeliest first; nothing where only the sentence does."""
    return _FIXES.get(code, ())
