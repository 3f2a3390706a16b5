"""How large the pieces of files are, by how many files are under way."""

from __future__ import annotations

from contextlib import ExitStack

from wa_worker.edge.pieces import LARGEST, SMALLEST, TOGETHER, Pieces


def test_few_files_have_large_pieces_and_many_no_more_together_than_they_must() -> None:
    pieces = Pieces()
    assert pieces.size == LARGEST
    sizes = []
    with ExitStack() as files:
        for _ in range(20):
            files.enter_context(pieces.file())
            sizes.append(pieces.size)
    assert sizes[:4] == [LARGEST] * 4
    assert sizes[-1] == SMALLEST
    assert all(size * count <= TOGETHER or size == SMALLEST for count, size in enumerate(sizes, 1))
    assert pieces.size == LARGEST
