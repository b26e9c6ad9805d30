import pytest
from tests.codecs.signatures import signature

from inferd.codecs.media import IMAGES, RECORDINGS, accepts, media_codec
from inferd.core.errors import InvalidInput, UnsupportedMedia

IMAGE = signature([("image", "BYTES", [-1], "image")])
SOUND = signature([("audio", "BYTES", [-1], "audio")])
TEXT = signature([("text", "BYTES", [-1, 1], "text")])
VECTOR = signature([("x", "FP32", [-1, 3])])
PLAIN = signature([("x", "BYTES", [1])], [("y", "FP32", [1])], batched=False)
TWO = signature([("a", "FP32", [-1]), ("b", "BYTES", [-1])])
SOUND_OR_NOT = ("audio", "BYTES", [-1], {"content": "audio", "default": ""})
OPTIONAL = signature([("text", "BYTES", [-1], {"default": ""}), SOUND_OR_NOT])
BESIDE = signature([("text", "BYTES", [-1]), SOUND_OR_NOT])
DEEP = signature([("x", "FP32", [-1, 2, 2])])


@pytest.mark.parametrize(
    ("sig", "media"),
    [
        (IMAGE, ("application/json", *IMAGES)),
        (SOUND, ("application/json", *RECORDINGS)),
        (TEXT, ("application/json", "text/plain", "text/csv", "application/x-npy")),
        (VECTOR, ("application/json", "text/csv", "application/x-npy")),
        (PLAIN, ("application/json", "text/plain", "application/x-npy")),
        (TWO, ("application/json", "text/csv")),
        (OPTIONAL, ("application/json", *RECORDINGS, "text/plain", "application/x-npy")),
        (BESIDE, ("application/json", "text/plain", "application/x-npy")),
        (DEEP, ("application/json", "application/x-npy")),
    ],
)
def test_the_signature_decides_what_is_taken(sig, media):
    assert accepts(sig) == media


def test_an_image_is_one_example():
    decoded = media_codec("image/png", IMAGE).decode(b"\x89PNG")

    assert decoded.single
    assert decoded.inputs["image"].tolist() == [b"\x89PNG"]


def test_a_body_goes_to_the_input_of_its_kind():
    assert list(media_codec("audio/wav", OPTIONAL).decode(b"RIFF").inputs) == ["audio"]
    assert list(media_codec("text/plain", OPTIONAL).decode(b"hello").inputs) == ["text"]


def test_recordings_are_taken_by_the_names_that_systems_give_them():
    wav = {"audio/wav", "audio/x-wav", "audio/wave", "audio/vnd.wave", "audio/x-pn-wav"}
    ogg = {"audio/ogg", "application/ogg", "audio/oga", "audio/opus", "audio/vorbis"}

    assert set(accepts(SOUND)) == {"application/json", "audio/flac", "audio/x-flac"} | wav | ogg


@pytest.mark.parametrize("media", RECORDINGS)
def test_a_recording_is_one_example(media):
    decoded = media_codec(media, SOUND).decode(b"RIFF")

    assert decoded.single
    assert decoded.inputs["audio"].tolist() == [b"RIFF"]


@pytest.mark.parametrize(
    ("sig", "value"), [(TEXT, [["grüß".encode()]]), (PLAIN, ["grüß".encode()])]
)
def test_a_text_is_one_example(sig, value):
    (array,) = media_codec("text/plain", sig).decode("grüß".encode()).inputs.values()

    assert array.tolist() == value


@pytest.mark.parametrize("body", [b"", b"\xff"], ids=["empty", "not UTF-8"])
def test_bad_texts_are_refused(body):
    with pytest.raises(InvalidInput):
        media_codec("text/plain", TEXT).decode(body)


def test_a_wrong_fit_names_what_is_taken():
    with pytest.raises(UnsupportedMedia, match="does not take image/png") as caught:
        media_codec("image/png", VECTOR)

    assert caught.value.help == "it takes application/json, text/csv, application/x-npy"
