"""Standard Webhooks: the official vector, the reference library as a foreign signer, and each way to be refused."""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from standardwebhooks import Webhook

from deskbell import Options, Secret
from deskbell.errors import ConfigError, DeskbellError, SignatureError
from deskbell.signature import SigningSecret, key_of, signature_headers, verify

# The vector of https://github.com/standard-webhooks/standard-webhooks (libraries/python/tests).
SECRET = Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
BODY = b'{"test": 2432232314}'
AT = 1614265330
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
HEADERS = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": str(AT),
    "webhook-signature": SIGNATURE,
}
OLD_SECRET = Secret("whsec_" + base64.b64encode(b"the key of the year before").decode())


def signed_by_the_library(secret: Secret, message_id: str, at: float, body: str) -> str:
    moment = datetime.fromtimestamp(int(at), UTC).replace(tzinfo=None)
    signature: str = Webhook(secret.reveal()).sign(message_id, moment, body)
    return signature


def changed(**headers: str) -> Mapping[str, str]:
    return {**HEADERS, **{name.replace("_", "-"): value for name, value in headers.items()}}


class TestAccepted:
    def test_official_vector_gives_its_id(self) -> None:
        assert verify([SECRET], body=BODY, headers=HEADERS, now=AT) == "msg_p5jXN8AQM9LWM0D4loKWxJek"

    @pytest.mark.parametrize("offset", [-300, 0, 300])
    def test_timestamp_within_five_minutes_either_way(self, offset: int) -> None:
        assert verify([SECRET], body=BODY, headers=HEADERS, now=AT + offset)

    @pytest.mark.parametrize("secrets", [[OLD_SECRET, SECRET], [SECRET, OLD_SECRET]])
    def test_any_of_several_secrets_while_they_are_rotated(self, secrets: list[Secret]) -> None:
        assert verify(secrets, body=BODY, headers=HEADERS, now=AT)

    @pytest.mark.parametrize(
        "signatures",
        [
            f"v1,{'A' * 43}= {SIGNATURE}",
            f"v1a,{'A' * 86}== {SIGNATURE} v2,anything",
            f"  {SIGNATURE}  ",
            " ".join([SIGNATURE] * 10),
        ],
        ids=["second of two", "other versions beside it", "spaces around it", "ten"],
    )
    def test_right_signature_among_others(self, signatures: str) -> None:
        assert verify([SECRET], body=BODY, headers=changed(webhook_signature=signatures), now=AT)

    @settings(max_examples=40, deadline=None)
    @given(
        key=st.binary(min_size=24, max_size=64),
        message_id=st.text("abcXYZ019_-:~!", min_size=1, max_size=64),
        body=st.text(st.characters(exclude_categories=["Cs"])),
    )
    def test_whatever_the_reference_library_signs(self, key: bytes, message_id: str, body: str) -> None:
        secret, now = Secret("whsec_" + base64.b64encode(key).decode()), time.time()
        headers = {
            "webhook-id": message_id,
            "webhook-timestamp": str(int(now)),
            "webhook-signature": signed_by_the_library(secret, message_id, now, body),
        }
        assert verify([secret], body=body.encode(), headers=headers, now=now) == message_id

    def test_body_that_is_no_text(self) -> None:
        """The raw bytes are what is signed; the reference library would decode them first."""
        body = b"\xff\x00{"
        key = base64.b64decode(SECRET.reveal().removeprefix("whsec_"))
        digest = hmac.new(key, b"msg_1." + str(AT).encode() + b"." + body, "sha256").digest()
        headers = changed(webhook_id="msg_1", webhook_signature="v1," + base64.b64encode(digest).decode())
        assert verify([SECRET], body=body, headers=headers, now=AT) == "msg_1"


