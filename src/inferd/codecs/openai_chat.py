"""OpenAI chat completions and (legacy) completions: what a request asks for, read field by field.

What the model is to heed goes to it as parameters: the sampling fields, and every scalar field that
is not known here. What is for the server is done here: ``stop``, ``max_tokens``, ``n``, ``echo``.
What is not offered is refused; what asks for nothing (``tools: []``, ``logprobs: false``) is not.

A conversation becomes a prompt by a plain template, ``role: content`` in lines and ``assistant:`` at
the end; a model that knows better has an input ``messages``.

Source: openai/openai-openapi, openapi.yaml 2.3.0.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from inferd.codecs.generation import Roles
from inferd.codecs.openai import Fields, estimated, utf8
from inferd.core.errors import InvalidInput
from inferd.core.message import Parameters
from inferd.core.tensor import Tensors

MAX_CHOICES = 128
MAX_STOPS = 4
MAX_STOP = 256  # characters of a stop text
MAX_MESSAGES = 8192
ROLES = ("system", "developer", "user", "assistant", "tool", "function")

_SEED = 1 << 63
_MEANINGLESS = (
    "store", "metadata", "service_tier", "parallel_tool_calls", "prompt_cache_options",
    "prompt_cache_retention",
)  # fmt: skip
_REFUSED: tuple[tuple[str, str, tuple[Any, ...]], ...] = (
    ("tools", "a model gets the conversation and answers with text", ()),
    ("tool_choice", "there are no tools", ("none", "auto")),
    ("functions", "a model gets the conversation and answers with text", ()),
    ("function_call", "there are no functions", ("none", "auto")),
    ("response_format", "answers are free text", ({"type": "text"},)),
    ("logprobs", "models answer with text alone", ()),
    ("top_logprobs", "models answer with text alone", (0,)),
    ("logit_bias", "models take no biases of tokens", ()),
    ("audio", "answers are text", ()),
    ("modalities", "answers are text", (["text"],)),
    ("prediction", "models take no predicted answer", ()),
    ("moderation", "there is none", ()),
    ("web_search_options", "there is no search", ()),
    ("suffix", "text is generated at the end alone", ()),
)
"""Fields that are not offered: name, why, and the values that ask for nothing."""


@dataclass(slots=True)
class Run:
    """One choice: what the model is asked. ``prompt`` numbers the prompts of a request.

    ``echo``: text that the answer begins with. ``tokens``: about how many the prompt has.
    """

    inputs: Tensors
    parameters: Parameters
    prompt: int = 0
    echo: str = ""
    tokens: int = 0


@dataclass(slots=True)
class Ask:
    """A request to generate: its choices in order, and what holds for all of them."""

    model: str
    runs: list[Run] = field(default_factory=list)
    stops: tuple[str, ...] = ()
    limit: int | None = None
    stream: bool = False
    usage: bool = False


def read_chat(body: Any, roles: Roles) -> Ask:
    """Read a chat completion request."""
    fields = Fields(body)
    ask = Ask(fields.text("model") or "")
    messages = fields.need("messages")
    plain = conversation(messages, foreign=roles.messages is not None)
    longest = fields.integer("max_completion_tokens", 1, 1 << 31)
    limit = fields.integer("max_tokens", 1, 1 << 31)
    ask.limit = limit if longest is None else longest
    prompt = utf8(rendered(plain), "messages")
    count, parameters = _common(fields, ask)
    inputs = roles.inputs(prompt, messages, chat=True)
    ask.runs = _runs([(inputs, "", estimated([prompt]))], count, parameters)
    return ask


def read_completion(body: Any, roles: Roles) -> Ask:
    """Read a completion request."""
    fields = Fields(body)
    ask = Ask(fields.text("model") or "")
    prompts = _prompts(fields.need("prompt"))
    ask.limit = fields.integer("max_tokens", 1, 1 << 31)
    echo, best = fields.flag("echo"), fields.integer("best_of", 1, MAX_CHOICES)
    count, parameters = _common(fields, ask)
    if best is not None and best != count:
        raise InvalidInput(f'"best_of" is {best}, and only as many as "n" are generated: {count}')
    if len(prompts) * count > MAX_CHOICES:
        raise InvalidInput(
            f'"prompt" holds {len(prompts)} texts and "n" is {count}: '
            f"at most {MAX_CHOICES} answers are given to one request"
        )
    given = []
    for text in prompts:
        prompt = utf8(text, "prompt")
        inputs = roles.inputs(prompt, [{"role": "user", "content": text}])
        given.append((inputs, text if echo else "", estimated([prompt])))
    ask.runs = _runs(given, count, parameters)
    return ask


def _common(fields: Fields, ask: Ask) -> tuple[int, Parameters]:
    """Read what both kinds of request have; return how many answers a prompt gets, and parameters."""
    count = fields.integer("n", 1, MAX_CHOICES) or 1
    ask.stops = _stops(fields.take("stop"))
    ask.stream = fields.flag("stream")
    ask.usage = _include_usage(fields.take("stream_options"), ask.stream)
    numbers = {
        "temperature": fields.number("temperature", 0, 2),
        "top_p": fields.number("top_p", 0, 1),
        "presence_penalty": fields.number("presence_penalty", -2, 2),
        "frequency_penalty": fields.number("frequency_penalty", -2, 2),
        "seed": fields.integer("seed", -_SEED, _SEED - MAX_CHOICES - 1),
        "max_tokens": ask.limit,
    }
    user = fields.text("user")
    for name, why, allowed in _REFUSED:
        fields.refuse(name, why, *allowed)
    fields.ignore(*_MEANINGLESS)
    parameters = fields.scalars()
    parameters.update({name: value for name, value in numbers.items() if value is not None})
    if user is not None:
        parameters["user"] = user
    return count, parameters


def _runs(given: list[tuple[Tensors, str, int]], count: int, parameters: Parameters) -> list[Run]:
    """Return the choices: those of the first prompt, of the second ...; seeds count up from one."""
    runs: list[Run] = []
    for prompt, (inputs, echo, tokens) in enumerate(given):
        for number in range(count):
            own = parameters
            if number and "seed" in parameters:
                own = {**parameters, "seed": int(parameters["seed"]) + number}
            runs.append(Run(inputs, own, prompt, echo, tokens))
    return runs


def _stops(given: Any) -> tuple[str, ...]:
    stops = [given] if type(given) is str else given or []
    if type(stops) is not list or any(type(stop) is not str for stop in stops):
        raise InvalidInput('"stop" must be a text or a list of texts')
    if len(stops) > MAX_STOPS:
        raise InvalidInput(f'"stop" holds {len(stops)} texts; at most {MAX_STOPS} are accepted')
    for stop in stops:
        if not 0 < len(stop) <= MAX_STOP:
            raise InvalidInput(
                f'"stop" holds a text of {len(stop)} characters; 1 to {MAX_STOP} are accepted'
            )
    return tuple(stops)


def _include_usage(options: Any, stream: bool) -> bool:
    if options is None:
        return False
    if not stream:
        raise InvalidInput('"stream_options" is only for streams', help="send stream: true")
    if type(options) is not dict:
        raise InvalidInput('"stream_options" must be an object')
    wanted = options.get("include_usage")
    if wanted is not None and type(wanted) is not bool:
        raise InvalidInput('"stream_options" holds an include_usage that is not true or false')
    return bool(wanted)


def _prompts(given: Any) -> list[str]:
    texts = [given] if type(given) is str else given
    if type(texts) is not list or not texts:
        raise InvalidInput('"prompt" must be a text or a list of texts')
    if {int, list}.issuperset(map(type, texts)):
        raise InvalidInput('"prompt" holds token ids, which models here do not take')
    if any(type(text) is not str for text in texts):
        raise InvalidInput('"prompt" must be a text or a list of texts')
    return texts


def conversation(messages: Any, *, foreign: bool = False) -> list[tuple[str, str]]:
    """Return the roles and texts of a conversation.

    ``foreign``: a model reads the messages itself, so that parts which are no text may be among
    them. Raises ``InvalidInput``.
    """
    if type(messages) is not list or not messages:
        raise InvalidInput('"messages" must be a list of messages')
    if len(messages) > MAX_MESSAGES:
        raise InvalidInput(f'"messages" holds {len(messages)}; at most {MAX_MESSAGES} are accepted')
    found: list[tuple[str, str]] = []
    for index, message in enumerate(messages):
        where = f'"messages" of index {index}'
        if type(message) is not dict or message.get("role") not in ROLES:
            raise InvalidInput(f"{where} must be an object whose role is one of {', '.join(ROLES)}")
        found.append((message["role"], _content(message, where, foreign=foreign)))
    return found


def _content(message: dict[str, Any], where: str, *, foreign: bool) -> str:
    content = message.get("content")
    if type(content) is str:
        return content
    if content is None and (foreign or message["role"] == "assistant"):
        return ""
    if type(content) is not list:
        raise InvalidInput(f"{where} must have a content: a text, or a list of parts")
    texts: list[str] = []
    for part in content:
        kind = part.get("type") if type(part) is dict else None
        if kind == "text" and type(part.get("text")) is str:
            texts.append(part["text"])
        elif not foreign or type(kind) is not str:
            shown = repr(kind[:40]) if type(kind) is str else "unknown"
            raise InvalidInput(f"{where} has a part of type {shown}; this model takes text alone")
    return "".join(texts)


def rendered(conversation: list[tuple[str, str]]) -> str:
    """Return a conversation as a prompt: ``role: content`` in lines, and ``assistant:``."""
    lines = [f"{role}: {content}\n" for role, content in conversation]
    return "".join(lines) + "assistant:"
