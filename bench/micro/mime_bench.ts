/** Structure and facts of one message: the work of a front end per delivery. */
import { encode } from "../../bytes/decode.ts";
import { FactsBuilder } from "../../message/facts.ts";

const header =
  "Received: from a (b [127.0.0.1])\r\n\tby c with ESMTP id 1\r\n\tfor <d@e.test>; Mon, 23 Nov 2026 10:00:00 +0000\r\n" +
  "From: Sender <a@b.test>\r\nTo: Rcpt <c@d.test>\r\nSubject: bench message\r\nDate: Mon, 23 Nov 2026 10:00:00 +0000\r\n" +
  "Message-ID: <1@b.test>\r\n";
const line = "The quick brown fox jumps over the lazy dog and then does it again.\r\n";
const plain = encode(`${header}\r\n${line.repeat(56)}`);
const multipart = encode(
  `${header}MIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary="b"\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\n` +
    `${line.repeat(20)}\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>${line.repeat(30)}</p>\r\n--b--\r\n`,
);
const large = encode(`${header}\r\n${line.repeat(15_000)}`);

for (
  const [name, bytes] of [["plain 4 kB", plain], ["alternative 4 kB", multipart], [
    "plain 1 MB",
    large,
  ]] as const
) {
  Deno.bench(`facts: ${name}`, () => {
    const builder = new FactsBuilder();
    builder.push(bytes);
    builder.finish();
  });
}
