import pytest

from inferd.core.errors import InvalidInput
from inferd.runtimes.genai.marks import Marks, added_tokens, marks_of, shown

MARKS = Marks(["<|end|>", "<|end|>x", "<s>"])


def hidden(*contents):
    return MARKS.hidden([{"role": "user", "content": content} for content in contents])


def test_messages_without_marks_stay_as_they_are():
    messages, found = hidden("hello <end>", "你好")

    assert [row["content"] for row in messages] == ["hello <end>", "你好"] and not found
    assert shown("text", found) == ("text",)


def test_marks_are_hidden_and_shown_again_the_longest_first():
    messages, found = hidden("a<s>b<|end|>xy", "<s>")
    text = "".join(row["content"] for row in messages)

    assert found == ["<s>", "<|end|>x"] and "<" not in text
    assert shown(text, found) == ("a", "<s>", "b", "<|end|>x", "y", "<s>", "")


def test_characters_that_stand_for_marks_may_be_in_a_text():
    said = "\U000f0000<s>\U000f0001"
    messages, found = hidden(said)

    assert "".join(shown(messages[0]["content"], found)) == said


def test_more_of_them_than_there_are_is_refused():
    with pytest.raises(InvalidInput, match="private use"):
        hidden("<s>" + "".join(map(chr, range(0xF0000, 0xFFFFE))))


@pytest.mark.parametrize("mark", ["<|end|>", "<s>", "<|end|>x", "\U000f0000"])
def test_the_pieces_of_a_mark_are_none(mark):
    pieces = MARKS.pieces(mark)

    assert "".join(pieces) == mark and not {"<|end|>", "<s>", "<|end|>x"} & set(pieces)


def test_a_mark_within_a_mark_is_cut_too():
    assert Marks(["<<s>>", "<s>"]).pieces("<<s>>") == list("<<s>>")


@pytest.mark.parametrize(
    "tokenizer",
    [None, [], {}, {"added_tokens": 3}, {"added_tokens": ["x", {"content": 3}, {"content": "x"}]}],
    ids=range(5),
)
def test_a_tokenizer_may_have_no_such_tokens(tokenizer):
    assert added_tokens(tokenizer) == {}


def test_special_tokens_and_those_that_the_template_writes_are_marks():
    rows = [("<a>", True), ("<b>", False), ("<c>", False)]
    added = added_tokens({"added_tokens": [{"content": t, "special": s} for t, s in rows]})

    assert marks_of(added, "user<c>hello") == ["<a>", "<c>"]
