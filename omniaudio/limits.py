"""The limits of a sound's form, the same on the command line, by HTTP and in a sidecar. Those of how a generation is
made stand in `omniaudio_client.options`."""

from typing import Annotated

from pydantic import Field

MIN_OUTPUT_RATE, MAX_OUTPUT_RATE = 8_000, 192_000
"""Sampling rates that can be asked for, in Hz."""
MIN_READABLE_RATE, MAX_READABLE_RATE = 1_000, 768_000
"""Sampling rates of sound that is read, in Hz. Below there is nothing to hear; above, no converter records it."""
MIN_GAIN_DB = -120.0
"""Of what a guard can have taken of a take that is read again: 24 bits hold nothing of one turned down more."""

OutputRate = Annotated[int, Field(ge=MIN_OUTPUT_RATE, le=MAX_OUTPUT_RATE)]
GuardGain = Annotated[float, Field(ge=MIN_GAIN_DB, le=0, allow_inf_nan=False)]
"""What a true-peak guard took of a take, in dB."""
