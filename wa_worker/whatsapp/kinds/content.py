"""What is found in a message. Frozen values."""

from __future__ import annotations

import attrs

from wa_worker.messages import (
    Button,
    Call,
    ContactCard,
    Edit,
    Interactive,
    Location,
    Media,
    Order,
    PlannedEvent,
    Poll,
    PollVote,
    Product,
    Reaction,
    Revoke,
)


@attrs.frozen
class Content:
    """Describes the content of a message. `kind` None: it is not a message to a person. `body` '': it has no words.

    The other fields have the names that they have in `InboundMessage`.
    """

    kind: str | None
    body: str = attrs.field(default="", repr=False)
    interactive: Interactive | None = attrs.field(default=None, repr=False)
    button: Button | None = attrs.field(default=None, repr=False)
    media: Media | None = None
    reaction: Reaction | None = None
    edit: Edit | None = None
    revoke: Revoke | None = None
    location: Location | None = None
    contacts: tuple[ContactCard, ...] | None = None
    order: Order | None = None
    product: Product | None = None
    poll: Poll | None = None
    poll_vote: PollVote | None = None
    event: PlannedEvent | None = None
    call: Call | None = None


NOTHING = Content(None)
"""No person wrote it, or nobody can act on it."""
