"""Folded states as bytes and back, for snapshots: MessagePack of their fields, with the names of classes.

The bytes are read only under the fold version that they were written with: a shape that changed is not met.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from schemas.builder import Builder, builder_of
from tierline.domain.account import AccountState, NoAccount, OpenAccount
from tierline.domain.subscription import ActiveSubscription, NoSubscription, SubscriptionState

StreamState = AccountState | SubscriptionState

_encode = msgspec.msgpack.encode
_decode = msgspec.msgpack.decode

_BUILDERS: Mapping[str, Builder[StreamState]] = {
    cls.__name__: builder_of(cls) for cls in (NoAccount, OpenAccount, NoSubscription, ActiveSubscription)
}


def bytes_of_state(state: StreamState) -> bytes:
    """The class of ``state``, that of its live order if it has one, and the fields of all that it holds."""
    live = state.live if isinstance(state, ActiveSubscription) else None
    return _encode((type(state).__name__, None if live is None else type(live).__name__, state))


def state_of_bytes(value: bytes) -> StreamState:
    """The state that ``bytes_of_state`` gave. Raises KeyError for bytes of another fold version."""
    kind, live, fields = _decode(value)
    fields["type"] = live
    return _BUILDERS[kind](fields)
