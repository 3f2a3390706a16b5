"""Mutations of what a message is, of chats' timers, and of what a log may show."""

from __future__ import annotations

from tests.mutations.mutation import Mutation

MUTATIONS: tuple[Mutation, ...] = (
    Mutation(
        "content-bytes",
        "whatsapp/parsing.py",
        "            if field.type == FieldDescriptor.TYPE_STRING:",
        "            if each is protobuf and field.type == FieldDescriptor.TYPE_STRING:",
        "a text that is not UTF-8 is not lost, in whatever field it is",
        "whatsapp/test_parsing.py::test_a_text_in_any_field",
    ),
    Mutation(
        "content-bytes-in-lists",
        "whatsapp/parsing.py",
        "    elif any(",
        "    elif False and any(",
        "a text that is not UTF-8 is not lost, in whatever field it is",
        "whatsapp/test_parsing.py::test_a_text_in_any_field",
    ),
    Mutation(
        "content-album",
        "whatsapp/content.py",
        '        "albumMessage",\n',
        "",
        "the header of an album is no row",
        "whatsapp/test_content.py::test_content",
    ),
    Mutation(
        "content-better-copy",
        "whatsapp/content.py",
        "        ContextInfo.HD_IMAGE_CHILD,\n",
        "",
        "the better copy of a picture is no second row",
        "whatsapp/test_content.py::test_content",
    ),
    Mutation(
        "content-new-wrapper",
        "whatsapp/content.py",
        "            if inner.ListFields():",
        "            if False:",
        "the words in a wrapper that nobody knows yet are read",
        "whatsapp/test_content.py::test_a_wrapper_that_nobody_knows_yet_is_opened",
    ),
    Mutation(
        "content-unknown-lost",
        "whatsapp/content.py",
        "    if not shown and not len(UnknownFieldSet(message)):",
        "    if not shown:",
        "content that nobody knows yet is a row",
        "whatsapp/test_content.py::test_content_that_nobody_knows_yet_is_a_message_all_the_same",
    ),
    Mutation(
        "words-context",
        "whatsapp/words.py",
        '        *("ContextInfo", "MessageContextInfo"',
        '        *("MessageContextInfo", "MessageContextInfo"',
        "the words of a quoted message are not those of the message",
        "whatsapp/test_words.py::test_the_words_of",
    ),
    Mutation(
        "words-once",
        "whatsapp/words.py",
        "        if line and line not in lines:",
        "        if line:",
        "each text is there once",
        "whatsapp/test_words.py::test_the_words_of",
    ),
    Mutation(
        "words-depth",
        "whatsapp/words.py",
        "                yield from _texts(part, depth - 1)",
        "                yield from _texts(part, depth)",
        "words are bounded in depth",
        "whatsapp/test_words.py::test_they_are_bounded",
    ),
    Mutation(
        "words-json",
        "whatsapp/words.py",
        "    except (ValueError, RecursionError):",
        "    except ValueError:",
        "no JSON of a sender breaks anything",
        "whatsapp/test_choices.py::test_params_without_an_id_lose_no_words",
    ),
    Mutation(
        "choice-quoted",
        "whatsapp/choices.py",
        '    return label(quoted, identifier) if identifier else ""',
        '    return ""',
        "the words of an answer are those that the person saw",
        "whatsapp/test_choices.py::test_an_answer",
    ),
    Mutation(
        "choice-surrogate",
        "whatsapp/choices.py",
        "    identifier = readable(str(identifier))",
        "    identifier = str(identifier)",
        "half an emoji in an id loses no message",
        "whatsapp/test_choices.py::test_an_answer",
    ),
)
