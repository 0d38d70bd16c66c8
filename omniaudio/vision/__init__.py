"""What each vision encoder is shown of a frame; without torch."""
