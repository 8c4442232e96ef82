/**
 * What well-known clients say in a day, in their own spelling and order: connect, look at folders, load a list of
 * messages, read, mark, move, wait, upload, leave. Each step names what must be in the answer.
 */
import assert from "node:assert/strict";
import { latin1 } from "../../bytes/decode.ts";
import { ImapClient } from "../lib/imap_client.ts";
import { inBothShapes, type RunningServer } from "../lib/running_server.ts";

/** A command, and what its answer must have; `{text}` behind it is sent as a literal. */
type Step = readonly [command: string, ...patterns: RegExp[]];

const MESSAGE = "From: ann@elsewhere.test\r\nTo: alice@example.test\r\nSubject: lunch\r\n" +
  "Date: Tue, 14 Nov 2023 22:13:20 +0000\r\nMessage-ID: <1@elsewhere.test>\r\nMIME-Version: 1.0\r\n" +
  'Content-Type: multipart/alternative; boundary="b"\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nat noon?\r\n' +
  "--b\r\nContent-Type: text/html\r\n\r\n<p>at noon?</p>\r\n--b--\r\n";
const UPLOAD = "From: alice@example.test\r\nSubject: re: lunch\r\n\r\nyes\r\n";
const PLAIN = "AGFsaWNlQGV4YW1wbGUudGVzdABzZWNyZXQ=";