class TestRefused:
    @pytest.mark.parametrize("name", sorted(HEADERS))
    def test_without_one_of_the_headers(self, name: str) -> None:
        headers = {key: value for key, value in HEADERS.items() if key != name}
        with pytest.raises(SignatureError, match=name):
            verify([SECRET], body=BODY, headers=headers, now=AT)

    @pytest.mark.parametrize("offset", [-301, 301, -(10**9)])
    def test_timestamp_more_than_five_minutes_away(self, offset: int) -> None:
        with pytest.raises(SignatureError, match="300 s away"):
            verify([SECRET], body=BODY, headers=HEADERS, now=AT + offset)

    @pytest.mark.parametrize(
        "timestamp",
        [
            f"{AT}.0",
            f" {AT}",
            f"{AT}\n",
            f"+{AT}",
            "1614_265330",
            "16e8",
            "",
            "-1",
            "0x1",
            "١٦١٤٢٦٥٣٣٠",
            "9" * 12,
        ],
    )
    def test_timestamp_that_is_no_plain_number_even_when_it_is_signed(self, timestamp: str) -> None:
        """Several of these are read as numbers by ``float``, which the reference library uses."""
        with pytest.raises(SignatureError, match="webhook-timestamp"):
            verify([SECRET], body=BODY, headers=changed(webhook_timestamp=timestamp), now=AT)

    @pytest.mark.parametrize("message_id", ["", "a.b", "a b", "é", "a\n", "x" * 257, "\udcff"])
    def test_id_that_cannot_be_used(self, message_id: str) -> None:
        with pytest.raises(SignatureError, match="webhook-id"):
            verify([SECRET], body=BODY, headers=changed(webhook_id=message_id), now=AT)

    def test_message_cut_in_another_place(self) -> None:
        """``a.1`` + ``2`` signs the same bytes as ``a`` + ``1`` + a body that begins with ``2.``."""
        signature = signed_by_the_library(SECRET, f"a.{AT}", AT + 1, "x")
        forged = changed(webhook_id="a", webhook_timestamp=str(AT), webhook_signature=signature)
        assert verify([SECRET], body=f"{AT + 1}.x".encode(), headers=forged, now=AT) == "a"
        original = changed(webhook_id=f"a.{AT}", webhook_timestamp=str(AT + 1), webhook_signature=signature)
        with pytest.raises(SignatureError, match="webhook-id"):
            verify([SECRET], body=b"x", headers=original, now=AT)

    @pytest.mark.parametrize("bit", [0, 7, 8 * len(BODY) - 1])
    def test_body_with_one_bit_changed(self, bit: int) -> None:
        body = bytearray(BODY)
        body[bit // 8] ^= 1 << bit % 8
        with pytest.raises(SignatureError, match="known secret"):
            verify([SECRET], body=bytes(body), headers=HEADERS, now=AT)

    @pytest.mark.parametrize("secrets", [[], [OLD_SECRET]])
    def test_signature_of_an_unknown_secret(self, secrets: list[Secret]) -> None:
        with pytest.raises(SignatureError, match="known secret"):
            verify(secrets, body=BODY, headers=HEADERS, now=AT)

    @pytest.mark.parametrize(
        "signatures",
        [
            SIGNATURE.removeprefix("v1,"),
            SIGNATURE.replace("v1,", "v1a,"),
            SIGNATURE.replace("v1,", "V1,"),
            SIGNATURE.replace(",", ",,"),
            SIGNATURE + ",",
            SIGNATURE.rstrip("="),
            SIGNATURE.replace("/", "_").replace("+", "-"),
            "v1,",
            "v1",
            ",",
            "v1,é",
            "v1,\udcff",
            "v1,not base64!",
        ],
    )
    def test_signature_that_is_misshapen(self, signatures: str) -> None:
        """The reference library raises five other kinds of error for such headers."""
        with pytest.raises(SignatureError, match="known secret"):
            verify([SECRET], body=BODY, headers=changed(webhook_signature=signatures), now=AT)

    @pytest.mark.parametrize("count", [11, 1000])
    def test_more_than_ten_signatures_even_with_the_right_one(self, count: int) -> None:
        with pytest.raises(SignatureError, match="more than 10"):
            verify(
                [SECRET], body=BODY, headers=changed(webhook_signature=" ".join([SIGNATURE] * count)), now=AT
            )

    def test_every_refusal_is_one_kind_of_error(self) -> None:
        assert issubclass(SignatureError, DeskbellError)


class TestSecret:
    @pytest.mark.parametrize("size", [24, 64])
    def test_key_of_24_to_64_bytes(self, size: int) -> None:
        key = bytes(range(size))
        assert key_of(Secret("whsec_" + base64.b64encode(key).decode())) == key

    @pytest.mark.parametrize(
        "secret",
        [
            "",
            "whsec_",
            SECRET.reveal().removeprefix("whsec_"),
            "whsec_" + base64.b64encode(bytes(23)).decode(),
            "whsec_" + base64.b64encode(bytes(65)).decode(),
            "whsec_" + "é" * 40,
            "whsec_" + "A" * 41,
            SECRET.reveal() + "\n",
        ],
    )
    def test_unusable_secret_is_the_owners_fault_and_is_not_repeated(self, secret: str) -> None:
        with pytest.raises(ConfigError, match="whsec_ and the base64 of 24 to 64") as caught:
            key_of(Secret(secret))
        assert len(secret) < 10 or secret.removeprefix("whsec_") not in str(caught.value)


class TestSigning:
    def test_official_vector_comes_out(self) -> None:
        assert signature_headers(SECRET, HEADERS["webhook-id"], BODY, AT) == HEADERS

    @given(body=st.text(), message_id=st.from_regex(r"[\w-]{1,64}", fullmatch=True))
    def test_the_library_takes_what_is_signed_here(self, body: str, message_id: str) -> None:
        at = time.time()
        headers = signature_headers(OLD_SECRET, message_id, json.dumps(body).encode(), at)
        assert Webhook(OLD_SECRET.reveal()).verify(json.dumps(body), headers) == body

    def test_an_option_of_its_type_must_hold_a_key(self) -> None:
        class Signed(Options):
            secret: SigningSecret

        assert Signed.model_validate({"secret": SECRET.reveal()}).secret == SECRET
        with pytest.raises(ValidationError, match="a signing secret is whsec_ and the base64") as refused:
            Signed.model_validate({"secret": "hunter2"})
        assert "hunter2" not in str(refused.value)
