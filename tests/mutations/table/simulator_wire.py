"""Mutations of what the simulated WhatsApp writes and reads: stanzas as bytes, signatures and Signal sessions."""

from __future__ import annotations

from tests.mutations.mutation import Mutation

_FORM = "the simulator writes stanzas as WhatsApp does, and reads what clients write"
_SIGNED = "the simulator signs as libsignal does, and takes no other signature"
_SESSION = "a session of the simulator is one of libsignal, and what cannot be read changes nothing"

_XML, _CURVE, _SESSIONS, _CHAINS, _KEYS = (
    f"dev/simulator/{name}.py" for name in ("binary_xml", "curve", "sessions", "chains", "keys")
)
_TEST = "dev/simulator/test_{}.py::test_{}".format

MUTATIONS: tuple[Mutation, ...] = (
    Mutation(
        "xml-address-is-no-jid",
        _XML,
        "if not at or server not in _JID_SERVERS:",
        "if not at:",
        _FORM,
        _TEST("binary_xml", "texts"),
    ),
    Mutation("xml-packed-most", _XML, "[0-9.-]{1,127}", "[0-9.-]{1,128}", _FORM, _TEST("binary_xml", "packs_so_much")),
    Mutation(
        "xml-odd-length",
        _XML,
        "if length & 0x80:\n            text = text[:-1]",
        "if False:\n            text = text[:-1]",
        _FORM,
        _TEST("binary_xml", "texts"),
    ),
    Mutation(
        "xml-cut", _XML, "if reader.rest:", "if reader.rest > 0:", _FORM, _TEST("binary_xml", "what_is_cut_is_none")
    ),
    Mutation("xml-rest", _XML, "if reader.rest:", "if reader.rest < 0:", _FORM, _TEST("binary_xml", "nonsense")),
    Mutation(
        "xml-tokens-first-byte",
        _XML,
        "if _DICTIONARY <= kind < _DICTIONARY + len(self._double):",
        "if kind < _DICTIONARY + len(self._double):",
        _FORM,
        _TEST("binary_xml", "another_dictionary"),
    ),
    Mutation(
        "xml-dictionary",
        "dev/simulator/tokens.json",
        '"business_hours_config"',
        '"business_hours"',
        _FORM,
        _TEST("binary_xml", "the_dictionary_is_whatsapps"),
    ),
    Mutation(
        "curve-sign-bit",
        _CURVE,
        "signature[-1] |= self._sign_bit",
        "signature[-1] |= 0",
        _SIGNED,
        _TEST("curve", "both_signs"),
    ),
    Mutation(
        "curve-sign-of-another",
        _CURVE,
        "sign = signature[-1] & _SIGN",
        "sign = 0",
        _SIGNED,
        _TEST("curve", "what_libsignal_has_signed"),
    ),
    Mutation(
        "bundle-signature",
        _KEYS,
        "if not is_signed(bundle.identity, CURVE + bundle.signed_prekey, bundle.signature):",
        "if False:",
        _SIGNED,
        _TEST("sessions", "a_bundle_that_its_identity_has_not_signed"),
    ),
    Mutation(
        "few-prekeys",
        "dev/simulator/iq.py",
        "_FEWEST_PREKEYS = 1",
        "_FEWEST_PREKEYS = 0",
        "pairing with the simulator costs little",
        _TEST("messages", "garbage_and_exhausted_prekeys"),
    ),
    Mutation(
        "device-signature",
        "dev/simulator/phone.py",
        "return is_signed(device, _DEVICE_SIGNATURE + identity.details + device + account, identity.deviceSignature)",
        "return True",
        _SIGNED,
        _TEST("phone", "a_device_signs_for_one_account"),
    ),
    Mutation(
        "session-mac",
        _SESSIONS,
        "if not hmac.compare_digest(mac, _mac(mac_key, self.their_identity, ours.identity.public, signed)):",
        "if False:",
        _SESSION,
        _TEST("sessions", "what_was_changed_on_its_way_changes_nothing"),
    ),
    Mutation(
        "session-answered",
        _SESSIONS,
        "        self.unanswered = None\n",
        "",
        _SESSION,
        _TEST("sessions", "messages_are_of_the_first_kind_until_there_is_an_answer"),
    ),
    Mutation(
        "session-same-base",
        _SESSIONS,
        "if any(state.base == base for state in self._states):",
        "if False:",
        _SESSION,
        _TEST("sessions", "messages_are_of_the_first_kind_until_there_is_an_answer"),
    ),
    Mutation(
        "session-archived",
        _SESSIONS,
        "_MOST_ARCHIVED = 40",
        "_MOST_ARCHIVED = 39",
        _SESSION,
        _TEST("sessions", "forty_states_are_kept"),
    ),
    Mutation(
        "session-takes-up-the-old-one",
        _SESSIONS,
        "if state is not self._states[0]:",
        "if False:",
        _SESSION,
        _TEST("sessions", "a_new_session_takes_over_and_the_old_one_still_reads"),
    ),
    Mutation(
        "session-chains",
        _SESSIONS,
        "_MOST_READINGS = 5",
        "_MOST_READINGS = 4",
        _SESSION,
        _TEST("sessions", "the_oldest_of_six_chains_is_forgotten"),
    ),
    Mutation(
        "chain-once",
        _CHAINS,
        "if each != number}",
        "if True}",
        _SESSION,
        _TEST("sessions", "in_any_order_and_each_once"),
    ),
    Mutation(
        "chain-too-far",
        _CHAINS,
        "if number - chain.iteration > MOST_SKIPPED:",
        "if number - chain.iteration >= MOST_SKIPPED:",
        _SESSION,
        _TEST("sessions", "a_gap_that_is_too_wide"),
    ),
)
