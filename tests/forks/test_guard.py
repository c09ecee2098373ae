"""Nothing is deleted that is not provably ours, whatever stands at the vendor's."""

from __future__ import annotations

import dataclasses

from hypothesis import example, given
from hypothesis import strategies as st

from app.forks.backend import Copy, Phase
from app.forks.guard import refusal

OURS = Copy("fm-1", "abc", "source", standby=False, environment="DEV", phase=Phase.READY)
ARGUMENTS = {"name": "fm-1", "handle": "abc", "source": "source", "prefix": "fm-"}
NAMES = st.sampled_from(["fm-1", "fm-2", "fm-", "FM-1", "production", ""])
IDS = st.sampled_from(["abc", "source", "other", ""])
COPIES = st.builds(
    Copy,
    name=NAMES,
    handle=IDS,
    source=st.none() | IDS,
    standby=st.booleans(),
    environment=st.sampled_from(["DEV", "PROD", "dev", ""]),
    phase=st.sampled_from(Phase),
)


@given(copy=COPIES, name=NAMES, handle=IDS, source=IDS, prefix=st.sampled_from(["fm-", "x-", ""]))
@example(copy=OURS, **ARGUMENTS)
def test_only_what_our_records_name_and_the_vendor_confirms_may_go(
    copy: Copy, name: str, handle: str, source: str, prefix: str
) -> None:
    allowed = (
        copy.handle == handle != source
        and copy.name == name
        and prefix != ""
        and copy.name.startswith(prefix)
        and copy.source == source
        and not copy.standby
        and copy.environment == "DEV"
    )
    told = refusal(copy, name=name, handle=handle, source=source, prefix=prefix)
    assert (told == "") == allowed


@given(
    field=st.sampled_from([item.name for item in dataclasses.fields(Copy)]),
    other=COPIES,
)
def test_one_difference_is_enough_to_keep_it(field: str, other: Copy) -> None:
    assert refusal(OURS, **ARGUMENTS) == ""
    changed = dataclasses.replace(OURS, **{field: getattr(other, field)})
    matters = changed != OURS and field not in ("phase", "detail")
    assert bool(refusal(changed, **ARGUMENTS)) == matters
