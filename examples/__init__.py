"""Examples that run: each folder is one use of inferd."""
