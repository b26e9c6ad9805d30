from __future__ import annotations

import io
import json
import zipfile

import pytest

from inferd.core.errors import ModelFileError
from inferd.runtimes.exportfile import check_export


@pytest.fixture
def rebuilt(torch_files, tmp_path):
    """Write a copy of a real program with some entries changed; returns its path."""

    def build(change=lambda name, data: data, extra=()):
        out = io.BytesIO()
        with zipfile.ZipFile(torch_files["program.pt2"]) as source, zipfile.ZipFile(out, "w") as z:
            for item in source.infolist():
                name = item.filename.partition("/")[2]
                z.writestr(item.filename, change(name, source.read(item)))
            for name, data in extra:
                z.writestr(f"program/{name}", data)
        path = tmp_path / "changed.pt2"
        path.write_bytes(out.getvalue())
        return path

    return build


def in_model(edit):
    def change(name, data):
        if name != "models/model.json":
            return data
        tree = json.loads(data)
        edit(tree)
        return json.dumps(tree)

    return change


def refused(path):
    with pytest.raises(ModelFileError) as caught:
        check_export(path)
    assert str(path) in caught.value.message
    return caught.value.message


def test_what_pytorch_writes_is_let_through(torch_files, rebuilt):
    check_export(torch_files["program.pt2"])
    check_export(rebuilt())


@pytest.mark.parametrize(
    ("name", "says"),
    [
        pytest.param("data/aotinductor/model/a.so", "compiled code", id="library"),
        pytest.param("data/constants/opaque_obj_0", "pickled object", id="opaque"),
        pytest.param("data/constants/custom_obj_0", "pickled object", id="custom"),
        pytest.param("data/weights/model.pt", "pickled weights", id="legacy-weights"),
        pytest.param("version", "before 2.8", id="old"),
        pytest.param("serialized_exported_program.json", "before 2.8", id="older"),
    ],
)
def test_entries_that_could_run_code(rebuilt, name, says):
    assert says in refused(rebuilt(extra=[(name, b"x")]))


def test_pickled_tensors(rebuilt):
    def change(name, data):
        return data.replace(b'"use_pickle": false', b'"use_pickle": true')

    assert "pickled tensors" in refused(rebuilt(change))


EVIL = "__import__('os').system('true')"


@pytest.mark.parametrize(
    "edit",
    [
        pytest.param(lambda t: t.update(guards_code=[EVIL]), id="guard"),
        pytest.param(lambda t: t.update(guards_code=["L['x'].__class__"]), id="guard-dunder"),
        pytest.param(lambda t: t.update(guards_code=["L['x\\']\n']"]), id="guard-text"),
        pytest.param(lambda t: t.update(guards_code=["(lambda: 1)() == 1"]), id="guard-lambda"),
        pytest.param(
            lambda t: t["graph_module"]["graph"]["tensor_values"]["x"]["sizes"][0]["as_expr"].update(expr_str=EVIL),
            id="expression",
        ),
        pytest.param(
            lambda t: t["graph_module"]["graph"]["tensor_values"]["x"]["sizes"][0]["as_expr"].update(expr_str="Symbol('s0); import os')"),
            id="symbol",
        ),
        pytest.param(
            lambda t: t["graph_module"]["graph"]["tensor_values"]["x"]["sizes"][0]["as_expr"].update(expr_str="[x for x in ()]"),
            id="comprehension",
        ),
        pytest.param(
            lambda t: t["graph_module"]["graph"]["nodes"][0].update(target="torch.os.system"), id="target"
        ),
        pytest.param(
            lambda t: t["graph_module"]["graph"]["nodes"][0].update(name="x\nimport os"), id="node-name"
        ),
        pytest.param(
            lambda t: t["graph_module"]["graph"]["inputs"][2]["as_tensor"].update(name="x=__import__('os')"),
            id="input-name",
        ),
        pytest.param(
            lambda t: t["graph_module"]["module_call_graph"][0]["signature"].update(forward_arg_names=["x):\n import os"]),
            id="argument-name",
        ),
        pytest.param(
            lambda t: t["graph_module"]["module_call_graph"][0]["signature"].update(
                in_spec='[1, {"type": "os.system", "context": "null", "children_spec": []}]'
            ),
            id="tree-type",
        ),
        pytest.param(
            lambda t: t["graph_module"]["graph"]["nodes"][0]["inputs"][0].update(arg={"as_string": "');import os#"}),
            id="string",
        ),
        pytest.param(lambda t: t.update({"'+x+'": 1}), id="key"),
    ],
)  # fmt: skip
def test_texts_that_would_become_code(rebuilt, edit):
    assert "could run code" in refused(rebuilt(in_model(edit)))


def test_real_guards_and_expressions_pass(rebuilt):
    def edit(tree):
        tree["guards_code"] = [
            "L['x'].size()[0] == L['mask'].size()[0]",
            "2 <= L['x'].size()[1]",
            "Eq(Mod(L['x'].size()[0], 8), 0)",
            "L['x'].stride()[0] != 4 and L['x'].storage_offset() == 0",
        ]
        sizes = tree["graph_module"]["graph"]["tensor_values"]["x"]["sizes"]
        sizes[0]["as_expr"]["expr_str"] = (
            "Add(Mul(Integer(2), Symbol('s77', positive=True, integer=True)), Integer(-1))"
        )

    check_export(rebuilt(in_model(edit)))


def test_broken_json_and_cut_archives(rebuilt, torch_files, tmp_path):
    assert "not valid JSON" in refused(
        rebuilt(lambda n, d: b"{" if n == "models/model.json" else d)
    )
    deep = b"[" * 200_000
    assert "not valid JSON" in refused(
        rebuilt(lambda n, d: deep if n == "models/model.json" else d)
    )
    cut = tmp_path / "cut.pt2"
    cut.write_bytes(torch_files["program.pt2"].read_bytes()[:-1])
    assert "damaged" in refused(cut)
