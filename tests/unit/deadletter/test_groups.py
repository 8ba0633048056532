"""Groups are ranked by the customers that wait, not by the noise they make."""

from __future__ import annotations

from dataclasses import replace

from deadletter.groups import ranked
from tests.support.dead_letters import FAILED_FIRST, GROUP


def test_accounts_count_more_than_records() -> None:
    """400 records of one broken sender wait behind two customers."""
    noisy = replace(GROUP, records=400, accounts=1)
    wide = replace(GROUP, records=2, accounts=2)

    assert (wide, noisy) == ranked([noisy, wide])


def test_a_record_whose_account_cannot_be_read_may_be_a_customer() -> None:
    """So it counts as one."""
    unread = replace(GROUP, accounts=0, unread=4)

    assert (unread, GROUP) == ranked([GROUP, unread])


def test_what_waits_behind_a_group_counts_as_its_records() -> None:
    """It waits because of it."""
    blocking = replace(GROUP, held_behind=1)

    assert (blocking, GROUP) == ranked([GROUP, blocking])


def test_at_the_same_size_ours_comes_first_then_the_older_one() -> None:
    """A bug is ours to mend; a broken order is the channel's."""
    bug = replace(GROUP, class_="bug")
    later = replace(GROUP, first_failed_at=FAILED_FIRST.replace(hour=15))

    assert (bug, GROUP, later) == ranked([later, GROUP, bug])


def test_a_group_for_programs_names_its_owner() -> None:
    """Under the names that the table and the headers use."""
    told = GROUP.to_json()

    assert ("contract", "channel", 3) == (told["class"], told["owner"], told["accounts"])
    assert "class_" not in told
