"""What may be told of a bug: its type and where it came up. Its text may quote a payload and is left out."""

from __future__ import annotations

import traceback

_ROOMS = ("streams", "projections", "deadletter", "schemas", "tierline")


def own_function(error: BaseException) -> str | None:
    """The innermost function of ours on the stack, as module:function, without a line number."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    for frame in reversed(frames):
        module = str(frame.f_globals.get("__name__", ""))
        if module.split(".", 1)[0] in _ROOMS:
            return f"{module}:{frame.f_code.co_qualname}"
    return None


def named(error: BaseException) -> str:
    """Type and innermost own function of ``error``."""
    return f"{type(error).__qualname__} in {own_function(error) or 'unknown'}"


def places(error: BaseException) -> list[str]:
    """The stack of ``error``, outermost first, as module:function:line."""
    return [
        f"{frame.f_globals.get('__name__', '?')}:{frame.f_code.co_qualname}:{line}"
        for frame, line in traceback.walk_tb(error.__traceback__)
    ]
