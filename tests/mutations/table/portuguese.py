"""Mutations of the Portuguese pages: what the English ones have and they lack."""

from __future__ import annotations

from tests.mutations.mutation import Mutation

_SAME = "the Portuguese pages say what the English ones do"


def _of(name: str) -> str:
    return f"docs/test_portuguese.py::test_each_section_has_what_the_english_one_has[{name}]"


MUTATIONS: tuple[Mutation, ...] = (
    Mutation(
        "portuguese-row",
        "../docs/pt/contract.md",
        "| `off` | `MEDIA_IN` está desligado |\n",
        "",
        _SAME,
        _of("contract.md"),
    ),
    Mutation(
        "portuguese-heading",
        "../docs/pt/troubleshooting.md",
        "## Duplicatas",
        "**Duplicatas**",
        _SAME,
        _of("troubleshooting.md"),
    ),
    Mutation(
        "portuguese-code",
        "../docs/pt/worker-proxy/README.md",
        "update wa_instances set enabled = false where id = 'shop';",
        "update wa_instances set enabled = true where id = 'shop';",
        _SAME,
        _of("worker-proxy/README.md"),
    ),
    Mutation(
        "portuguese-identifier",
        "../docs/pt/easypanel.md",
        "caminho `/health`",
        "caminho `/saude`",
        _SAME,
        _of("easypanel.md"),
    ),
    Mutation(
        "english-item",
        "../docs/easypanel.md",
        "* **Backup**:",
        "* **Restore**: no.\n* **Backup**:",
        _SAME,
        _of("easypanel.md"),
    ),
)
