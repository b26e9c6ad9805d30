"""Requests made from the server's own OpenAPI document, good and bad, sent and judged."""

import json
import re

import jsonschema_rs
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from tests.codecs import seeds

from inferd.codecs.media import JSON
from inferd.core.signature import Signature

SECONDS = 5.0
"""Every answer comes within that."""

HEADERS = ("X-Request-Timeout", "Inference-Header-Content-Length")
_BARE = re.compile(rb"NaN|Infinity")
_PLACES = {"version": "1", "label": "stable"}
_TASKS = {
    "embeddings": "embeds", "completions": "story", "transcriptions": "hears", "translations": "hears",
}  # fmt: skip


class Fuzzer:
    """Sends cases of every operation; keeps what was wrong about the answers."""

    def __init__(self, server):
        self.document = server.ask("/openapi.json", admin=True).json
        self.schema = schemathesis.openapi.from_dict(json.loads(json.dumps(self.document)))
        self.models = {
            model["name"]: Signature.from_json(self._signature(server, model["name"]))
            for model in server.ask("/models", admin=True).json["models"]
        }
        self.session = requests.Session()
        self.operations = [found.ok() for found in self.schema.get_all_operations()]
        self.statuses = {}
        self.faults = []
        self.sent = 0
        self._validators = {}

    @staticmethod
    def _signature(server, name):
        return server.ask(f"/models/{name}", admin=True).json["versions"][0]["signature"]

    def fuzz(self, operation, mode, count, number):
        """Send ``count`` cases of one operation (fewer, where there are no more)."""
        try:
            strategy = operation.as_strategy(generation_mode=mode)

            @seed(number)
            @settings(
                max_examples=count, database=None, deadline=None, phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )  # fmt: skip
            @given(case=strategy, choice=st.integers(0, 15))
            def send(case, choice):
                if mode is GenerationMode.POSITIVE and choice:
                    self._mend(case, operation, choice)
                self._send(case, operation, choice)

            send()
        except Unsatisfiable:  # nothing can be wrong about a request without parameters
            pass

    def _mend(self, case, operation, choice):
        """Make a case whose parts do not belong together reach a model."""
        names = sorted(self.models)
        if "name" in (case.path_parameters or {}):
            case.path_parameters["name"] = names[choice % len(names)]
            for key in case.path_parameters.keys() & _PLACES:
                case.path_parameters[key] = _PLACES[key]
        for header in HEADERS:
            if case.headers and choice % 8:
                case.headers.pop(header, None)
        body = case.body
        if not isinstance(body, dict):
            return
        if operation.path.rpartition("/")[2] in _TASKS:
            body["model"] = _TASKS[operation.path.rpartition("/")[2]]
        if operation.path.endswith("/infer") and choice % 4:
            found = re.match(r"/v2/models/([^/]+)/", operation.path)[1]
            sig = self.models.get(found) or self.models[case.path_parameters["name"]]
            good = seeds.seeds("oip", sig)[0]
            if good.startswith(b"{"):
                body["inputs"] = json.loads(good).get("inputs", [])

    def _send(self, case, operation, choice):
        item = self.document["paths"][operation.path]
        told = item[operation.method]
        servers = told.get("servers") or item["servers"]
        url = servers[choice % len(servers)]["url"]
        try:
            answer = case.call(base_url=url, session=self.session, timeout=SECONDS)
        except requests.RequestException as error:
            self._fault(case, operation, repr(error))
            return
        self.sent += 1
        status = answer.status_code
        self.statuses[status] = self.statuses.get(status, 0) + 1
        in_time = not any(name.lower() == "x-request-timeout" for name in case.headers or {})
        if status >= 500 and status != 501 and (status != 504 or in_time):
            self._fault(case, operation, f"{status} {answer.content[:300]}")
        for wrong in self._unlike(told, status, answer):
            self._fault(case, operation, f"{wrong}: {status} {answer.content[:300]}")

    def _fault(self, case, operation, text):
        sent = f"{case.path_parameters} {case.headers} {case.media_type} {case.body!r:.300}"
        self.faults.append(f"{operation.label} {sent}\n    -> {text}")

    def _unlike(self, told, status, answer):
        """Yield what an answer is that the document does not say."""
        response = told["responses"].get(str(status))
        if response is None:
            yield "undocumented status"
            return
        content = response.get("content")
        if not content:
            return
        media = answer.headers["content-type"][0].partition(";")[0]
        if media not in content:
            yield f"undocumented content type {media}"
        elif media == JSON and not _BARE.search(answer.content):
            errors = list(self._validator(content[media]["schema"]).iter_errors(answer.json()))
            if errors:
                yield f"unlike its schema ({errors[0].message:.200})"

    def _validator(self, schema):
        key = json.dumps(schema)
        if key not in self._validators:
            whole = {**schema, "components": self.document["components"]}
            self._validators[key] = jsonschema_rs.Draft202012Validator(whole)
        return self._validators[key]
