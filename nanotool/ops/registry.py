"""One function an operator, in each room that does something with operators.

    room = Registry[Callable[[Layer[Any]], int]]("cost", default=nothing)

    @room(Conv2D, Dense)
    def _products(layer: Layer[Conv2D | Dense]) -> int: ...

    room.complete()  # behind the last entry

An operator that a room lacks is found at its import, unless the room says with a ``default`` what
holds for all others, or names the operator as one that never comes there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

from nanotool.errors import InvalidModel
from nanotool.ir import Op
from nanotool.ops.facts import INT8_OPERATORS

Handler = TypeVar("Handler", bound=Callable[..., Any])


class Registry(Generic[Handler]):
    """The functions of a room, by the operator's class."""

    def __init__(
        self,
        room: str,
        *,
        default: Handler | None = None,
        operators: Iterable[type[Op]] = INT8_OPERATORS,
        without: Iterable[type[Op]] = (),
    ) -> None:
        """``room`` for messages. ``default``: for operators that have no function of their own.
        ``operators``: those that come here, but for those ``without``."""
        self.room = room
        self.default = default
        self.expected = tuple(one for one in operators if one not in tuple(without))
        self.handlers: dict[type[Op], Handler] = {}
        ROOMS.append(self)

    def __call__(self, *operators: type[Op]) -> Callable[[Handler], Handler]:
        """Register the function below for ``operators``."""

        def register(handler: Handler) -> Handler:
            for operator in operators:
                if operator not in self.expected or operator in self.handlers:
                    raise TypeError(f"{self.room}: {operator.__name__} is there, or never comes.")
                self.handlers[operator] = handler
            return handler

        return register

    def complete(self) -> None:
        """NotImplementedError, which names the room, if an operator has no function."""
        missing = [one.__name__ for one in self.expected if one not in self.handlers]
        if missing and self.default is None:
            raise NotImplementedError(
                f"{self.room}: nothing is registered for {', '.join(missing)}. "
                "See docs/adding-an-operator.md."
            )

    def of(self, op: Op) -> Handler:
        """The function for ``op``; InvalidModel for an operator that never comes here."""
        handler = self.handlers.get(type(op), self.default)
        if handler is None:
            form = "int8 form" if type(op) not in INT8_OPERATORS else f"form in {self.room}"
            raise InvalidModel(f"{type(op).__name__} has no {form}.")
        return handler


ROOMS: list[Registry[Any]] = []  # every one that has been imported
