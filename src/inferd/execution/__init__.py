"""Where a batch runs: supervised worker processes, or inline."""
