"""dkimpy and pyspf of Debian, driven by one JSON request on standard input; DNS is the map in it."""
import base64, json, sys
import dkim, spf

request = json.load(sys.stdin)
zone = {name.lower(): text for name, text in request.get("txt", {}).items()}


def txt(name, timeout=5):
    key = (name.decode() if isinstance(name, bytes) else name).rstrip(".").lower()
    return zone[key].encode() if key in zone else None


def answer(value):
    json.dump(value, sys.stdout)


message = base64.b64decode(request.get("message", ""))
if request["do"] == "verify":
    count = message[: message.index(b"\r\n\r\n")].lower().count(b"dkim-signature:")
    results = []
    for at in range(count):
        try:
            results.append(bool(dkim.DKIM(message).verify(idx=at, dnsfunc=txt)))
        except dkim.DKIMException:
            results.append(False)
    answer(results)
elif request["do"] == "sign":
    made = dkim.DKIM(message, signature_algorithm=request["algorithm"].encode()).sign(
        request["selector"].encode(), request["domain"].encode(), request["key"].encode(),
        canonicalize=tuple(form.encode() for form in request["forms"]))
    answer(base64.b64encode(made + message).decode())
elif request["do"] == "arc-verify":
    status, results, reason = dkim.ARC(message).verify(dnsfunc=txt)
    answer([status.decode(), reason])
elif request["do"] == "arc-seal":
    made = dkim.ARC(message).sign(request["selector"].encode(), request["domain"].encode(), request["key"].encode(),
                                  request["authserv"].encode())
    answer(base64.b64encode(b"".join(made) + message).decode())
elif request["do"] == "spf":
    spf.DNSLookup = lambda name, qtype, *rest, **more: (
        [((name, "TXT"), [zone[name.lower()].encode()])] if qtype == "TXT" and name.lower() in zone else [])
    results = []
    for ip, sender, helo in request["questions"]:
        results.append(spf.check2(i=ip, s=sender, h=helo)[0])
    answer(results)