const SEQUENCES: Readonly<Record<string, readonly Step[]>> = {
  "Thunderbird": [
    ["CAPABILITY", /AUTH=PLAIN/, / IDLE/],
    [`AUTHENTICATE PLAIN ${PLAIN}`, /OK/],
    ["CAPABILITY", / SPECIAL-USE/, / MOVE/],
    ['ID ("name" "Thunderbird" "version" "128.0")', /\* ID \(/],
    ["NAMESPACE", /\* NAMESPACE \(\("" "\/"\)\)/],
    ['LIST (SUBSCRIBED) "" "*" RETURN (SPECIAL-USE)', /\\Sent.* "\/" "Sent"/, /\\Subscribed/],
    ['LIST "" "INBOX"', /\* LIST \(.*\) "\/" "INBOX"/],
    ['SELECT "INBOX" (CONDSTORE)', /\* 2 EXISTS/, /HIGHESTMODSEQ/, /PERMANENTFLAGS .*\\\*/],
    ['GETQUOTAROOT "INBOX"', /\* QUOTAROOT "INBOX"/],
    ["UID fetch 1:* (FLAGS)", /\* 1 FETCH \(UID 1 FLAGS \(/, /\* 2 FETCH/],
    [
      "UID fetch 1:2 (UID RFC822.SIZE FLAGS BODY.PEEK[HEADER.FIELDS (From To Cc Bcc Subject Date Message-ID Priority " +
      "X-Priority References Newsgroups In-Reply-To Content-Type Reply-To)])",
      /UID 1 RFC822\.SIZE \d+ FLAGS/,
      /Subject: lunch/,
    ],
    ["UID fetch 2 (UID RFC822.SIZE BODY.PEEK[])", /<p>at noon\?<\/p>/],
    ["uid store 2 +Flags (\\Seen)", /\* 2 FETCH \(.*FLAGS \(.*\\Seen/],
    ['STATUS "Sent" (UIDNEXT MESSAGES UNSEEN RECENT)', /\* STATUS "Sent" \(/],
    ['append "Sent" (\\Seen) {UPLOAD}', /\[APPENDUID \d+ 1\]/],
    ['SELECT "Sent"', /\* 1 EXISTS/],
    ["uid search UNDELETED HEADER Subject lunch", /\* SEARCH 1/],
    ['SELECT "INBOX"', /\* 2 EXISTS/],
    ['uid move 2 "Trash"', /\[COPYUID \d+ 2 1\]/, /\* 2 EXPUNGE/],
    ["close", /OK/],
    ["logout", /\* BYE/],
  ],
  "Apple Mail": [
    ["CAPABILITY", / IMAP4rev1 /],
    ["LOGIN alice@example.test secret", /\[CAPABILITY /],
    ['ID ("name" "Mac OS X Mail" "version" "16.0" "os" "Mac OS X")', /\* ID \(/],
    ['LIST "" ""', /\* LIST \(\\Noselect\) "\/" ""/],
    ['LIST "" "*" RETURN (CHILDREN SPECIAL-USE)', /\\Trash/, /\\HasNoChildren/],
    ["STATUS INBOX (MESSAGES UIDNEXT UIDVALIDITY UNSEEN HIGHESTMODSEQ)", /MESSAGES 2 UIDNEXT 3 .*UNSEEN 2/],
    ["SELECT INBOX (CONDSTORE)", /UIDVALIDITY/],
    ["FETCH 1:* (FLAGS UID MODSEQ)", /\* 2 FETCH \(.*UID 2.*MODSEQ \(\d+\)/],
    [
      "UID FETCH 1:2 (FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER.FIELDS (date subject from to cc message-id " +
      "in-reply-to references x-priority list-id)] UID BODYSTRUCTURE)",
      /"ALTERNATIVE"/i,
      /\("boundary" "b"\)/i,
    ],
    ["UID FETCH 2 (BODY.PEEK[1.MIME] BODY.PEEK[1])", /at noon\?/, /BODY\[1\.MIME\]/],
    ["UID SEARCH 1:* NOT DELETED", /\* SEARCH 1 2/],
    ["UID STORE 2 (UNCHANGEDSINCE 1000000) +FLAGS.SILENT (\\Seen)", /\* 2 FETCH \(UID 2 MODSEQ/],
    ["UID STORE 2 (UNCHANGEDSINCE 1) +FLAGS.SILENT (\\Flagged)", /\[MODIFIED 2\]/],
    ["UID COPY 2 Archive", /\[COPYUID/],
    ["UID STORE 2 +FLAGS.SILENT (\\Deleted)", /OK/],
    ["UID EXPUNGE 2", /\* 2 EXPUNGE/],
    ["CHECK", /OK/],
    ["LOGOUT", /\* BYE/],
  ],
  "K-9 Mail": [
    ["CAPABILITY", /IMAP4rev1/],
    [`AUTHENTICATE PLAIN ${PLAIN}`, /OK/],
    ["CAPABILITY", /COMPRESS=DEFLATE/],
    ["NAMESPACE", /\* NAMESPACE/],
    ['LIST "" "*" RETURN (SPECIAL-USE)', /\\Drafts/],
    ['LSUB "" "*"', /\* LSUB \(.*\) "\/" "INBOX"/],
    ['SELECT "INBOX"', /\* 2 EXISTS/, /\[READ-WRITE\]/],
    ["UID SEARCH 1:2 NOT DELETED", /\* SEARCH 1 2/],
    ["UID FETCH 1,2 (UID FLAGS)", /\* 1 FETCH \(UID 1 FLAGS/],
    [
      "UID FETCH 2 (UID INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER.FIELDS (date subject from content-type to cc reply-to " +
      "message-id references in-reply-to X-K9mail-Identity)])",
      /INTERNALDATE "/,
      /Subject: lunch/,
    ],
    ["UID FETCH 2 (UID BODYSTRUCTURE)", /"PLAIN"/i],
    ["UID FETCH 2 (UID BODY.PEEK[1]<0.5120>)", /BODY\[1\]<0>/, /at noon\?/],
    ["UID STORE 2 +FLAGS.SILENT (\\Seen)", /OK/],
    ['UID MOVE 2 "Archive"', /\* 2 EXPUNGE/],
    ['UID SEARCH HEADER MESSAGE-ID "1@elsewhere.test"', /\* SEARCH 1/],
    ['SELECT "Drafts"', /\* 0 EXISTS/],
    ['APPEND "Drafts" (\\Seen \\Draft) {UPLOAD}', /APPENDUID/],
    ["NOOP", /\* 1 EXISTS|OK/],
    ["EXPUNGE", /OK/],
    ["LOGOUT", /\* BYE/],
  ],
  "Outlook": [
    ["CAPABILITY", /IMAP4rev1/],
    ['LOGIN "alice@example.test" "secret"', /OK/],
    ['LIST "" ""', /\\Noselect/],
    ['LSUB "" "*"', /\* LSUB/],
    ['XLIST "" "*"', /BAD/],
    ['SELECT "INBOX"', /\* FLAGS/],
    ["UID FETCH 1:* (UID FLAGS)", /\* 2 FETCH/],
    [
      "UID FETCH 1:2 (UID FLAGS RFC822.SIZE RFC822.HEADER INTERNALDATE BODYSTRUCTURE)",
      /RFC822\.HEADER/,
      /Subject: lunch/,
    ],
    ["UID FETCH 1 (UID BODY[]<0.65536>)", /BODY\[\]<0>/, /FLAGS \(.*\\Seen/],
    ["NOOP", /OK/],
    ["UID STORE 1 -FLAGS (\\Seen)", /FLAGS/],
    ['CREATE "Sent Items"', /OK/],
    ['SUBSCRIBE "Sent Items"', /OK/],
    ['APPEND "Sent Items" (\\Seen) "14-Nov-2023 22:13:20 +0000" {UPLOAD}', /OK/],
    ['STATUS "Sent Items" (MESSAGES UNSEEN)', /MESSAGES 1 UNSEEN 0/],
    ['DELETE "Sent Items"', /OK/],
    ["EXPUNGE", /OK/],
    ["CLOSE", /OK/],
    ["LOGOUT", /\* BYE/],
  ],
};

for (const [name, steps] of Object.entries(SEQUENCES)) {
  inBothShapes(`${name} gets along`, async (start) => {
    await using server = await start();
    for (let count = 0; count < 2; count++) await deliver(server);
    const client = await ImapClient.connect(server.port("imap"));
    for (const [command, ...patterns] of steps) {
      const answer = await say(client, command);
      for (const pattern of patterns) assert.match(answer, pattern, `${command}\n${answer}`);
    }
    client.wire.close();
  });
}

async function deliver(server: RunningServer): Promise<void> {
  const client = await server.smtp();
  assert.equal((await client.send("ann@elsewhere.test", ["alice@example.test"], MESSAGE)).code, 250);
  await client.quit();
}

/** Everything that was answered, literals in their place at the end of their response. */
async function say(client: ImapClient, command: string): Promise<string> {
  const upload = command.endsWith(" {UPLOAD}");
  const { status, text, untagged } = await client.command(
    upload ? command.slice(0, -" {UPLOAD}".length) : command,
    upload ? UPLOAD : undefined,
  );
  const lines = untagged.map(({ line, literals }) =>
    [line, ...literals.map((octets) => latin1(octets))].join("\n")
  );
  return [...lines, `${status} ${text}`].join("\n");
}
