"""Files held to the schemas that others have made for them; check-jsonschema brings those along."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def complaints(schema: str, file: Path) -> str:
    """What speaks against the file; empty if nothing does. `schema`: a name of check-jsonschema's, without `vendor.`"""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    return "" if done.returncode == 0 else done.stdout + done.stderr
