import base64
import hashlib
import re

from tests.api.serving import version
from tests.codecs.signatures import signature

from inferd.api.page import HEADERS, STYLE, page
from inferd.routing.table import FAILED, RouteTable


def rendered(*versions):
    table = RouteTable()
    for each in versions:
        table.put(each)
    return page(table, version="1.0", data_url="http://127.0.0.1:8000")


def test_it_shows_models_states_and_routes():
    broken = version("broken")
    broken.state, broken.reason = FAILED, "bad file"

    html = rendered(version(), broken)

    assert "bad file" in html
    assert "[any, 3]" in html
    assert "http://127.0.0.1:8000/models/m/versions/1/predict" in html
    assert "/v2/models/{name}/infer" in html


def test_it_is_whole_without_scripts_or_anything_fetched():
    html = rendered(version())

    assert "<script" not in html
    assert not re.findall(r"(?:src|@import|url\()", html)
    assert all(link.startswith("/") for link in re.findall(r"href=([^\s>]+)", html))


def test_its_policy_allows_its_own_style_and_nothing_else():
    policy = dict(HEADERS)[b"Content-Security-Policy"].decode()
    digest = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()

    assert "default-src 'none'" in policy
    assert f"style-src 'sha256-{digest}'" in policy
    assert f"<style>{STYLE}</style>" in rendered()


def test_names_are_escaped():
    evil = "<script>alert(1)</script>"
    sig = signature([(evil, "BYTES", [-1], evil)])
    model = version(evil, evil, sig=sig)
    model.state, model.reason = evil, evil

    assert "<script" not in rendered(model)


def test_no_model_is_said():
    assert "No model is loaded" in rendered()
