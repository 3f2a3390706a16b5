"""Phone numbers by the numbering plans of all countries: Google's libphonenumber, with numbers as bare digits.

`phonenumbers` is imported at the first call: it takes some 50 ms, and most commands ask nothing of it.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from phonenumbers import PhoneNumber

DEFAULT_REGION = "BR"
"""Where a number without country code is dialled, unless the setting DEFAULT_REGION says otherwise."""


def is_region(code: str) -> bool:
    """Says whether a region of this code (ISO 3166, two capital letters) has a numbering plan."""
    import phonenumbers

    return code in phonenumbers.SUPPORTED_REGIONS


@lru_cache(maxsize=4096)
def international(digits: str) -> str | None:
    """Returns the valid number that these digits, country code first, stand for; None if they stand for none.

    That is the digits themselves, or what is left of them without a trunk prefix: `55 (0) 11 98888-0005`.
    """
    import phonenumbers

    number = _parsed(f"+{digits}", None)
    if number is None or not phonenumbers.is_valid_number(number):
        return None
    found = _digits(number)
    if found != digits:
        rest = digits.removeprefix(str(number.country_code))
        whole = phonenumbers.PhoneNumber(country_code=number.country_code, national_number=int(rest))
        if not rest.startswith("0") and phonenumbers.is_valid_number(whole):
            return digits  # both are: it is as it was written
    return found


@lru_cache(maxsize=4096)
def national(digits: str, region: str) -> str | None:
    """Returns the valid number that is meant when somebody in `region` dials these digits, with its country code.

    Trunk prefixes and the codes of carriers (Brazil: 0 XX 31 ...) are not part of it. None if there is no such number.
    """
    import phonenumbers

    number = _parsed(digits, region)
    return _digits(number) if number is not None and phonenumbers.is_valid_number(number) else None


@lru_cache(maxsize=4096)
def has_possible_length(digits: str) -> bool:
    """Says whether the digits begin with a country code and are as many as numbers there have."""
    import phonenumbers

    number = _parsed(f"+{digits}", None)
    return (
        number is not None
        and phonenumbers.is_possible_number_with_reason(number) == phonenumbers.ValidationResult.IS_POSSIBLE
    )


def _parsed(text: str, region: str | None) -> PhoneNumber | None:
    import phonenumbers

    try:
        return phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None


def _digits(number: PhoneNumber) -> str:
    import phonenumbers

    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)[1:]
