"""From sources to sound: each source's stem, placed where it is seen."""
