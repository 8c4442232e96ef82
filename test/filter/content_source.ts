/** A client and a message as checks see them; the message is a text of one character an octet. */
import { encodeLatin1 } from "../../bytes/decode.ts";
import type { ClientView } from "../../filter/check.ts";
import type { MessageSource } from "../../filter/message_source.ts";

export const CLIENT: ClientView = {
  ...{ sessionId: "s", address: "192.0.2.1", port: 1, heloName: "client.example", tls: false },
  ...{ tlsProtocol: null, tlsCipher: null, mechanism: null, service: "mx", login: null, spokeEarly: false },
};

export function sourceOf(message: string): MessageSource {
  const octets = encodeLatin1(message);
  return {
    octets: octets.length,
    headerOctets: message.indexOf("\r\n\r\n") + 4,
    read: (at, length) => Promise.resolve(octets.slice(at, at + length)),
    held: (at, length) => octets.subarray(at, at + length),
    onDisk: () => null,
  };
}
