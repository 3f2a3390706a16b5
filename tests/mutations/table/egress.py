"""Mutations of what goes out: by which proxy, and what of it is remembered, told and asked."""

from __future__ import annotations

from tests.mutations.mutation import Mutation

_E2E = "e2e/test_egress.py::"
_TABLE = "whatsapp/test_egress.py::"
_PROBE = "whatsapp/test_egress_probe.py::"
_URL = "edge/test_egress_url.py::"
_ALONE = "What has a proxy of its own goes out through nothing else."

MUTATIONS: tuple[Mutation, ...] = (
    Mutation(
        "egress-not-in-the-library",
        "whatsapp/client.py",
        "            None if proxy is None else ctypes.byref(proxy),\n",
        "            None,\n",
        _ALONE,
        _E2E + "test_another_proxy_is_gone_over_to_and_remembered",
    ),
    Mutation(
        "egress-not-in-downloads",
        "app.py",
        "media.decided, media.egress = inbound.file_decided, egress.of",
        "media.decided = inbound.file_decided",
        _ALONE,
        _E2E + "test_all_of_an_instance_goes_out_through_its_proxy[http]",
    ),
    Mutation(
        "egress-not-in-pairings",
        "whatsapp/pairing.py",
        '{**self._more, "proxy": proxy.url.reveal()}',
        "self._more",
        _ALONE,
        _E2E + "test_all_of_an_instance_goes_out_through_its_proxy[http]",
    ),
    Mutation(
        "egress-not-loaded",
        "app.py",
        "                await trio.to_thread.run_sync(egress.load)\n",
        "",
        "A worker that starts again goes out as before.",
        _E2E + "test_another_proxy_is_gone_over_to_and_remembered",
    ),
    Mutation(
        "egress-unusable-is-none",
        "whatsapp/egress_probe.py",
        "        if isinstance(egress, Unusable):\n            return",
        "        if isinstance(egress, Unusable):\n            return None\n            return",
        "A proxy that is none is a problem that is told.",
        _PROBE + "test_what_cannot_be_used_is_a_problem_and_nothing_is_asked",
    ),
    Mutation(
        "egress-change-unheard",
        "instances/session.py",
        "            nursery.start_soon(_watch_proxy, services, state, egress, session)\n",
        "",
        "Another proxy is gone over to.",
        _E2E + "test_another_proxy_is_gone_over_to_and_remembered",
    ),
    Mutation(
        "egress-silence-takes-it-away",
        "edge/wire.py",
        '        if "proxy" in item:\n            egress[instance] = egress_from(item["proxy"])',
        '        if True:\n            egress[instance] = egress_from(item.get("proxy"))',
        "A list without a word of a proxy takes none away.",
        _TABLE + "test_what_was_said_last_outlives_the_process",
    ),
    Mutation(
        "egress-empty-is-none",
        "edge/egress_url.py",
        "    if value is None:\n",
        "    if not value:\n",
        "Only null is no proxy.",
        _URL + "test_what_is_none_is_not_no_proxy[]",
    ),
    Mutation(
        "egress-unreadable-is-none",
        "whatsapp/egress.py",
        "    except (OSError, ValueError, KeyError, TypeError):\n        return "
        'Unusable("what is remembered of it cannot be read")',
        "    except (OSError, ValueError, KeyError, TypeError):\n        return None",
        "What cannot be read is not no proxy.",
        _TABLE + "test_what_cannot_be_read_is_not_no_proxy",
    ),
    Mutation(
        "egress-counts-before-it-is-written",
        "whatsapp/egress.py",
        '            return Unusable(f"the volume does not take it: {error.strerror or type(error).__name__}")',
        "            return egress",
        "What counts is on the volume.",
        _TABLE + "test_what_the_volume_does_not_take_is_not_used_and_tried_again",
    ),
    Mutation(
        "egress-for-all-to-read",
        "whatsapp/egress.py",
        "os.open(path, flags, 0o600)",
        "os.open(path, flags, 0o644)",
        "A password is for this user alone.",
        _TABLE + "test_what_was_said_last_outlives_the_process",
    ),
    Mutation(
        "egress-credentials-shown",
        "models.py",
        "    port: int\n    url: Secret\n",
        "    port: int\n    url: Secret = attrs.field(repr=Secret.reveal)\n",
        "No credentials are shown.",
        _URL + "test_no_credentials_are_shown",
    ),
    Mutation(
        "egress-refusal-unheard",
        "whatsapp/egress_probe.py",
        'return None if 200 <= status <= 299 else f"answers {status}"',
        "return None",
        "A refusal of the proxy is the proxy's word.",
        _PROBE + "test_a_proxy_is_asked_for_a_tunnel[http]",
    ),
    Mutation(
        "egress-socks-goes-on",
        "whatsapp/egress_probe.py",
        'if egress.scheme == "socks5" and self._passes_on:',
        "if False:",
        "Measured: with HTTPS_PROXY the library goes on from one proxy to the other.",
        _PROBE + "test_socks5_behind_a_proxy_of_the_environment_is_no_way_of_its_own",
    ),
    Mutation(
        "egress-socks-answer-at-once",
        "whatsapp/socks.py",
        "        with contextlib.suppress(ProtocolError):  # it may be a part of it\n            return",
        "        if True:\n            return",
        "An answer in pieces ends nothing.",
        _PROBE + "test_a_proxy_is_asked_for_a_tunnel[socks5]",
    ),
    Mutation(
        "egress-probe-each-for-itself",
        "whatsapp/egress_probe.py",
        "if answer.wanted or proxy == egress",
        "if False",
        "One answer counts for all who share a proxy.",
        _PROBE + "test_one_answer_counts_for_a_while",
    ),
)
