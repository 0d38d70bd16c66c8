"""The options of a generation: one record with its limits, shared by the command line, HTTP, OSC, Blender and sidecars.

It leaves out what belongs to one job: the clip and its range, the sources in it, an inpainted range, the files and
their sample rate. So the options can be kept, and used for another clip.

A new option is a field here, an option of `omniaudio generate` and a property of Blender's panel of the same name.
Standard library only. pydantic reads the limits by its protocol, and the docstrings of the fields for its schema.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from types import UnionType
from typing import Annotated, Any, ClassVar, Self, get_args, get_origin, get_type_hints

MAX_TAKES = 16
MAX_ORDER = 3
"""Of ambisonics."""
MAX_SEED = 2**53 - 1
"""The largest integer that every program reads from JSON as it is (RFC 7493, section 2.2)."""


class OptionError(ValueError):
    """An invalid value of an option: `option` is its name, `message` says which values are valid."""

    def __init__(self, option: str, message: str) -> None:
        super().__init__(f"{option} {message}")
        self.option = option
        self.message = message


@dataclass(frozen=True)
class Range:
    """Inclusive limits of a number."""

    minimum: float
    maximum: float

    def __contains__(self, value: float) -> bool:
        return self.minimum <= value <= self.maximum  # NaN is in no range

    def __str__(self) -> str:
        return f"{self._shown(self.minimum)} to {self._shown(self.maximum)}"

    @staticmethod
    def _shown(limit: float) -> str:
        return str(limit) if isinstance(limit, int) else f"{limit:g}"

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Any]) -> Any:
        """pydantic's protocol: add the limits to its schema of the number."""
        schema = handler(source)
        number = schema["schema"] if schema["type"] == "nullable" else schema
        number |= {"ge": self.minimum, "le": self.maximum}
        if number["type"] == "float":
            number |= {"strict": True, "allow_inf_nan": False}
        return schema


@dataclass(frozen=True)
class Length:
    """Inclusive limits of the number of characters."""

    minimum: int
    maximum: int

    def __contains__(self, value: str) -> bool:
        return self.minimum <= len(value) <= self.maximum

    def __str__(self) -> str:
        return f"a text of {self.minimum} to {self.maximum} characters"

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Any]) -> Any:
        """pydantic's protocol: add the limits to its schema of the text."""
        schema = handler(source)
        text = schema["schema"] if schema["type"] == "nullable" else schema
        text |= {"min_length": self.minimum, "max_length": self.maximum}
        return schema


@dataclass(frozen=True)
class GenerationOptions:
    """The options of a generation. None leaves a value to the model. Raises OptionError for an invalid value."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid", "use_attribute_docstrings": True}

    model: Annotated[str | None, Length(1, 4096)] = None
    """a name that `omniaudio models` lists; else the best one here"""
    backend: Annotated[str, Length(1, 200)] = "auto"
    """a name that `omniaudio backends` lists, or auto: the fastest that works"""
    seed: Annotated[int, Range(0, MAX_SEED)] = 0
    """another seed is another sound"""
    takes: Annotated[int, Range(1, MAX_TAKES)] = 1
    """how many different sounds are made at once"""
    steps: Annotated[int | None, Range(1, 1000)] = None
    """of the sampler, from noise"""
    guidance: Annotated[float | None, Range(-100.0, 100.0)] = None
    """how closely the sound follows the frames: 1 is without guidance"""
    variation: Annotated[float | None, Range(0.0, 1.0)] = None
    """0 is an exemplar of each kind itself, 1 is free generation"""
    order: Annotated[int, Range(1, MAX_ORDER)] = 1
    """of the ambisonics"""
    preview: bool = True
    """a binaural preview as well"""
    map: bool = True
    """a direction map as well: where the sound comes from, drawn over a frame"""
    stems: bool = False
    """each source's own sound as well, placed as in the whole"""

    def __post_init__(self) -> None:
        for option in options_of(type(self)):
            option.check(getattr(self, option.name))

    @classmethod
    def understood(cls, given: Mapping[str, Any]) -> Self:
        """The valid options of a mapping that another version or a person has written. Unknown and invalid ones are
        left out; numbers may be texts."""
        values = {}
        for option in options_of(cls):
            value = option.read(given.get(option.name))
            if value is not None:
                values[option.name] = value
        return cls(**values)

    def given(self) -> dict[str, Any]:
        """The options that are not None, by name."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value is not None}


@dataclass(frozen=True)
class Option:
    """A field of a record of options; `kind` is bool, int, float or str."""

    name: str
    kind: type
    optional: bool
    limits: Range | Length | None

    def check(self, value: Any) -> None:
        """Raise OptionError if a value is invalid."""
        if value is None and self.optional:
            return
        right = isinstance(value, (int, float) if self.kind is float else self.kind)
        right &= isinstance(value, bool) is (self.kind is bool)
        if not right or (self.limits is not None and value not in self.limits):
            raise OptionError(self.name, f"cannot be {value!r}: give {self._possible()}.")

    def read(self, value: Any) -> Any:
        """Convert a value of any type to this option's; None if it is invalid."""
        if not isinstance(value, str if self.kind is str else (bool, int, float, str)):
            return None
        if self.kind is bool and isinstance(value, str):
            return None
        try:
            value = self.kind(value)
            self.check(value)
        except (ValueError, OverflowError):  # no number, or one out of range
            return None
        return value

    def _possible(self) -> str:
        kinds = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
        possible = kinds[self.kind] if self.limits is None else str(self.limits)
        return f"{possible}, or leave it to the model" if self.optional else possible


def options_of(record: type[GenerationOptions]) -> tuple[Option, ...]:
    """The options of a record, as its annotations declare them."""
    hints = get_type_hints(record, include_extras=True)
    return tuple(_option(field.name, hints[field.name]) for field in fields(record))


def _option(name: str, hint: Any) -> Option:
    kind, *annotations = get_args(hint) if get_origin(hint) is Annotated else (hint,)
    limits = next((one for one in annotations if isinstance(one, Range | Length)), None)
    optional = get_origin(kind) is UnionType
    return Option(name, get_args(kind)[0] if optional else kind, optional, limits)
