"""The account's own phone hands a message over that came to a linked device without its content.

`BuildUnavailableMessageRequest` in whatsmeow send.go is what the device asks, `handlePlaceholderResendResponse` in
message.go reads the answer.
"""

from __future__ import annotations

from typing import Any

from wa_worker.dev.simulator.contact import Contact, Received
from wa_worker.dev.simulator.protobufs import Message, WebMessageInfo

_FIRST = "INITIAL_SECURITY_NOTIFICATION_SETTING_SYNC"
_RESEND = "PLACEHOLDER_MESSAGE_RESEND"


class HandingOver:
    """Answers a linked device in the place of its phone. `sender` has sent `message`; `asked` are the ids asked for."""

    def __init__(self, phone: Contact, sender: Contact, message: Any) -> None:
        self.asked: list[str] = []
        self._phone = phone
        self._sender = sender
        self._message = message
        phone.on_message = self._answer

    async def introduce(self, device_jid: str) -> None:
        """Send the device what a phone sends right after the pairing: it asks nothing of a phone with which it has no
        Signal session."""
        await self._phone.send(device_jid, Message(protocolMessage={"type": _FIRST}))

    async def _answer(self, received: Received) -> None:
        request = received.message.protocolMessage.peerDataOperationRequestMessage
        results = [self._result(each.messageKey) for each in request.placeholderMessageResendRequest]
        answer = {
            "peerDataOperationRequestType": _RESEND,
            "stanzaID": received.wa_id,
            "peerDataOperationResult": results,
        }
        protocol = {
            "type": "PEER_DATA_OPERATION_REQUEST_RESPONSE_MESSAGE",
            "peerDataOperationRequestResponseMessage": answer,
        }
        await self._phone.send(received.from_device, Message(protocolMessage=protocol))

    def _result(self, key: Any) -> dict[str, Any]:
        self.asked.append(key.ID)
        whole = WebMessageInfo(
            key={"remoteJID": self._sender.jid, "fromMe": False, "ID": key.ID},
            message=self._message,
            messageTimestamp=1_700_000_000,
            pushName=f"Contact {self._sender.phone}",
        )
        return {"placeholderMessageResendResponse": {"webMessageInfoBytes": whole.SerializeToString()}}
