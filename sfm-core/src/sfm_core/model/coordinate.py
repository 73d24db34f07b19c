"""Coordinates: where a memory lives inside its namespace."""

from __future__ import annotations

import math
import re
import struct
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field

from sfm_core.errors import InvalidCoordinateError

MAX_COMPONENTS = 64
EXACT_WHOLE = 2.0**53
"""Floats hold every whole number below this exactly."""

_SIGN = 1 << 63
_ALL = (1 << 64) - 1
# Python reads "1_0" and digits of every script as numbers, too.
_PLAIN = re.compile(r"[0-9+\-.eE, \t\r\n]*")
_REMEDY = 'Write it as comma-separated finite numbers, such as "1.5,2,-3".'


@dataclass(frozen=True, slots=True, order=True)
class Coordinate:
    """A tuple of 1 to 64 finite floats; `-0.0` is `0.0`.

    Equality and hash follow the components. Build one with `Coordinate.of`
    or `Coordinate.parse`, which check and normalise; the constructor trusts
    its argument and is meant for values that were checked before.
    """

    components: tuple[float, ...]
    _key: bytes = field(default=b"", init=False, repr=False, compare=False)

    @classmethod
    def of(cls, components: Iterable[float], *, field: str = "coord") -> Coordinate:
        """Build a coordinate from numbers.

        Args:
            components: 1 to 64 finite numbers.
            field: Name to use in the error message.

        Returns:
            The coordinate, with every `-0.0` replaced by `0.0`.

        Raises:
            InvalidCoordinateError: No component, too many, or one not a finite number.
        """
        values: list[float] = []
        for position, component in enumerate(components):
            if position == MAX_COMPONENTS:
                raise InvalidCoordinateError(
                    f"{field} has more than {MAX_COMPONENTS} components.",
                    field=field,
                    remedy=_REMEDY,
                )
            values.append(_finite(component, position, field))
        if not values:
            raise InvalidCoordinateError(f"{field} has no component.", field=field, remedy=_REMEDY)
        return cls(tuple(values))

    @classmethod
    def parse(cls, text: str, *, field: str = "coord") -> Coordinate:
        """Read the wire form, comma-separated numbers.

        Args:
            text: For example `"1.5,2,-3"`; numbers are decimal, in digits from 0 to 9, with
                a sign and an exponent where they need one, and blanks around them.
            field: Name to use in the error message.

        Returns:
            The coordinate.

        Raises:
            InvalidCoordinateError: The text is not of that form.
        """
        if _PLAIN.fullmatch(text) is None:
            raise _no_numbers(text, field)
        parts = text.split(",", MAX_COMPONENTS)
        try:
            numbers = [float(part) for part in parts[:MAX_COMPONENTS]]
        except ValueError as error:
            raise _no_numbers(text, field) from error
        if len(parts) > MAX_COMPONENTS:
            raise InvalidCoordinateError(
                f"{field} has more than {MAX_COMPONENTS} components.", field=field, remedy=_REMEDY
            )
        return cls.of(numbers, field=field)

    @classmethod
    def from_key(cls, key: bytes) -> Coordinate:
        """Decode what `key` encoded.

        Args:
            key: Bytes made by the property `key`.

        Returns:
            The coordinate.

        Raises:
            InvalidCoordinateError: The bytes were not made by `key`.
        """
        if not key or len(key) != 1 + 8 * key[0] or not 1 <= key[0] <= MAX_COMPONENTS:
            raise InvalidCoordinateError(f"{key[:80]!r} is not an encoded coordinate.", field="key")
        words = struct.unpack(f">{key[0]}Q", key[1:])
        ordered = [word ^ _SIGN if word & _SIGN else word ^ _ALL for word in words]
        made = cls(struct.unpack(f">{key[0]}d", struct.pack(f">{key[0]}Q", *ordered)))
        object.__setattr__(made, "_key", bytes(key))
        return made

    @property
    def key(self) -> bytes:
        """Self-delimiting bytes: the number of components, then 8 bytes each.

        Byte order equals numeric order among coordinates of the same length:
        a float's IEEE 754 bits sort like the number once the sign bit is
        flipped for positives and every bit for negatives.
        """
        if not self._key:
            # A memory's key is asked for many times on its way through a write.
            object.__setattr__(self, "_key", self._encode())
        return self._key

    def _encode(self) -> bytes:
        count = len(self.components)
        words = struct.unpack(f">{count}Q", struct.pack(f">{count}d", *self.components))
        ordered = [word ^ _ALL if word & _SIGN else word ^ _SIGN for word in words]
        return struct.pack(f">B{count}Q", count, *ordered)

    def before(self) -> Coordinate | None:
        """Return the coordinate that comes just before this one by key, `None` for the first."""
        numbers = list(self.components)
        for at in reversed(range(len(numbers))):
            if numbers[at] > -sys.float_info.max:
                numbers[at] = math.nextafter(numbers[at], -math.inf) + 0.0
                return Coordinate(tuple(numbers))
            numbers[at] = sys.float_info.max
        return Coordinate(tuple(numbers[1:])) if len(numbers) > 1 else None

    def within(self, low: Coordinate, high: Coordinate) -> bool:
        """Tell whether each component lies between those of `low` and `high`, both included."""
        return len(self.components) == len(low.components) == len(high.components) and all(
            least <= mine <= most
            for mine, least, most in zip(
                self.components, low.components, high.components, strict=True
            )
        )

    def __str__(self) -> str:
        """Return the wire form: whole numbers without a fraction, others shortest exact."""
        return ",".join(
            str(int(number)) if number.is_integer() and abs(number) < EXACT_WHOLE else repr(number)
            for number in self.components
        )


def _no_numbers(text: str, field: str) -> InvalidCoordinateError:
    return InvalidCoordinateError(
        f"{field} {text[:80]!r} is not a list of numbers.", field=field, remedy=_REMEDY
    )


def _finite(component: object, position: int, field: str) -> float:
    if isinstance(component, bool) or not isinstance(component, int | float):
        raise InvalidCoordinateError(
            f"{field}[{position}] is not a number.", field=field, remedy=_REMEDY
        )
    try:
        number = float(component)
    except OverflowError as error:
        raise InvalidCoordinateError(
            f"{field}[{position}] is too large.", field=field, remedy=_REMEDY
        ) from error
    if not math.isfinite(number):
        raise InvalidCoordinateError(
            f"{field}[{position}] is not finite.", field=field, remedy=_REMEDY
        )
    return number + 0.0
