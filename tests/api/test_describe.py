from tests.api.serving import version

from inferd.api import describe
from inferd.codecs import json
from inferd.routing.table import FAILED, RouteTable


def table(*versions):
    made = RouteTable()
    for each in versions:
        made.put(each)
    return made


def test_a_summary_says_which_version_answers():
    broken = version(number="3")
    broken.state, broken.reason = FAILED, "bad file"

    (row,) = describe.summary(table(version(number="2"), broken))

    assert row == {
        "name": "m",
        "default": "2",
        "ready": True,
        "versions": [
            {"version": "2", "state": "ready", "ready": True, "reason": None},
            {"version": "3", "state": "failed", "ready": False, "reason": "bad file"},
        ],
    }


def test_a_description_holds_what_the_version_says_of_itself():
    told = version(describe=lambda: {"costs": {1: 0.5, (2, 3): [1]}, "instances": ({"pid": 1},)})

    found = describe.describe(told)

    assert found["signature"]["inputs"][0]["name"] == "x"
    assert found["accepts"] == ["application/json", "text/csv", "application/x-npy"]
    assert found["plan"]["batched"] is True
    assert found["costs"] == {"1": 0.5, "(2, 3)": [1]}
    assert json.dumps(found)


def test_a_version_that_cannot_be_described_does_not_break_the_page():
    def fail():
        raise RuntimeError("gone")

    assert describe.describe(version(describe=fail))["state"] == "ready"


def test_a_version_still_loading_has_no_signature():
    loading = version()
    loading.signature = None

    assert describe.describe(loading)["signature"] is None
    assert describe.model(table(loading), "m")["versions"][0]["accepts"] == []
