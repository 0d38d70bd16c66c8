"""What a file is, and where its sound comes from."""
