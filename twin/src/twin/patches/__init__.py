"""What the twin corrects in moto: a module a service, a small function a gap, its reason in the docstring.

A patch is applied with `replace` and taken back by `restore`, so that moto is stock again once a twin has ended, and a
second twin in the same process patches no patch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_originals: dict[tuple[int, str], tuple[Any, str, Any]] = {}


def replace(owner: Any, name: str, make: Callable[[Any], Any]) -> None:
    """Put ``make(original)`` in the place of ``owner.name``; nothing happens if that was done before.

    Parameters
    ----------
    owner
        A module or class of moto.
    name
        The attribute to replace. One that moto has lost is an error, because the reason for the patch went with it.
    make
        Takes the original and returns its replacement.
    """
    key = (id(owner), name)
    if key in _originals:
        return
    if not hasattr(owner, name):
        raise AttributeError(f"moto has no {owner.__name__}.{name} any more: its patch must be looked at again")
    own = vars(owner).get(name, _INHERITED)
    _originals[key] = (owner, name, own)
    setattr(owner, name, make(getattr(owner, name)))


def restore() -> None:
    """Take every replacement back, the last one first."""
    for owner, name, own in reversed(_originals.values()):
        if own is _INHERITED:
            delattr(owner, name)
        else:
            setattr(owner, name, own)
    _originals.clear()


_INHERITED = object()
