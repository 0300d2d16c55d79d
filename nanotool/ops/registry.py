"""One function an operator, in each room that does something with operators.

    room = Registry[Callable[[Layer[Any]], int]]("cost", default=nothing)

    @room(Conv2D, Dense)
    def _products(layer: Layer[Conv2D | Dense]) -> int: ...

    @room.where(lambda what: what.moves)
    def _nothing(layer: Layer[Any]) -> int: ...

    room.complete()  # behind the last entry

An operator that a room lacks is found at its import, unless the room says with a ``default`` what
holds for all others, or names the operator as one that never comes there. In a front end (`Reads`)
the functions go by the names of a foreign format, and say which operators they make.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable
from typing import Any, Generic, TypeVar

from nanotool.errors import InvalidModel
from nanotool.ir import Op
from nanotool.ops.facts import FACTS, INT8_OPERATORS, Facts

Key = TypeVar("Key")
Handler = TypeVar("Handler")


class Room(ABC, Generic[Key, Handler]):
    """The functions of a room."""

    def __init__(
        self, room: str, operators: Iterable[type[Op]], without: Iterable[type[Op]]
    ) -> None:
        """``room`` for messages. ``operators``: those that come here, but for those ``without``."""
        self.room = room
        self.expected = tuple(one for one in operators if one not in tuple(without))
        self.handlers: dict[Key, Handler] = {}
        ROOMS.append(self)

    @abstractmethod
    def covered(self) -> Collection[type[Op]]:
        """The operators that the room knows."""

    def complete(self) -> None:
        """NotImplementedError, which names the room, if it lacks an operator."""
        covered = self.covered()
        missing = [one.__name__ for one in self.expected if one not in covered]
        if missing:
            raise NotImplementedError(
                f"{self.room}: nothing is registered for {', '.join(missing)}. "
                "See docs/adding-an-operator.md."
            )

    def expect(self, operators: Iterable[type[Op]]) -> None:
        """TypeError for operators that never come here."""
        for operator in operators:
            if operator not in self.expected:
                raise TypeError(f"{self.room}: {operator.__name__} never comes here.")

    def add(self, key: Key, called: str, handler: Handler) -> None:
        """TypeError if ``key``, named ``called``, is there."""
        if key in self.handlers:
            raise TypeError(f"{self.room}: {called} is there.")
        self.handlers[key] = handler


class Registry(Room[type[Op], Handler]):
    """The functions of a room, by the operator's class."""

    def __init__(
        self,
        room: str,
        *,
        default: Handler | None = None,
        operators: Iterable[type[Op]] = INT8_OPERATORS,
        without: Iterable[type[Op]] = (),
    ) -> None:
        """As `Room`'s. ``default``: for operators that have no function of their own."""
        super().__init__(room, operators, without)
        self.default = default

    def __call__(self, *operators: type[Op]) -> Callable[[Handler], Handler]:
        """Register the function below for ``operators``."""
        self.expect(operators)

        def register(handler: Handler) -> Handler:
            for operator in operators:
                self.add(operator, operator.__name__, handler)
            return handler

        return register

    def where(self, trait: Callable[[Facts], bool]) -> Callable[[Handler], Handler]:
        """Register the function below for the operators that come here of whose facts ``trait``
        holds: the next one with such facts has its function at once."""
        return self(*(operator for operator in self.expected if trait(FACTS[operator])))

    def covered(self) -> Collection[type[Op]]:
        """All, where there is a default."""
        return self.handlers if self.default is None else self.expected

    def of(self, op: Op) -> Handler:
        """The function for ``op``; InvalidModel for an operator that never comes here."""
        handler = self.handlers.get(type(op), self.default)
        if handler is None:
            form = "int8 form" if type(op) not in INT8_OPERATORS else f"form in {self.room}"
            raise InvalidModel(f"{type(op).__name__} has no {form}.")
        return handler


class Reads(Room[str, Handler]):
    """The functions of a front end, by the name of what they read in the foreign format."""

    def __init__(
        self,
        room: str,
        *,
        operators: Iterable[type[Op]] = INT8_OPERATORS,
        without: Iterable[type[Op]] = (),
    ) -> None:
        """As `Room`'s."""
        super().__init__(room, operators, without)
        self.makes: dict[str, tuple[type[Op], ...]] = {}

    def __call__(
        self, *names: str, makes: type[Op] | tuple[type[Op], ...]
    ) -> Callable[[Handler], Handler]:
        """Register the function below for ``names``. ``makes``: what these become, beside the
        moves around it; () for what vanishes."""
        operators = makes if isinstance(makes, tuple) else (makes,)
        self.expect(operators)

        def register(handler: Handler) -> Handler:
            for name in names:
                self.add(name, name, handler)
                self.makes[name] = operators
            return handler

        return register

    def covered(self) -> Collection[type[Op]]:
        """What the functions make."""
        return {operator for name in self.handlers for operator in self.makes[name]}

    def get(self, name: str) -> Handler | None:
        """The function for ``name``, if there is one."""
        return self.handlers.get(name)


ROOMS: list[Room[Any, Any]] = []  # every one that has been imported
