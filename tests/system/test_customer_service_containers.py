"""The customer service, as it is, as four services in containers behind NGINX: the answers of one process."""

import pytest
from examples.customer_service import client as asking
from examples.customer_service import prepare
from tests.applications.spoken import say
from tests.system.serving import serving
from tests.system.stack import documented, running

from inferd import Client

pytestmark = [pytest.mark.system, pytest.mark.containers, pytest.mark.timeout(600)]

NAME = "inferd-tests-service"
"""Of the project and its images."""
SPOKEN = "Do you deliver to Norway?"
TYPED = ("Can I pay with PayPal?", "I want to talk to a real person", "Who painted the Mona Lisa?")
SAME = (
    "transcript",
    "intent",
    "entities",
    "entity_kinds",
    "passage_id",
    "handover",
    "reason",
    "opening",
)
SERVICES = {"speech", "understanding", "knowledge", "generation", "customer-service"}


@pytest.fixture(scope="module")
def application(tmp_path_factory):
    return prepare.build(tmp_path_factory.mktemp("service") / NAME)


@pytest.fixture(scope="module")
def stack(engine, application, tmp_path_factory):
    """What the page says: one replica of each service."""
    options = documented(prepare.HERE / "README.md", ".customer-service")
    folder = tmp_path_factory.mktemp("stack") / "compose"
    with running(engine, folder, application, *options) as made:
        yield made


def answers(address):
    with Client("http://{}:{}".format(*address)) as client:
        spoken = asking.ask(client, audio=say(SPOKEN))
        print(f"\n{spoken.first:.2f} s to the first piece, {spoken.total:.2f} s in all")
        return spoken, [asking.ask(client, text).found for text in TYPED]


def test_four_services_answer_what_one_process_does(stack, application, tmp_path):
    assert {name.removesuffix("-1") for name in stack.services()} == SERVICES
    spoken, typed = answers(stack.http)
    with serving(tmp_path / "one", application, start=180.0) as one:
        there, those = answers(one.data)

    assert "12 euros" in spoken.found["text"] and spoken.found["passage_id"] == "delivery-abroad"
    for ours, theirs in zip([spoken.found, *typed], [there.found, *those], strict=True):
        assert {k: ours[k] for k in SAME} == {k: theirs[k] for k in SAME}
        assert ours["confidence"] == pytest.approx(theirs["confidence"], abs=0.02)


def test_the_reply_comes_in_pieces_through_nginx(stack):
    with Client("http://{}:{}".format(*stack.http)) as client:
        pieces = list(client.stream("customer_service", {"text": SPOKEN}))

    assert len([piece for piece in pieces if "draft" in piece]) > 3
    assert "text" in pieces[-1] and "text" not in pieces[0]
