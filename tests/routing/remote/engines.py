"""Engines of the OpenAI dialect, each as odd as its ``mood`` says; they keep what they are asked."""

import base64

import numpy as np
from tests.routing.remote.peers import Replica, answer

from inferd.codecs import json

DONE = b"data: [DONE]\n\n"
USAGE = {"prompt_tokens": 31, "completion_tokens": 12, "total_tokens": 43}


def event(value, line=b"\n"):
    return b"data: " + json.dumps(value) + line + line


def chunk(text=None, reason=None, **more):
    """A chunk of a chat."""
    delta = {} if text is None else {"content": text}
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": reason}], **more}


def legacy(text="", reason=None, **more):
    """A chunk of a completion."""
    return {"choices": [{"index": 0, "text": text, "finish_reason": reason}], **more}


def streamed(*parts, kind=b"text/event-stream"):
    """An answer in pieces, each a chunk of its own."""
    head = b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\nContent-Type: %b\r\n\r\n" % kind
    return head + b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)


ENDED = b"0\r\n\r\n"


def listed(*names):
    return {"object": "list", "data": [{"id": name, "object": "model"} for name in names]}


class Engine(Replica):
    """``questions``: (path, head, body) of all that it was asked. ``health``: what it says of itself."""

    def __init__(self, mood="good", *, models=("work",), health=200):
        super().__init__(mood)
        self.models = answer(200, listed(*models))
        self.health = health
        self.questions = []
        self.gone = 0

    async def reply(self, head, body, writer):
        path = head.split(b" ", 2)[1].decode()
        if path == "/health":
            said = {"error": {"message": "Loading model", "code": self.health}}
            writer.write(answer(self.health, said))
        elif path == "/v1/models":
            writer.write(self.models)
        else:
            self.count += 1
            self.questions.append((path, head, json.loads(body)))
            return await getattr(self, f"be_{self.mood}")(head, self.questions[-1][2], writer)
        return True

    @property
    def bodies(self):
        return [body for _, _, body in self.questions]

    async def be_good(self, head, body, writer):
        if "input" in body:
            writer.write(answer(200, self.vectors(body)))
            return True
        make = chunk if "messages" in body else legacy
        parts = [event(make(text)) for text in ("", "Hello", ", ", "wörld")]
        if body.get("stream_options"):
            parts.append(event({"choices": [], "usage": USAGE}))
        parts.insert(4, event(make("", "length")))
        writer.write(streamed(*parts, DONE) + ENDED)
        return True

    def vectors(self, body, **more):
        rows = [np.array([len(text), 1, 2], "<f4") for text in body["input"]]
        if body.get("encoding_format") == "base64":
            rows = [base64.b64encode(row.tobytes()).decode() for row in rows]
        else:
            rows = [row.tolist() for row in rows]
        data = [{"index": i, "embedding": row} for i, row in enumerate(rows)]
        return {"data": data[::-1], "usage": {"prompt_tokens": 7}, **more}

    async def be_strict(self, head, body, writer):
        for name in ("stream_options", "encoding_format"):
            if name in body:
                detail = [{"loc": ["body", name], "msg": "extra fields not permitted"}]
                writer.write(answer(422, {"detail": detail}))
                return True
        return await self.be_good(head, body, writer)

    async def be_whole(self, head, body, writer):
        choice = {"index": 0, "message": {"content": "all at once"}, "finish_reason": "stop"}
        writer.write(
            answer(200, {"choices": [choice], "usage": USAGE}, b"Content-Type: application/json")
        )
        return True

    async def be_dying(self, head, body, writer):
        """End before anything was said but who speaks."""
        writer.write(streamed(event(chunk(""))))

    async def be_breaking(self, head, body, writer):
        writer.write(streamed(event(chunk("Hel"))))

    async def be_short(self, head, body, writer):
        """End in good order, and without an end."""
        writer.write(streamed(event(chunk("Hel"))) + ENDED)
        return True

    async def be_cutting(self, head, body, writer):
        """Break off once everything was said."""
        writer.write(streamed(event(chunk("Hel")), event(chunk("lo", "stop"))))

    async def be_saying(self, head, body, writer):
        """Fail in the middle, by an event."""
        writer.write(streamed(event(chunk("Hel")), event({"error": {"message": "out of memory"}})))
        return True

    async def be_refusing(self, head, body, writer):
        said = {"object": "error", "message": "the prompt is too long", "code": 400}
        writer.write(answer(400, said))
        return True

    async def be_forbidding(self, head, body, writer):
        writer.write(answer(401, {"error": {"message": "wrong key: s3cret"}}))
        return True

    async def be_talkative(self, head, body, writer):
        said = "-" * 498 + "s3cret" + "-" * 9000
        writer.write(answer(401, {"error": {"message": said}}))
        return True

    async def be_unknowing(self, head, body, writer):
        """Have the model no more."""
        self.models = answer(200, listed("another"))
        writer.write(answer(404, {"error": {"message": "the model does not exist"}}))
        return True

    async def be_chatting(self, head, body, writer):
        """Offer no completions."""
        if "messages" in body:
            return await self.be_good(head, body, writer)
        writer.write(answer(404, {"detail": "Not Found"}))
        return True

    async def be_endless(self, head, body, writer):
        """Go on until nobody reads."""
        writer.write(streamed())
        part = event(chunk("la"))
        try:
            while not writer.is_closing() and not writer.reader.at_eof():
                writer.write(b"%x\r\n%b\r\n" % (len(part), part))
                await writer.drain()
        finally:
            self.gone += 1

    async def be_huge(self, head, body, writer):
        writer.write(streamed(b"data: " + b"x" * (5 << 20)))
        return True

    async def be_moved(self, head, body, writer):
        writer.write(answer(302, b"", b"Location: http://elsewhere"))
        return True
