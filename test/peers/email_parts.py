"""Parts of messages as Python's email package finds them, with the numbers that IMAP gives them (RFC 3501 6.4.5).

Reads names of files, one a line; writes for each a JSON list of [number, type, raw payload, decoded payload], the payloads
of leaves in base64, null for parts that hold others.
"""

import base64
import email
import json
import sys


def raw(part):
    # get_payload() would put what the charset makes of 8-bit octets in their place.
    return part._payload.encode("ascii", "surrogateescape")


def octets(payload):
    return base64.b64encode(payload).decode("ascii")


def parts(message, prefix):
    if message.is_multipart() and message.get_content_maintype() == "multipart":
        for i, child in enumerate(message.get_payload(), 1):
            yield from part(child, prefix + str(i))
    else:
        yield from part(message, prefix + "1")


def part(entity, number):
    kind = entity.get_content_type()
    if entity.is_multipart():
        yield [number, kind, None, None]
        if entity.get_content_maintype() == "multipart":
            yield from parts(entity, number + ".")
        else:
            yield from parts(entity.get_payload(0), number + ".")
    elif isinstance(entity.get_payload(), str):
        yield [number, kind, octets(raw(entity)), octets(entity.get_payload(decode=True))]
    else:
        yield [number, kind, None, None]


for name in sys.stdin.read().splitlines():
    with open(name, "rb") as file:
        print(json.dumps(list(parts(email.message_from_bytes(file.read()), ""))))
