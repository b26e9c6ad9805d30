"""The doors of the OpenAI API: embeddings, completions, chat completions."""

import base64
import json

import numpy as np
from tests.parity.doors import HttpDoor, ask_json, json_asked, prompted
from tests.parity.simple import text_of
from tests.parity.wire import Asked, Refused, events


class OpenAI(HttpDoor):
    """What the three share: errors, the list of models, the model's name in the body."""

    label = "openai"
    verb = field = ""

    def request(self, model, inputs, *, outputs=None, version=None, label=None):
        place = f"@{version or label}" if version or label else ""
        return json_asked(f"/v1/{self.verb}", {"model": f"{model}{place}", **self.body(inputs)})

    def body(self, inputs):
        """Return what asks for the one text of inputs, or for what stands for arrays of numbers."""
        raise NotImplementedError

    def _with(self, **fields):
        """Ask with these fields beside the model's name."""
        model, _ = self.subject("works")
        reply = self.http.ask(json_asked(f"/v1/{self.verb}", {"model": model, **fields}))
        return self.refuse(reply) if reply.status != 200 else reply

    def lacking(self):
        return self._with()

    def mistyped(self):
        return self._with(**{self.field: 5})

    def misshaped(self):
        return self._with(**{self.field: []})

    def refusal(self, reply):
        error = reply.json["error"]
        assert set(error) == {"message", "type", "param", "code"}
        kind = {"rate_limit_exceeded": "overloaded", "model_not_found": "not_found"}.get(
            error["code"], error["code"]
        )
        return Refused(kind, error["message"], reply.status, reply.headers)

    def metadata(self, model):
        card = ask_json(self.http, f"/v1/models/{model}")
        assert card["id"] == model
        return {}, {}

    def ready(self, model):
        listed = ask_json(self.http, "/v1/models")["data"]
        return model in [card["id"] for card in listed]


class Embeddings(OpenAI):
    task = "embed"
    verb = "embeddings"
    field = "input"
    held = "embeds"

    def subject(self, what, mark=1.0):
        model = {"unknown": "nothing", "broken": "broken"}.get(what, "embeds")
        word = {"fails": "fail", "slow": "slow"}.get(what, f"e{mark:g}")
        return model, {"text": np.array([word.encode()], object)}

    def body(self, inputs):
        array, *_ = inputs.values()
        texts = array.ravel().tolist()
        given = [text_of(e) for e in texts] if array.dtype == object else [[1, 2, 3]]
        return {"input": given, "encoding_format": "base64"}

    def read(self, reply, model, outputs):
        rows = [base64.b64decode(item["embedding"]) for item in reply.json["data"]]
        return {"vector": np.stack([np.frombuffer(row, "<f4") for row in rows])}


class Completions(OpenAI):
    task = "generate"
    verb = "completions"
    field = "prompt"
    held = "teller"

    def subject(self, what, mark=1.0):
        model = {"unknown": "nothing", "broken": "broken"}.get(what, "teller")
        words = {"fails": "early", "slow": "endless-slow", "held": f"endless-{mark:g}"}
        return model, {"prompt": np.array([words.get(what, f"g{mark:g}").encode()], object)}

    def body(self, inputs):
        return {"prompt": self.text(inputs)}

    def text(self, inputs):
        array, *_ = inputs.values()
        return text_of(array.ravel()[0]) if array.dtype == object and array.size else "1"

    def read(self, reply, model, outputs):
        (choice,) = reply.json["choices"]
        return {"text": np.array([self.content(choice).encode()], object)}

    def content(self, choice):
        return choice["text"]

    def pieces(self, prompt):
        asked = self.request("teller", {"prompt": np.array([prompt.encode()], object)})
        body = {**json.loads(asked.body), "stream": True}
        for data in events(
            self.stream(asked._replace(body=json.dumps(body).encode())), self.refuse
        ):
            if data == b"[DONE]":
                return
            found = json.loads(data)
            if "error" in found:
                raise Refused(found["error"]["code"], found["error"]["message"])
            for choice in found["choices"]:
                text = self.delta(choice)
                if text:
                    yield text

    def delta(self, choice):
        return choice["text"]


class Transcriptions(Completions):
    """The recording that a model is asked is a text, as far as its bytes go."""

    task = "transcribe"
    verb = "audio/transcriptions"
    field = "response_format"
    held = teller = "hears"
    boundary = "parity"

    def subject(self, what, mark=1.0):
        model, inputs = super().subject(what, mark)
        return ("hears" if model == "teller" else model), inputs

    def request(self, model, inputs, *, outputs=None, version=None, label=None):
        place = f"@{version or label}" if version or label else ""
        return self.form({"model": f"{model}{place}"}, self.text(inputs))

    def form(self, fields, recording=None):
        """Return a form of fields and, unless it is ``None``, a file."""
        parts = [(f'name="{name}"', str(value)) for name, value in fields.items()]
        if recording is not None:
            parts.append(('name="file"; filename="a.wav"', recording))
        lines = [
            f"--{self.boundary}\r\nContent-Disposition: form-data; {head}\r\n\r\n{data}\r\n"
            for head, data in parts
        ]
        body = "".join([*lines, f"--{self.boundary}--\r\n"]).encode("utf-8", "surrogateescape")
        media = f"multipart/form-data; boundary={self.boundary}"
        return Asked(f"/v1/{self.verb}", body, {"Content-Type": media})

    def _with(self, **fields):
        recording = None if not fields else "x"
        reply = self.http.ask(self.form({"model": "hears", **fields}, recording))
        return self.refuse(reply) if reply.status != 200 else reply

    def read(self, reply, model, outputs):
        return {"text": np.array([reply.json["text"].encode()], object)}

    def whole(self, prompt):
        found = self.predict("hears", prompted(prompt)).tensors["text"]
        return found[0].decode()

    def pieces(self, prompt):
        asked = self.request("hears", prompted(prompt))
        more = self.form({"model": "hears", "stream": "true"}, prompt)
        for data in events(self.stream(asked._replace(body=more.body)), self.refuse):
            found = json.loads(data)
            if "error" in found:
                raise Refused(found["error"]["code"], found["error"]["message"])
            if found["type"] == "transcript.text.delta":
                yield found["delta"]


class Chat(Completions):
    """The text that a model is asked is made of the conversation."""

    verb = "chat/completions"
    field = "messages"

    def body(self, inputs):
        return {"messages": [{"role": "user", "content": self.text(inputs)}]}

    def content(self, choice):
        return choice["message"]["content"]

    def delta(self, choice):
        return choice["delta"].get("content", "")
