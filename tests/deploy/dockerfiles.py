"""A small reader of Dockerfiles: instructions as the builder sees them, continued lines joined."""

import json
import re

KNOWN = {
    "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL", "RUN",
    "STOPSIGNAL", "USER", "WORKDIR",
}  # fmt: skip


def instructions(text):
    """Return (instruction, rest) in order; fails on what is neither that nor a comment."""
    joined = re.sub(r"\\\n\s*", " ", text)
    found = []
    for line in joined.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        word, _, rest = line.partition(" ")
        assert word in KNOWN, line
        found.append((word, rest))
    return found


def final_stage(text):
    """Return the instructions of the last stage."""
    found = instructions(text)
    last = max(i for i, (word, _) in enumerate(found) if word == "FROM")
    return found[last:]


def one(text, word):
    """Return what the only instruction of a kind says in the last stage."""
    [rest] = [rest for found, rest in final_stage(text) if found == word]
    return rest


def listed(text, word):
    """Return the words of an exec-form instruction."""
    return json.loads(one(text, word))


def environment(text):
    """Return the variables of the last stage."""
    return dict(pair.split("=", 1) for pair in one(text, "ENV").split())
