"""Limits of sampling rates and gain, the same on the command line, in the HTTP API and in sidecars. Limits of
generation options are in `omniaudio_client.options`."""

from typing import Annotated

from pydantic import Field

MIN_OUTPUT_RATE, MAX_OUTPUT_RATE = 8_000, 192_000
"""Sampling rates of the output in Hz."""
MIN_READABLE_RATE, MAX_READABLE_RATE = 1_000, 768_000
"""Sampling rates of readable sound in Hz. Lower ones carry no audible sound; no converter records higher ones."""
MIN_GAIN_DB = -120.0
"""The largest gain reduction of a take that is read back: after more, nothing of it is left in 24 bits."""

OutputRate = Annotated[int, Field(ge=MIN_OUTPUT_RATE, le=MAX_OUTPUT_RATE)]
LimiterGain = Annotated[float, Field(ge=MIN_GAIN_DB, le=0, allow_inf_nan=False)]
"""Gain of a take by the true-peak limiter, in dB, 0 or less."""
