from google.protobuf.descriptor_pool import DescriptorPool

from inferd.codecs.protobuf.build import MANY, File, Method, build, describe

SHAPES = File(
    "shapes.proto",
    "shapes",
    {
        "Point": (("x", 1, "double"), ("name", 2, "string", "one of label"),
                  ("number", 3, "int64", "one of label")),
        "Path": (("points", 1, "Point", MANY), ("by_name", 2, "Point", "map string"),
                 ("kind", 3, "Path.Kind"), ("weights", 4, "float", MANY)),
        "Path.Inner": (("raw", 1, "bytes"),),
    },
    {"Path.Kind": {"OPEN": 0, "CLOSED": 5}},
    {"Drawing": (Method("Draw", "Path", "Point"), Method("Follow", "Path", "Point", streams=True))},
)  # fmt: skip
OTHER = File("other.proto", "other", {"Uses": (("path", 1, "shapes.Path"),)}, needs=(SHAPES.name,))


def test_messages_of_a_table_survive_the_wire():
    classes = build(DescriptorPool(), (SHAPES, OTHER))
    path = classes["shapes.Path"](kind=5, weights=[0.5, 1.5])
    path.points.add(x=2.5, name="a")
    path.by_name["b"].number = -(2**60)
    uses = classes["other.Uses"](path=path)

    read = classes["other.Uses"].FromString(uses.SerializeToString())

    assert read == uses
    assert read.path.points[0].WhichOneof("label") == "name"
    assert read.path.by_name["b"].number == -(2**60)
    assert list(read.path.weights) == [0.5, 1.5]


def test_members_of_a_choice_exclude_each_other():
    point = build(DescriptorPool(), (SHAPES,))["shapes.Point"](name="a")
    point.number = 1

    assert point.WhichOneof("label") == "number"
    assert point.name == ""


def test_a_nested_message_has_its_own_class():
    classes = build(DescriptorPool(), (SHAPES,))

    assert classes["shapes.Path.Inner"].DESCRIPTOR.containing_type.name == "Path"


def test_services_are_described():
    pool = DescriptorPool()
    build(pool, (SHAPES,))
    service = pool.FindServiceByName("shapes.Drawing")
    draw, follow = service.methods

    assert (draw.name, draw.input_type.full_name, draw.client_streaming) == (
        "Draw", "shapes.Path", False,
    )  # fmt: skip
    assert (follow.client_streaming, follow.server_streaming) == (True, True)


def test_pools_do_not_know_each_other():
    first = build(DescriptorPool(), (SHAPES,))["shapes.Point"]
    second = build(DescriptorPool(), (SHAPES,))["shapes.Point"]

    assert first.DESCRIPTOR is not second.DESCRIPTOR
    assert first.FromString(second(x=1).SerializeToString()).x == 1


def test_numbers_are_packed_as_in_proto3():
    made = describe(SHAPES, {"shapes.Path.Kind"})

    assert made.syntax == "proto3"
    path = build(DescriptorPool(), (SHAPES,))["shapes.Path"](weights=[1, 2])
    assert path.SerializeToString()[:2] == b"\x22\x08"
