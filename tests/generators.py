"""A directory of onnxruntime-genai in small: real operators and a real tokenizer, made in milliseconds.

A token is a byte; weights are random, or such that the model recites a text: after its first byte comes
the second, and so on to the end of the answer. With ``thoughtful`` what it says depends on all it read.
"""

import json

import numpy as np
from onnx import TensorProto, helper, numpy_helper, save

EOS, START = 256, 257
VOCABULARY = 258
CONTEXT = 256
HEADS, KV_HEADS, SIZE, LAYERS = 2, 1, 16, 2
HIDDEN = HEADS * SIZE

TEMPLATE = (
    "{% for message in messages %}{{ message['role'] + ':' + message['content'] + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'assistant:' }}{% endif %}"
)


def generator(folder, recites=b"", *, thoughtful=True, seed=0, config=None, template=TEMPLATE):
    """Write such a directory; return its path. ``config``: what else ``genai_config.json`` says."""
    folder.mkdir(parents=True, exist_ok=True)
    save(_model(recites, thoughtful=thoughtful, seed=seed), str(folder / "model.onnx"))
    (folder / "genai_config.json").write_text(json.dumps(settings(**(config or {}))))
    _tokenizer(folder, template)
    return folder


def settings(**other):
    """Return what ``genai_config.json`` says; ``model``, ``decoder`` and ``search`` are added to."""
    decoder = {
        "filename": "model.onnx", "head_size": SIZE, "hidden_size": HIDDEN,
        "num_attention_heads": HEADS, "num_key_value_heads": KV_HEADS, "num_hidden_layers": LAYERS,
        "session_options": {"provider_options": []},
        "inputs": {
            "input_ids": "input_ids", "attention_mask": "attention_mask",
            "past_key_names": "past_key_values.%d.key", "past_value_names": "past_key_values.%d.value",
        },
        "outputs": {
            "logits": "logits", "present_key_names": "present.%d.key",
            "present_value_names": "present.%d.value",
        },
        **other.get("decoder", {}),
    }  # fmt: skip
    model = {
        "type": "llama", "context_length": CONTEXT, "vocab_size": VOCABULARY, "bos_token_id": START,
        "eos_token_id": EOS, "pad_token_id": EOS, "decoder": decoder, **other.get("model", {}),
    }  # fmt: skip
    search = {"past_present_share_buffer": True, "do_sample": False, **other.get("search", {})}
    return {"model": model, "search": search}


def _tokenizer(folder, template):
    letters = _letters()
    added = [
        {"id": number, "content": text, "special": True, "single_word": False, "lstrip": False,
         "rstrip": False, "normalized": False}
        for number, text in ((EOS, "<|end|>"), (START, "<|start|>"))
    ]  # fmt: skip
    vocabulary = {letter: byte for byte, letter in enumerate(letters)}
    vocabulary.update({row["content"]: row["id"] for row in added})
    plain = {
        "type": "ByteLevel",
        "add_prefix_space": False,
        "trim_offsets": True,
        "use_regex": True,
    }
    (folder / "tokenizer.json").write_text(json.dumps({
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": added,
        "normalizer": None, "pre_tokenizer": plain, "post_processor": None, "decoder": plain,
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "fuse_unk": False,
                  "byte_fallback": False, "vocab": vocabulary, "merges": []},
    }))  # fmt: skip
    (folder / "tokenizer_config.json").write_text(json.dumps({
        "tokenizer_class": "TokenizersBackend", "backend": "tokenizers", "bos_token": "<|start|>",
        "eos_token": "<|end|>", "pad_token": "<|end|>", "model_max_length": CONTEXT,
    }))  # fmt: skip
    if template is not None:
        (folder / "chat_template.jinja").write_text(template)


def _letters():
    """Return the letter that byte-level tokenizers write for each byte."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    spare = iter(range(256, 512))
    return [chr(b) if b in plain else chr(next(spare)) for b in range(256)]


def _model(recites, *, thoughtful, seed):
    chance = np.random.default_rng(seed)
    weights = {}

    def random(name, *shape, scale=0.5):
        weights[name] = (chance.normal(size=shape) * scale).astype(np.float32)
        return name

    table = np.zeros((VOCABULARY, VOCABULARY), np.float32)
    for byte, follows in zip(recites, [*recites, EOS][1:], strict=True):
        table[byte, follows] = 100
    weights["table"] = table
    angles = np.outer(np.arange(CONTEXT), 1 / 100 ** (np.arange(0, SIZE, 2) / SIZE))
    weights["cos"], weights["sin"] = (
        np.cos(angles).astype(np.float32),
        np.sin(angles).astype(np.float32),
    )
    node = helper.make_node
    nodes = [
        node("ReduceSum", ["attention_mask", "axis"], ["sums"], keepdims=0),
        node("Sub", ["sums", "one"], ["lasts"]),
        node("Cast", ["lasts"], ["seqlens"], to=TensorProto.INT32),
        node("Shape", ["attention_mask"], ["shape"]),
        node("Gather", ["shape", "one"], ["longest"]),
        node("Cast", ["longest"], ["total"], to=TensorProto.INT32),
        node("Gather", [random("embedding", VOCABULARY, HIDDEN), "input_ids"], ["h0"]),
        node("Gather", ["table", "input_ids"], ["recited"]),
    ]
    for i in range(LAYERS):
        past, present = f"past_key_values.{i}.", f"present.{i}."
        wide = (HEADS + 2 * KV_HEADS) * SIZE
        nodes += [
            node("MatMul", [f"h{i}", random(f"qkv{i}", HIDDEN, wide)], [f"packed{i}"]),
            node("GroupQueryAttention",
                 [f"packed{i}", "", "", past + "key", past + "value", "seqlens", "total", "cos", "sin"],
                 [f"seen{i}", present + "key", present + "value"], domain="com.microsoft",
                 num_heads=HEADS, kv_num_heads=KV_HEADS, do_rotary=1),
            node("MatMul", [f"seen{i}", random(f"out{i}", HIDDEN, HIDDEN)], [f"thought{i}"]),
            node("Add", [f"h{i}", f"thought{i}"], [f"h{i + 1}"]),
        ]  # fmt: skip
    head = random("head", HIDDEN, VOCABULARY, scale=1.0 if thoughtful else 0.0)
    nodes += [
        node("MatMul", [f"h{LAYERS}", head], ["said"]),
        node("Add", ["said", "recited"], ["logits"]),
    ]
    return _made(nodes, weights)


def _made(nodes, weights):
    info = helper.make_tensor_value_info
    cache = ["batch", KV_HEADS, "past", SIZE]
    inputs = [
        info("input_ids", TensorProto.INT64, ["batch", "new"]),
        info("attention_mask", TensorProto.INT64, ["batch", "total"]),
    ]
    outputs = [info("logits", TensorProto.FLOAT, ["batch", "new", VOCABULARY])]
    for i in range(LAYERS):
        for part in ("key", "value"):
            inputs.append(info(f"past_key_values.{i}.{part}", TensorProto.FLOAT, cache))
            outputs.append(
                info(f"present.{i}.{part}", TensorProto.FLOAT, [*cache[:2], "all", SIZE])
            )
    constants = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    constants += [
        numpy_helper.from_array(np.array([1], np.int64), "axis"),
        numpy_helper.from_array(np.array(1, np.int64), "one"),
    ]
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, constants)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets)
    model.ir_version = 8
    return model
