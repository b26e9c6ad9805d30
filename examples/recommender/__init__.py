"""Films that somebody may like: from behaviour to a list with reasons, on MovieLens-100k."""
