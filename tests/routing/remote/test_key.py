"""Where a service's key may stand, and that it is shown nowhere."""

import pytest

from inferd.config.sources import parse_yaml
from inferd.core.errors import ConfigError
from inferd.routing.remote.key import read_key


@pytest.fixture
def read(tmp_path, monkeypatch):
    monkeypatch.setenv("ENGINE_KEY", "from-the-environment")
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    (tmp_path / "key.txt").write_text(" from-a-file\n")
    (tmp_path / "two.txt").write_text("hush\nhush\n")
    (tmp_path / "empty.txt").write_text("\n")
    (tmp_path / "odd.txt").write_bytes(b"\xff")
    (tmp_path / "long.txt").write_text("h" * 5000)
    return lambda text: read_key(parse_yaml(text, "deployment.yaml"), tmp_path)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("key: sk-123", "sk-123"),
        ("key: ${ENGINE_KEY}", "from-the-environment"),
        ("key: a${ENGINE_KEY}", "a${ENGINE_KEY}"),
        ("key_file: key.txt", "from-a-file"),
    ],
)
def test_a_key(read, text, key):
    assert read(text).value == key


def test_none_is_needed(read):
    assert read("url: x") is None
    assert read("key: null") is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("key: ${NO_SUCH_KEY}", "the variable NO_SUCH_KEY of the environment is not set"),
        ("key: hush hush", "printable ASCII"),
        ("key: ''", "printable ASCII"),
        ("key: 'hush\\r\\nX: y'", "printable ASCII"),
        ("key: 17", "must be text"),
        ("key: hush\nkey_file: key.txt", "beside key"),
        ("key_file: nowhere.txt", "cannot be read: No such file"),
        ("key_file: .", "cannot be read"),
        ("key_file: two.txt", "printable ASCII"),
        ("key_file: empty.txt", "printable ASCII"),
        ("key_file: odd.txt", "ASCII"),
        ("key_file: long.txt", "ASCII"),
        ("key_file: 3", "the path of a file"),
    ],
    ids=str,
)
def test_a_mistake_is_named_without_the_key(read, text, told):
    with pytest.raises(ConfigError, match=told) as caught:
        read(text)
    assert caught.value.message.startswith("deployment.yaml:")
    assert "hush" not in str(caught.value)
