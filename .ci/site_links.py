"""A hook of mkdocs.yaml: what a page links to and the site has not (a test, a source file) is at the repository.

What is at neither stays as it is, and the strict build complains.
"""

import posixpath
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Called by mkdocs with each page, before it becomes HTML."""
    folder = posixpath.dirname(page.file.src_uri)

    def at_the_repository(link: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join(folder, link[1]))
        if path.startswith("..") or not (ROOT / path).exists() or files.get_file_from_path(path) is not None:
            return link[0]
        kind = "tree" if (ROOT / path).is_dir() else "blob"
        return f"]({config.repo_url}/{kind}/HEAD/{path}{link[2] or ''})"

    return re.sub(r"\]\((?![a-z]+:|#|/)([^)\s#]+)(#[^)\s]*)?\)", at_the_repository, markdown)
