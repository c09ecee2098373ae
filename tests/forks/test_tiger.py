"""The tiger CLI as a back end: the real program v0.21.2 against a fake of its API."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import stat
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from app.errors import ConfigurationError
from app.forks.backend import (
    BackendRefusedError,
    BackendUnavailableError,
    Copy,
    CopyFailedError,
    GuardError,
    Kind,
    Moment,
    Phase,
)
from app.forks.tiger import TigerBackend
from app.forks.tiger_command import Keys
from app.forks.tiger_service import services
from tests.forks.tiger_api import (
    SECRET,
    SOURCE,
    Fault,
    TigerApi,
    cutting,
    holding,
    losing,
    refusing,
    telling,
)
from tests.forks.tiger_binary import WITH_BUILD
from tests.forks.tigers import BRISK, PATIENT, Ending, keys, tiger_backend

NOW = Moment()
pytestmark = pytest.mark.timeout(WITH_BUILD)


def fresh() -> str:
    return f"fm-{uuid.uuid4()}"


async def ready(backend: TigerBackend, name: str | None = None) -> Copy:
    return await backend.wait(await backend.create(name or fresh(), NOW), PATIENT)


async def test_a_fork_is_made_waited_for_reached_and_deleted(
    backend: TigerBackend, api: TigerApi
) -> None:
    await backend.check()
    name = fresh()
    copy = await backend.create(name, NOW)
    assert (copy.name, copy.source, copy.environment) == (name, SOURCE, "DEV")
    assert not copy.standby
    found = await backend.wait(copy, PATIENT)
    assert found.phase is Phase.READY
    settings = await backend.connect(found)
    assert (settings.host, settings.name, settings.user) == (
        f"{copy.handle}.example", "tsdb", "tsdbadmin",
    )  # fmt: skip
    assert settings.schema == "demo"
    assert settings.ssl == "require"
    assert settings.password == api.passwords[copy.handle]
    assert await backend.find(name) == found
    await backend.delete(name, copy.handle)
    assert await backend.find(name) is None
    assert api.deleted == [copy.handle]
    await backend.delete(name, copy.handle)  # again: no effect


@pytest.mark.parametrize(
    ("moment", "strategy", "target"),
    [
        (NOW, "NOW", None),
        (Moment(Kind.LAST_SNAPSHOT), "LAST_SNAPSHOT", None),
        (Moment(Kind.TIME, 1_760_000_000_000), "PITR", "2025-10-09T08:53:20Z"),
        (Moment(Kind.TIME, 1_760_000_000_257), "PITR", "2025-10-09T08:53:20.257Z"),
    ],
)
async def test_the_moment_reaches_the_service(
    backend: TigerBackend, api: TigerApi, moment: Moment, strategy: str, target: str | None
) -> None:
    await backend.create(fresh(), moment)
    body = api.bodies[0]
    assert (body["fork_strategy"], body["environment_tag"]) == (strategy, "DEV")
    assert "cpu_millis" not in body
    assert body.get("target_time") == target


async def test_where_the_source_is_not_seen_nothing_is_taken_for_gone(
    backend: TigerBackend, api: TigerApi
) -> None:
    assert await backend.copies() == []
    api.services.clear()  # an empty project prints nothing at all
    with pytest.raises(BackendRefusedError, match="can't be taken for gone"):
        await backend.copies()


def test_the_list_of_an_empty_project_is_empty() -> None:
    assert services("") == services("\n") == services("[]") == []


# What check finds out.


async def test_wrong_keys_are_found_before_anything_is_made(api: TigerApi, tiger: Path) -> None:
    wrong = tiger_backend(api, tiger, secret="another-secret")  # noqa: S106
    with pytest.raises((BackendRefusedError, BackendUnavailableError)) as caught:
        await wrong.check()
    assert "another-secret" not in str(caught.value)
    assert "auth status" in str(caught.value)
    await wrong.close()


async def test_a_missing_program_is_said(api: TigerApi, tmp_path: Path) -> None:
    with pytest.raises(BackendRefusedError, match=r"could not be started .* set forks\.tiger"):
        await tiger_backend(api, tmp_path / "tiger").check()


async def test_another_program_is_refused(api: TigerApi, tmp_path: Path) -> None:
    program = tmp_path / "tiger"
    program.write_text("#!/bin/sh\necho 9.9.9\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    with pytest.raises(BackendRefusedError, match=r"CLI 9\.9\.9 lacks `service fork`"):
        await tiger_backend(api, program).check()


async def test_an_unknown_source_is_refused(api: TigerApi, tiger: Path) -> None:
    with pytest.raises(BackendRefusedError, match=r"no service elsewhere1 .* correct"):
        await tiger_backend(api, tiger, source="elsewhere1").check()


async def test_a_source_that_can_not_be_forked_now_is_refused(
    backend: TigerBackend, api: TigerApi
) -> None:
    api.services[SOURCE].status = "UPGRADING"
    with pytest.raises(BackendRefusedError, match="is UPGRADING"):
        await backend.check()
    api.services[SOURCE].status = "PAUSED"
    await backend.check()


def test_missing_keys_are_named() -> None:
    with pytest.raises(ConfigurationError, match="TIGER_SECRET_KEY must be set"):
        Keys.from_environment({"TIGER_PUBLIC_KEY": "x"})
    assert SECRET not in repr(Keys("x", SECRET))


# Lost answers.


@pytest.mark.parametrize("fault", [losing(), losing(0.3)])
async def test_a_fork_whose_answer_was_lost_is_adopted(
    backend: TigerBackend, api: TigerApi, fault: Fault
) -> None:
    api.faults["fork"] = [fault]
    name = fresh()
    copy = await backend.create(name, NOW)
    assert [copy.handle] == [item.id for item in api.forks()]
    settings = await backend.connect(await backend.wait(copy, PATIENT))
    assert settings.password == api.passwords[copy.handle]


async def test_the_list_is_asked_again_until_the_fork_shows(
    backend: TigerBackend, api: TigerApi
) -> None:
    api.faults["fork"] = [losing()]
    api.faults["list"] = [refusing(503), cutting(), refusing(429)]
    copy = await backend.create(fresh(), NOW)
    assert [copy.handle] == [item.id for item in api.forks()]
    assert api.faults["list"] == []


async def test_only_a_fork_of_our_source_with_our_name_is_adopted(
    api: TigerApi, tiger: Path
) -> None:
    name = fresh()
    api.fork(name, source="elsewhere1")
    api.fork(fresh())
    api.add(api.fork("production-copy"))
    api.faults["fork"] = [refusing(503)]
    quick = tiger_backend(api, tiger, pace=dataclasses.replace(BRISK, settle=0.5))
    with pytest.raises(BackendUnavailableError, match="appeared within"):
        await quick.create(name, NOW)


@pytest.mark.parametrize("status", [400, 403])
async def test_a_refusal_is_final(backend: TigerBackend, api: TigerApi, status: int) -> None:
    api.faults["fork"] = [refusing(status, "the plan has no room")]
    with pytest.raises(BackendRefusedError, match="the plan has no room"):
        await backend.create(fresh(), NOW)
    assert [name for name, _ in api.asked].count("list") == 0


async def test_a_silent_api_is_ended_and_its_fork_found(api: TigerApi, tiger: Path) -> None:
    reached, go = asyncio.Event(), asyncio.Event()
    api.faults["fork"] = [holding(reached, go)]
    api.faults["list"] = [telling(go)]  # asked for what the program may have begun: it has ended
    command = Ending(str(tiger), keys(api), PATIENT)
    command.end("fork", reached)
    backend = tiger_backend(api, command)
    copy = await backend.create(fresh(), NOW)
    assert [copy.handle] == [item.id for item in api.forks()]
    await backend.close()


# Waiting.


async def test_bad_answers_do_not_end_the_waiting(backend: TigerBackend, api: TigerApi) -> None:
    api.usual = ["QUEUED", "", "CONFIGURING", "OPTIMIZING", "READY"]
    copy = await backend.create(fresh(), NOW)
    api.faults["get"] = [refusing(503), refusing(429), cutting(), refusing(502)]
    said: list[str] = []
    assert (await backend.wait(copy, PATIENT, said.append)).phase is Phase.READY
    assert f"{copy.name} is not ready yet: its status is OPTIMIZING" in said
    assert len(set(said)) > 4


@pytest.mark.parametrize("status", ["UNSTABLE", "DELETING", "DELETED"])
async def test_a_copy_that_never_will_be_ready_is_given_up(
    backend: TigerBackend, api: TigerApi, status: str
) -> None:
    api.usual = ["CONFIGURING", status]
    copy = await backend.create(fresh(), NOW)
    api.services[copy.handle].deleting = -1
    with pytest.raises(CopyFailedError, match=status):
        await backend.wait(copy, PATIENT)


async def test_a_copy_that_vanishes_is_given_up(backend: TigerBackend, api: TigerApi) -> None:
    copy = await backend.create(fresh(), NOW)
    del api.services[copy.handle]
    with pytest.raises(CopyFailedError, match="is gone"):
        await backend.wait(copy, PATIENT)


async def test_a_copy_that_takes_too_long_may_still_come(
    backend: TigerBackend, api: TigerApi
) -> None:
    api.usual = ["CONFIGURING"]
    copy = await backend.create(fresh(), NOW)
    with pytest.raises(BackendUnavailableError, match=r"not ready within 0\.3 s .*CONFIGURING"):
        await backend.wait(copy, 0.3)


async def test_an_endpoint_that_refuses_at_first_is_tried_again(api: TigerApi, tiger: Path) -> None:
    await ready(tiger_backend(api, tiger, closed=3))


async def test_a_202_without_an_endpoint_loses_the_password_and_it_is_set_anew(
    backend: TigerBackend, api: TigerApi
) -> None:
    api.endpoint = False
    copy = await ready(backend)
    assert (await backend.connect(copy)).password == api.passwords[copy.handle]


# Passwords.


async def test_any_process_with_the_keys_is_let_in(api: TigerApi, tiger: Path) -> None:
    copy = await ready(tiger_backend(api, tiger))
    settings = await tiger_backend(api, tiger).connect(copy)
    assert settings.password == api.passwords[copy.handle]
    assert [name for name, _ in api.asked].count("password") == 1


async def test_a_password_that_somebody_changed_is_set_anew(
    backend: TigerBackend, api: TigerApi
) -> None:
    copy = await ready(backend)
    ours, api.passwords[copy.handle] = api.passwords[copy.handle], "changed"
    assert (await backend.connect(copy)).password == ours == api.passwords[copy.handle]


async def test_where_none_can_be_set_the_first_one_serves(
    backend: TigerBackend, api: TigerApi
) -> None:
    api.faults["password"] = [refusing(400)]
    copy = await ready(backend)
    assert api.passwords[copy.handle] == api.services[copy.handle].password


def holding_any(folder: Path, words: Iterable[str]) -> list[Path]:
    files = [file for file in folder.rglob("*") if file.is_file()]
    return [file for file in files if any(word.encode() in file.read_bytes() for word in words)]


def is_there(folder: Path) -> bool:
    return folder.exists()


async def test_no_secret_is_said_logged_or_left_behind(
    api: TigerApi, tiger: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    api.faults["fork"] = [losing()]
    backend = tiger_backend(api, tiger)
    copy = await ready(backend)
    again = await ready(backend)
    passwords = {api.passwords[item.handle] for item in (copy, again)}
    passwords |= {api.services[item.handle].password for item in (copy, again)}
    said = "".join(capfd.readouterr()) + repr(await backend.connect(copy)) + repr(vars(backend))
    assert not [word for word in (SECRET, *passwords) if word in said]
    home = backend._command._home
    assert home is not None
    folder = Path(home.name)
    assert not holding_any(folder, (SECRET, *passwords))
    await backend.close()
    assert not is_there(folder)


async def test_nothing_of_our_environment_reaches_the_program(
    api: TigerApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "tiger"
    program.write_text("#!/bin/sh\nenv; ls -l /proc/self/fd/0\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("TIGER_READ_ONLY", "true")
    monkeypatch.setenv("LOCKSTEP_DATABASE__PASSWORD", "the-database-password")
    answer = await tiger_backend(api, program)._command.call("x")
    seen = dict(line.split("=", 1) for line in answer.output.splitlines() if "=" in line)
    assert set(seen) - {"PWD", "OLDPWD", "SHLVL", "_"} <= {
        "PATH", "HOME", "TIGER_CONFIG_DIR", "TIGER_PUBLIC_KEY", "TIGER_SECRET_KEY", "TIGER_API_URL",
        "TIGER_PASSWORD_STORAGE", "TIGER_ANALYTICS", "DO_NOT_TRACK", "TIGER_VERSION_CHECK",
        "TIGER_COLOR", "TIGER_READ_ONLY", "CI", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY",
        "SSL_CERT_FILE", "SSL_CERT_DIR", "https_proxy", "http_proxy", "no_proxy",
    }  # fmt: skip
    assert seen["TIGER_READ_ONLY"] == "false"
    assert seen["HOME"] != os.environ.get("HOME")
    assert "/dev/null" in answer.output


# Deleting.


async def test_a_deletion_is_asked_for_again_until_the_copy_is_gone(
    backend: TigerBackend, api: TigerApi
) -> None:
    copy = await ready(backend)
    api.faults["delete"] = [refusing(503), cutting()]
    api.faults["get"] = [refusing(503)]
    await backend.delete(copy.name, copy.handle)
    assert copy.handle not in api.services


async def test_a_deletion_whose_answer_was_lost_is_seen(
    backend: TigerBackend, api: TigerApi
) -> None:
    copy = await ready(backend)
    api.faults["delete"] = [losing()]
    await backend.delete(copy.name, copy.handle)
    assert api.deleted == [copy.handle]


async def test_a_deletion_that_hangs_is_said_and_can_be_asked_for_again(
    api: TigerApi, tiger: Path
) -> None:
    pace = dataclasses.replace(BRISK, gone_within=0.5)
    command = Ending(str(tiger), keys(api), PATIENT)
    backend = tiger_backend(api, command, pace=pace)
    copy = await ready(backend)
    api.services[copy.handle].deleting = -1
    asked = asyncio.Event()
    api.faults["delete"] = [telling(asked)]
    command.end("delete", asked)  # by itself it would wait for the copy to be gone
    with pytest.raises(BackendUnavailableError, match=r"was not gone within 0\.5 s"):
        await backend.delete(copy.name, copy.handle)
    api.services[copy.handle].deleting = 0
    await backend.delete(copy.name, copy.handle)
    assert api.deleted == [copy.handle]
    await backend.close()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"source": "elsewhere1"}, "fork of elsewhere1"),
        ({"origin": None}, "no fork"),
        ({"origin": {"service_id": SOURCE, "is_standby": True}}, "replica"),
        ({"environment": "PROD"}, "'PROD'"),
        ({"name": "production"}, "its name is 'production'"),
    ],
)
async def test_what_is_not_ours_is_not_deleted(
    backend: TigerBackend, api: TigerApi, change: dict[str, Any], reason: str
) -> None:
    name = fresh()
    foreign = api.fork(name, **change)
    with pytest.raises(GuardError, match=reason):
        await backend.delete(name, foreign.id)
    assert api.deleted == []


async def test_the_source_itself_is_never_deleted(backend: TigerBackend, api: TigerApi) -> None:
    with pytest.raises(GuardError, match="the very database"):
        await backend.delete(fresh(), SOURCE)
    assert api.deleted == []
