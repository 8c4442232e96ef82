"""dkimpy and pyspf of Debian, driven by one JSON request on standard input, which names the DNS server to ask."""
import base64, json, sys
import dns.resolver
import dkim, spf

request = json.load(sys.stdin)
resolver = dns.resolver.Resolver(configure=False)
resolver.nameservers = [request["server"]["address"]]
resolver.port = request["server"]["port"]
dns.resolver.default_resolver = resolver


def answer(value):
    json.dump(value, sys.stdout)


message = base64.b64decode(request.get("message", ""))
if request["do"] == "verify":
    count = message[: message.index(b"\r\n\r\n")].lower().count(b"dkim-signature:")
    results = []
    for at in range(count):
        try:
            results.append(bool(dkim.DKIM(message).verify(idx=at)))
        except dkim.DKIMException:
            results.append(False)
    answer(results)
elif request["do"] == "sign":
    made = dkim.DKIM(message, signature_algorithm=request["algorithm"].encode()).sign(
        request["selector"].encode(), request["domain"].encode(), request["key"].encode(),
        canonicalize=tuple(form.encode() for form in request["forms"]))
    answer(base64.b64encode(made + message).decode())
elif request["do"] == "arc-verify":
    status, results, reason = dkim.ARC(message).verify()
    answer([status.decode(), reason])
elif request["do"] == "arc-seal":
    made = dkim.ARC(message).sign(request["selector"].encode(), request["domain"].encode(), request["key"].encode(),
                                  request["authserv"].encode())
    answer(base64.b64encode(b"".join(made) + message).decode())
elif request["do"] == "spf":
    results = []
    for ip, sender, helo in request["questions"]:
        results.append(spf.check2(i=ip, s=sender, h=helo)[0])
    answer(results)
