from inferd.api.settings import ApiSettings
from inferd.codecs.json import MAX_DEPTH
from inferd.transport.limits import Limits


def test_the_defaults_are_those_of_the_table_of_limits():
    limits, settings = Limits(), ApiSettings()

    assert settings.json_body_bytes == limits.json_body_bytes
    assert settings.binary_body_bytes == limits.binary_body_bytes
    assert settings.json_depth == limits.json_depth == MAX_DEPTH
