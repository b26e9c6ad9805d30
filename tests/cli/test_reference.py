from inferd.cli.main import COMMANDS
from inferd.cli.reference import markdown
from inferd.config.settings import REFERENCE


def test_every_command_and_flag_is_in_the_document():
    text = markdown()

    assert all(f"## inferd {name}\n" in text for name in COMMANDS)
    assert all(row.flag in text for row in REFERENCE if row.flag)
