"""Carries a Containerfile out in root file systems, where there is no container engine.

`steps.py build CONTAINERFILE CONTEXT BASE WORK` copies BASE (a directory with a root file system) for each FROM, and
does COPY and RUN as an engine would; the last stage is WORK/image. What a RUN step needs of this machine to get its
packages is lent: the variables named in KEEP, and the files below the folder LEND, which are taken out again.
`steps.py show CONTAINERFILE` prints what a container of the image is started with, as JSON.

It knows what our Containerfile uses, and fails on everything else. The ignore file is honoured for the patterns in
it (`*`, `!name`, `!folder/**`, `**/name`, `folder`), not in general.
"""

from __future__ import annotations

import fnmatch
import json
import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from string import Template

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass
class Stage:
    name: str
    steps: list[tuple[str, str]] = field(default_factory=list)
    env: dict[str, str] = field(default_factory=lambda: {"PATH": PATH})
    workdir: str = "/"
    user: str = "0:0"
    healthcheck: list[str] = field(default_factory=list)
    entrypoint: list[str] = field(default_factory=list)
    stopsignal: str = "SIGTERM"
    volumes: list[str] = field(default_factory=list)


def parse(text: str) -> list[Stage]:
    stages: list[Stage] = []
    arguments: dict[str, str] = {}
    for line in text.replace("\\\n", " ").splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        word, rest = line.split(maxsplit=1)
        if word == "ARG" and not stages:
            name, _, default = rest.partition("=")
            arguments[name] = default
        elif word == "FROM":
            image, *alias = Template(rest).substitute(arguments).split(" AS ")
            assert image == "python:3.11-slim-bookworm", f"a minimal Debian 12 does not stand for {image}"
            stages.append(Stage(alias[0] if alias else "image"))
        elif word in ("RUN", "COPY", "WORKDIR"):
            stages[-1].steps.append((word, rest))
            if word == "WORKDIR":
                stages[-1].workdir = rest
        elif word == "ENV":
            stages[-1].env |= dict(pair.split("=", 1) for pair in shlex.split(rest))
        elif word == "USER":
            stages[-1].user = rest
        elif word == "VOLUME":
            stages[-1].volumes.append(rest)
        elif word == "STOPSIGNAL":
            stages[-1].stopsignal = rest
        elif word == "ENTRYPOINT":
            stages[-1].entrypoint = json.loads(rest)
        elif word == "HEALTHCHECK":
            stages[-1].healthcheck = json.loads(rest.partition(" CMD ")[2])
        elif word != "EXPOSE":
            raise SystemExit(f"unknown step: {line}")
    return stages


def build(stages: list[Stage], context: Path, base: Path, work: Path) -> None:
    kept = {name: os.environ[name] for name in os.environ.get("KEEP", "").split() if name in os.environ}
    for stage in stages:
        root = work / stage.name
        subprocess.run(["cp", "-a", "--reflink=auto", base, root], check=True)
        lent = _lend(root)
        workdir = "/"
        for word, rest in stage.steps:
            print(f"[{stage.name}] {word} {rest}", flush=True)
            match word:
                case "WORKDIR":
                    workdir = rest
                    (root / workdir.lstrip("/")).mkdir(parents=True, exist_ok=True)
                case "RUN":
                    environment = {**kept, **stage.env, "HOME": "/root"}
                    command = ["chroot", str(root), "/bin/sh", "-ec", f"cd {workdir}; {rest}"]
                    subprocess.run(command, check=True, env=environment, stdin=subprocess.DEVNULL)
                case "COPY":
                    _copy(shlex.split(rest), root, workdir, context, work)
        for file in lent:
            file.unlink()


def _lend(root: Path) -> list[Path]:
    if "LEND" not in os.environ:
        return []
    folder = Path(os.environ["LEND"])
    lent = [root / file.relative_to(folder) for file in folder.rglob("*") if file.is_file()]
    for file in lent:
        file.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(folder / file.relative_to(root), file)
    return lent


def _copy(words: list[str], root: Path, workdir: str, context: Path, work: Path) -> None:
    source = context
    if words[0].startswith("--from="):
        source = work / words.pop(0).removeprefix("--from=")
    *names, target = words
    to = root / str(Path(workdir) / target).lstrip("/")
    for name in names:
        origin = source / name.lstrip("/")
        if source is context:
            for file in _allowed(origin, context):
                inside = file.relative_to(origin) if origin.is_dir() else Path(file.name)
                (to / inside).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(file, to / inside)
        else:
            subprocess.run(["cp", "-a", origin, to], check=True)


def _allowed(origin: Path, context: Path) -> list[Path]:
    files = [origin] if origin.is_file() else [path for path in sorted(origin.rglob("*")) if path.is_file()]
    rules = [
        line for line in (context / ".containerignore").read_text().splitlines() if line and not line.startswith("#")
    ]
    found = [file for file in files if not _ignored(str(file.relative_to(context)), rules)]
    assert found, f"the ignore file keeps {origin} out"
    return found


def _ignored(name: str, rules: list[str]) -> bool:
    ignored = False
    for rule in rules:
        pattern = rule.removeprefix("!")
        if pattern.startswith("**/"):
            hit = pattern[3:] in name.split("/")
        else:
            hit = fnmatch.fnmatchcase(name, pattern) or name.startswith(pattern + "/")
        if hit:
            ignored = not rule.startswith("!")
    return ignored


def main() -> None:
    match sys.argv[1:]:
        case ["build", containerfile, context, base, work]:
            build(parse(Path(containerfile).read_text()), Path(context), Path(base), Path(work))
        case ["show", containerfile]:
            print(json.dumps(vars(parse(Path(containerfile).read_text())[-1])))
        case _:
            raise SystemExit(__doc__)


if __name__ == "__main__":
    main()
