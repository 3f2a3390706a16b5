"""The one check of a bearer token."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import wa_worker
from wa_worker.models import Secret
from wa_worker.monitoring.bearer import is_allowed, is_token

TOKEN = Secret("a-token")


def test_the_token_to_the_letter() -> None:
    assert is_allowed("Bearer a-token", TOKEN)


@pytest.mark.parametrize(
    "header",
    [
        *(None, "", "Bearer", "Bearer ", "a-token", "Basic a-token", "bearer a-token", "BEARER a-token"),
        *(
            "Bearer  a-token",
            "Bearer a-token ",
            " Bearer a-token",
            "Bearer\ta-token",
            "Bearer a-toke",
            "Bearer a-token2",
        ),
        *("Bearer A-TOKEN", "Bearer a-token, Bearer x", "Bearer \xff", "Bearer \u0142", "Bearer None"),
    ],
)
def test_anything_else_is_refused(header: str | None) -> None:
    assert not is_allowed(header, TOKEN)


def test_one_that_is_not_ascii_comes_as_utf_8() -> None:
    as_it_comes = "Bearer a\u00e7\u00e3o".encode().decode("latin-1")
    assert is_allowed(as_it_comes, Secret("a\u00e7\u00e3o"))
    assert not is_allowed("Bearer a\u00e7\u00e3o", Secret("a\u00e7\u00e3o"))


def test_no_other_module_compares_tokens() -> None:
    """A second check would be another one in time. The signature of a URL in the reference proxy is no token."""
    folder = Path(wa_worker.__file__).parent
    found = {
        str(file.relative_to(folder))
        for file in folder.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.Attribute) and node.attr == "compare_digest"
    }
    assert found == {
        "monitoring/bearer.py",
        "admin/sessions.py",  # the random text of a form
        "whatsapp/socket_gate/gate.py",  # the password of one opening of a session
        *("dev/proxy/storage.py", "dev/simulator/sessions.py", "whatsapp/media_crypto.py"),  # a signature and two MACs
    }


def test_what_is_typed_is_the_token_to_the_letter() -> None:
    assert is_token("ação", Secret("ação"))
    assert not any(is_token(typed, Secret("token")) for typed in ("", "Token", "token ", "toke", "tokens", "\ud800"))
