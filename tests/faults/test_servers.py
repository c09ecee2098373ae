"""A machine on which no server can be started: it is one sentence, however many lanes there are."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.commands.stack import CHECKOUT
from app.errors import UNREACHABLE

JAVA = """#!/bin/sh
[ "$1" != -version ] || { echo 'openjdk version "17.0.1"' >&2; exit; }
exit 1
"""
MAVEN = """#!/bin/sh
echo fetched >>"$FETCHES"
[ -n "$WELL" ] || exit 1
for word; do case $word in -DoutputDirectory=*) mkdir -p "${word#*=}";; esac; done
"""


def run(folder: Path, *words: str, well: str) -> tuple[subprocess.CompletedProcess[str], int]:
    """Run the faults with a Java that runs nothing; return also how often Kafka was fetched."""
    programs = folder / "bin"
    programs.mkdir()
    for name, text in (("java", JAVA), ("mvn", MAVEN)):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    fetches = folder / "fetches"
    bare = {name: value for name, value in os.environ.items() if not name.startswith("LOCKSTEP_")}
    done = subprocess.run(  # noqa: S603 - this Python, our own words
        [sys.executable, "-m", "tests.faults", *words],
        cwd=CHECKOUT,
        env=bare
        | {
            "FETCHES": str(fetches),
            "JAVA_HOME": str(folder),
            "LOCKSTEP_LOCAL_DIR": str(folder / "local"),
            "PATH": f"{programs}:{os.environ['PATH']}",
            "WELL": well,
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    return done, len(fetches.read_text().splitlines())


@pytest.mark.parametrize("words", [("--jobs=2", "--seeds=4"), ("--seeds=1",)])
def test_kafka_that_cannot_be_fetched_is_one_sentence(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    done, fetches = run(tmp_path, *words, well="")
    assert (done.returncode, done.stderr, fetches) == (UNREACHABLE, "", 1)
    (line,) = done.stdout.splitlines()
    assert "kafka: Maven could not fetch Kafka; the reason is in " in line


def test_kafka_is_fetched_once_for_all_lanes_and_each_says_what_it_lacks(tmp_path: Path) -> None:
    done, fetches = run(tmp_path, "--jobs=2", "--seeds=6", well="yes")
    assert (done.returncode, done.stderr, fetches) == (1, "", 1)
    said = [line for line in done.stdout.splitlines() if line.startswith("seed ")]
    tried = {line.split(":")[0] for line in said}
    assert tried == {"seed 1", "seed 2"}  # no other seed would have found a broker either
    for seed in tried:
        assert any(f"{seed}: no Broker of our own (kafka: Kafka could not" in line for line in said)
        assert any(f"{seed}: a broker and a database are needed" in line for line in said)
    assert "failed seeds: 1, 2" in done.stdout
