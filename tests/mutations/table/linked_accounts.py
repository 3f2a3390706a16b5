"""Mutations of what the simulated WhatsApp plays between two linked accounts, and of its clients' dialects."""

from __future__ import annotations

from tests.mutations.mutation import Mutation

RELAY = "dev/simulator/relay.py"
MESSAGES = "dev/simulator/messages.py"
CONNECTION = "dev/simulator/connection.py"
TESTS = "dev/simulator/test_accounts.py::"
DELIVERED = TESTS + "test_a_message_reaches_the_other_account_and_its_receipt_comes_back"
AGAIN = TESTS + "test_what_cannot_be_decrypted_is_asked_for_again_and_comes"
WHOM = TESTS + "test_only_the_device_that_wrote_is_asked_again"
GROUP = TESTS + "test_in_a_group_the_other_account_reads_and_says_so"
DIALECT = TESTS + "test_a_client_is_spoken_to_in_the_dialect_of_its_header"

MUTATIONS: tuple[Mutation, ...] = (
    Mutation(
        "accounts-receipt-kept",
        MESSAGES,
        "    relay.pass_on(simulator, device, stanza)\n",
        "",
        "A linked account's receipt reaches the one that wrote.",
        DELIVERED,
    ),
    Mutation(
        "accounts-inactive-passed-on",
        RELAY,
        '_FOR_THE_AUTHOR = {"inactive": None}',
        "_FOR_THE_AUTHOR: dict[str, None] = {}",
        "A client in the background is a delivery to the author.",
        DELIVERED,
    ),
    Mutation(
        "accounts-receipt-without-its-id",
        RELAY,
        'header |= {"id": receipt.attrs["id"],',
        'header |= {"id": "another",',
        "A receipt names its message.",
        DELIVERED,
    ),
    Mutation(
        "accounts-relay-unseen",
        MESSAGES,
        "    simulator.on_relay(device, receiver, enc)\n",
        "",
        "A test sees each ciphertext between linked devices.",
        DELIVERED,
    ),
    Mutation(
        "accounts-second-try-refused",
        RELAY,
        '            device.accepted.discard(receipt.attrs["id"])\n',
        "",
        "What was asked for again is taken a second time.",
        AGAIN,
    ),
    Mutation(
        "accounts-retry-without-its-parts",
        RELAY,
        'Node("receipt", header, receipt.content)',
        'Node("receipt", header)',
        "A retry receipt keeps its keys and its count.",
        AGAIN,
    ),
    Mutation(
        "accounts-all-asked-again",
        RELAY,
        "            if device.jid != device_jid(author):\n                continue\n",
        "",
        "Only the device that wrote is asked again.",
        WHOM,
    ),
    Mutation(
        "accounts-group-receipt-kept",
        RELAY,
        'receipt.attrs.get("participant", to) if to in simulator.groups else to',
        "to",
        "A receipt in a group reaches the account that wrote.",
        GROUP,
    ),
    Mutation(
        "accounts-group-receipt-of-a-chat",
        RELAY,
        '{"from": name} if author is to else {"from": to, "participant": name}',
        '{"from": name}',
        "A receipt of a group says so, and whose it is.",
        GROUP,
    ),
    Mutation(
        "accounts-sender-key-unseen",
        "dev/simulator/group_messages.py",
        "                    simulator.on_relay(sender, device, enc)\n",
        "                    pass\n",
        "A test sees the sessions that bring the sender keys.",
        GROUP,
    ),
    Mutation(
        "dialect-not-encoded",
        CONNECTION,
        "self._dialect.encode(node)",
        "DIALECTS[HEADER].encode(node)",
        "A client is written to in its dialect.",
        DIALECT,
    ),
    Mutation(
        "dialect-not-decoded",
        CONNECTION,
        "self._dialect.decode(plaintext)",
        "DIALECTS[HEADER].decode(plaintext)",
        "A client is read in its dialect.",
        DIALECT,
    ),
    Mutation(
        "dialect-without-its-pause",
        CONNECTION,
        "        await trio.sleep(self._dialect.pause)\n",
        "        await trio.sleep(0)\n",
        "A client that takes some time to be ready gets it.",
        DIALECT,
    ),
    Mutation(
        "dialect-of-any-header",
        CONNECTION,
        "        if header not in self._dialects:\n",
        "        if False:\n",
        "A header that nobody has brought ends the connection.",
        TESTS + "test_a_header_that_nobody_has_brought_ends_the_connection",
    ),
    Mutation(
        "dialect-no-answers-brought",
        "dev/simulator/iq.py",
        "        return simulator.answers[namespace](device, iq)\n",
        "        return []\n",
        "A request that only another library makes gets the answer that was brought.",
        TESTS + "test_a_request_that_only_another_library_makes_gets_the_answer_that_was_brought",
    ),
)
