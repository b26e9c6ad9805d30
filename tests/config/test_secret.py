"""A secret is used, and never shown."""

import dataclasses
import logging
import traceback

import pytest

from inferd.config.secret import MASK, Secret


def test_it_is_masked_wherever_it_is_shown(caplog):
    secret = Secret("hush")

    assert secret.value == "hush"
    assert str(secret) == repr(secret) == f"{secret}" == MASK
    with caplog.at_level(logging.INFO):
        logging.getLogger("x").info("key %s %r", secret, {"key": secret})
    assert "hush" not in caplog.text
    with pytest.raises(ValueError, match="no good") as caught:
        raise ValueError("no good", secret)
    assert "hush" not in "".join(traceback.format_exception(caught.value))


def test_it_is_equal_to_its_like_and_cannot_be_changed():
    assert Secret("a") == Secret("a") != Secret("b")
    with pytest.raises(dataclasses.FrozenInstanceError):
        Secret("a").value = "b"
