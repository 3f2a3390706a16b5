"""Mutations of what the bench measures of files, and of the pieces that files are taken in."""

from __future__ import annotations

from tests.mutations.mutation import Mutation

BENCH, PIECES = "dev/bench/", "edge/pieces.py"
FILES = "dev/bench/test_files.py::test_"
IN, OUT = FILES + "files_in_are_copied_and_come_at_once", FILES + "files_out_are_copied_and_leave_nothing"
PIECES_TEST = "edge/test_pieces.py::test_few_files_have_large_pieces_and_many_no_more_together_than_they_must"

MUTATIONS: tuple[Mutation, ...] = (
    Mutation(
        "pieces-all-small",
        PIECES,
        "max(SMALLEST, min(LARGEST, TOGETHER // max(self._files, 1)))",
        "SMALLEST",
        "A file that is alone takes few thread hops.",
        PIECES_TEST,
    ),
    Mutation(
        "pieces-all-large",
        PIECES,
        "            yield\n        finally:\n            self._files -= 1",
        "            self._files -= 1\n            yield\n        finally:\n            pass",
        "What twenty files hold in memory is bounded.",
        PIECES_TEST,
    ),
    Mutation(
        "pieces-for-ever",
        PIECES,
        "            self._files -= 1",
        "            pass",
        "A file that is over counts no more.",
        PIECES_TEST,
    ),
    Mutation(
        "bench-copy-of-nothing",
        BENCH + "bare_copy.py",
        "    while piece := file.read(PIECE):\n        yield piece",
        "    yield file.read(0)",
        "The copy that the worker is compared with is of the same bytes.",
        IN,
    ),
    Mutation(
        "bench-curl-of-nothing",
        BENCH + "bare_copy.py",
        '"--upload-file", str(file), copy.target]',
        '"--data", "", copy.target]',
        "The same, by curl.",
        IN,
    ),
    Mutation(
        "bench-ratio-of-the-worst",
        BENCH + "media_in.py",
        "            middle = percentile(took, 0.5)\n            rows",
        "            middle = max(took)\n            rows",
        "A ratio is of the middle of what was measured.",
        FILES + "a_ratio_is_of_the_middle_of_what_was_measured",
    ),
    Mutation(
        "bench-one-at-once",
        BENCH + "media_in.py",
        'f"55116100000{n:02}": message for n in range(AT_ONCE)',
        'f"55116100000{n:02}": message for n in range(1)',
        "Memory is measured with twenty files at once.",
        IN,
    ),
    Mutation(
        "bench-peak-of-all-time",
        BENCH + "measure.py",
        '.write_text("5")',
        '.write_text("1")',
        "The peak of memory is that of what is measured.",
        FILES + "a_peak_is_the_most_since_the_last_one_was_forgotten",
    ),
    Mutation(
        "bench-peak-of-now",
        BENCH + "measure.py",
        '["VmHWM"]',
        '["VmRSS"]',
        "The peak of memory is the most that there was.",
        FILES + "a_peak_is_the_most_since_the_last_one_was_forgotten",
    ),
    Mutation(
        "bench-sends-no-file",
        BENCH + "media_out.py",
        'type="document", media={"link": link, "filename": "bench.bin"}',
        'body="bench.bin"',
        "What is measured on its way out is a file.",
        OUT,
    ),
    Mutation(
        "bench-media-not-wanted",
        BENCH + "run.py",
        '("media-out", media_out, MB_OUT)',
        '("media-in", media_out, MB_OUT)',
        "`--only media-out` measures what is sent.",
        FILES + "both_are_run_when_they_are_asked_for",
    ),
    Mutation(
        "go-keeps-an-upload",
        "process.py",
        "MEMORY_LIMIT = 32",
        "MEMORY_LIMIT = 64",
        "After three files of 16 MB memory is within 25 MB of before.",
        "test_process.py::test_go_s_memory_is_limited_by_the_sessions_on_the_volume",
    ),
)
