"""Engines on small generators, and what their steps say."""

import numpy as np
import pytest
from tests.generators import generator

from inferd.runtimes.genai.config import read_config
from inferd.runtimes.genai.decoder import Decoder
from inferd.runtimes.genai.engine import GenaiEngine
from inferd.runtimes.genai.parameters import read_limits
from inferd.runtimes.genai.text import Texts


def bytes_of(text):
    array = np.empty(1, object)
    array[0] = text if isinstance(text, bytes) else text.encode()
    return array


def prompt(text):
    return {"prompt": bytes_of(text), "messages": bytes_of("")}


class Clock:
    """Time that passes where it is asked for."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        self.now += 0.001
        return self.now


class Asked:
    """An engine and what came of its requests so far."""

    def __init__(self, engine, decoder):
        self.engine = engine
        self.decoder = decoder
        self.texts, self.last, self.errors, self.steps, self.first = {}, {}, {}, {}, {}
        self.count = 0

    def add(self, key, text, **parameters):
        self.engine.add(key, prompt(text), parameters)

    def step(self):
        self.count += 1
        for key, piece, last in self.engine.step():
            self.first.setdefault(key, self.count)
            self.steps[key] = self.count
            if isinstance(piece, BaseException):
                self.errors[key] = piece
                continue
            self.texts[key] = self.texts.get(key, "") + piece["text"][0].decode()
            if last:
                self.last[key] = {name: array[0] for name, array in piece.items()}

    def finish(self, most=2000):
        """Step until all that were added have come to their end."""
        for _ in range(most):
            if not (self.engine.active or self.engine.waiting):
                return self
            self.step()
        raise AssertionError("the engine did not come to an end")


def loaded(folder, **parameters):
    config = read_config(folder)
    limits = read_limits({"parameters": parameters}, config.search, config.context, str(folder))
    decoder = Decoder(config, limits.sequences, limits.context, 1)
    return Asked(GenaiEngine(decoder, Texts(folder), limits, config.eos, Clock()), decoder)


@pytest.fixture(scope="session")
def thoughtful(tmp_path_factory):
    """A generator whose every token depends on all before."""
    return generator(tmp_path_factory.mktemp("thoughtful"))


@pytest.fixture(scope="session")
def reciter(tmp_path_factory):
    """A generator that goes on with the alphabet, a two-byte letter and an emoji in it."""
    text = "abcdefé👋ghijklmnop".encode()
    return generator(tmp_path_factory.mktemp("reciter"), text, thoughtful=False)
