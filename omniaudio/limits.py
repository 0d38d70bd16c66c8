"""The limits of what a generation can be asked for: the same on the command line, by HTTP and in a sidecar."""

from typing import Annotated

from pydantic import Field

LOWEST_OUTPUT_RATE, HIGHEST_OUTPUT_RATE = 8_000, 192_000
"""Sampling rates that can be asked for, in Hz."""
LOWEST_READABLE_RATE, HIGHEST_READABLE_RATE = 1_000, 768_000
"""Sampling rates of sound that is read, in Hz. Below there is nothing to hear; above, no converter records it."""
MOST_STEPS = 1000
MOST_TAKES = 16
LARGEST_GUIDANCE = 100.0
LOWEST_GAIN_DB = -120.0
"""Of what a guard can have taken of a take that is read again: 24 bits hold nothing of one turned down more."""

Seed = Annotated[int, Field(ge=0, lt=2**63)]
Takes = Annotated[int, Field(ge=1, le=MOST_TAKES)]
Steps = Annotated[int, Field(ge=1, le=MOST_STEPS)]
Guidance = Annotated[float, Field(ge=-LARGEST_GUIDANCE, le=LARGEST_GUIDANCE, allow_inf_nan=False)]
Variation = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
"""Where sampling starts: 0 is an exemplar itself, 1 is noise."""
MAX_ORDER = 3
Order = Annotated[int, Field(ge=1, le=MAX_ORDER)]
"""Of ambisonics."""
OutputRate = Annotated[int, Field(ge=LOWEST_OUTPUT_RATE, le=HIGHEST_OUTPUT_RATE)]
GuardGain = Annotated[float, Field(ge=LOWEST_GAIN_DB, le=0, allow_inf_nan=False)]
"""What a true-peak guard took of a take, in dB."""
