/** Who tries a script is told which of its lines acted, and which tests had held. */
import assert from "node:assert/strict";
import { encode } from "../../bytes/decode.ts";
import { explained } from "../../sieve/explain.ts";
import { EMPTY_HOST } from "../../sieve/host.ts";
import { MessageView } from "../../sieve/message_view.ts";
import { compileScript } from "../../sieve/program.ts";

async function why(
  script: string,
  message = "Subject: your bill\r\nX-Spam: yes\r\n\r\nbody\r\n",
): Promise<string[]> {
  const compiled = await compileScript(encode(script));
  assert.ok("program" in compiled, JSON.stringify(compiled));
  return explained(
    compiled.program.run(new MessageView(encode(message)), EMPTY_HOST),
    compiled.program.source,
  );
}

Deno.test("each action says its line and the tests that held around it", async () => {
  assert.deepEqual(await why(""), ["implicit keep (nothing took its place)"]);
  assert.deepEqual(
    await why(
      `require ["fileinto", "copy", "editheader"];
fileinto :copy "All";
if header :is "subject" "other" {
  discard;
} elsif anyof (header :contains ["to", "subject"] "bill", size :over 1M) {
  if not exists "x-none" {
    addheader "X-Seen" "1";
    redirect :copy "me@far.example";
  }
  fileinto "Bills";
} else {
  keep;
}
if exists "x-none" { discard; } else { keep; }`,
    ),
    [
      'fileinto "All" (line 2)',
      'addheader "X-Seen" (line 7: anyof (header :contains ["to", "subject"] "bill", size :over 1048576); and not exists "x-none")',
      'redirect "me@far.example" (line 8: anyof (header :contains ["to", "subject"] "bill", size :over 1048576); and not exists "x-none")',
      'fileinto "Bills" (line 10: anyof (header :contains ["to", "subject"] "bill", size :over 1048576))',
      "keep (line 14: else in line 14)",
    ],
  );
});

Deno.test("in a loop, and behind a stop", async () => {
  const message =
    "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\na\r\n--b\r\n\r\nb\r\n--b--\r\n";
  assert.deepEqual(
    await why(
      `require ["mime", "foreverypart", "fileinto"];
foreverypart {
  if header :mime :type "content-type" "multipart" { fileinto "Parts"; }
}
if true { stop; }
discard;`,
      message,
    ),
    ['fileinto "Parts" (line 3: header :mime :type "content-type" "multipart")'],
  );
});
