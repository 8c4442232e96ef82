/**
 * Runs transcripts of the sending machine: `S:` what the other server says, `C:` what we send, `?` the event raised,
 * `!` what the driver does. Options stand in a line `@ key=value ...` on top.
 *
 * `! send <sender> <recipient>... [size=N] [8bit] [utf8]` starts a transaction, `! data` stands for the message,
 * `! behind ...` the same behind a message, `whole` with its message by BDAT at once, `! chunk <octets> [last]` for a part of it by BDAT, `! tls` for the handshake,
 * `! salted` for the hash of the password, `! quit` for the end, `S: (lost)` for a lost connection. The file is replayed whole, octet
 * by octet, and at every two-way split of what the server says; the outcome must be the same.
 */
import assert from "node:assert/strict";
import { pbkdf2Sync } from "node:crypto";
import { encodeLatin1, latin1 } from "../../../bytes/decode.ts";
import type { RecipientResult } from "../../../protocols/smtp/client_result.ts";
import { type ClientOptions, ClientSession } from "../../../protocols/smtp/client_session.ts";
import type { ClientTransaction } from "../../../protocols/smtp/client_transaction.ts";
import { replyText } from "../../../protocols/smtp/reply_parser.ts";

/** Of RFC 7677 3: password "pencil", 4096 iterations. */
const SALTED = new Uint8Array(
  pbkdf2Sync("pencil", encodeLatin1(atob("W22ZaJ0SNY7soEsUEjb6gQ==")), 4096, 32, "sha256"),
);

type Cut = (bytes: Uint8Array) => Uint8Array[];

const WHOLE: Cut = (bytes) => [bytes];
const BY_OCTETS: Cut = (bytes) => Array.from(bytes, (octet) => Uint8Array.of(octet));

export function checkTranscript(text: string): void {
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  const options = optionsOf(lines[0]?.startsWith("@") ? lines.shift()! : "@");
  const expected = lines.join("\n");
  assert.equal(replay(lines, options, WHOLE), expected);
  assert.equal(replay(lines, options, BY_OCTETS), expected);
  const longest = Math.max(...groups(lines).map((group) => group.length));
  for (let at = 1; at < longest; at++) {
    const cut: Cut = (bytes) => at < bytes.length ? [bytes.slice(0, at), bytes.slice(at)] : [bytes];
    assert.equal(replay(lines, options, cut), expected, `split at ${at}`);
  }
}

function groups(lines: readonly string[]): string[] {
  const found: string[] = [];
  let group = "";
  for (const line of [...lines, "!"]) {
    if (line.startsWith("S: ")) group += `${line.slice(3)}\r\n`;
    else if (group !== "") {
      found.push(group);
      group = "";
    }
  }
  return found;
}

function replay(lines: readonly string[], options: ClientOptions, cut: Cut): string {
  const session = new ClientSession(options);
  const log: string[] = [];
  let at = 0;
  let chunks: Uint8Array[] = [];
  const flush = () => {
    const written = latin1(session.out.take());
    if (written !== "") log.push(...written.trimEnd().split("\r\n").map((line) => `C: ${line}`));
  };
  const input = (prefix: string): string | null => {
    while (at < lines.length && !lines[at]!.startsWith("S: ") && !lines[at]!.startsWith("! ")) at++;
    return lines[at]?.startsWith(prefix) ? lines[at++]!.slice(prefix.length) : null;
  };
  for (let steps = 0; steps < 10_000; steps++) {
    const event = session.next();
    if (event.kind === "need-input") {
      flush();
      const chunk = chunks.shift();
      if (chunk !== undefined) {
        session.feed(chunk);
        continue;
      }
      let said = "";
      for (
        let line = input("S: ");
        line !== null;
        line = lines[at]?.startsWith("S: ") ? input("S: ") : null
      ) {
        log.push(`S: ${line}`);
        if (line === "(lost)") {
          session.lost(`the connection was lost (${event.stage})`);
          break;
        }
        said += `${line}\r\n`;
        if (lines[at] === "S: (lost)") break;
      }
      if (said !== "") chunks = cut(encodeLatin1(said));
      else if (log.at(-1) !== "S: (lost)") return log.join("\n");
      continue;
    }
    flush();
    if (event.kind === "result") {
      log.push(
        `? result ${event.result.recipients.map(resultText).join("; ")}${
          event.result.untouched ? " untouched" : ""
        }`,
      );
      continue;
    }
    if (event.kind === "unusable") {
      log.push(`? unusable ${resultText(event.failure)}`);
      continue;
    }
    log.push(`? ${event.kind}`);
    if (event.kind === "closed") return log.join("\n");
    if (event.kind === "starttls-refused") continue;
    let acted = false;
    for (
      let action = input("! ");
      action !== null;
      action = lines[at]?.startsWith("! ") ? input("! ") : null
    ) {
      acted = true;
      log.push(`! ${action}`);
      if (action === "tls") chunks = []; // what the peer sent in clear and nobody read is the handshake's to choke on
      act(session, action);
      flush();
    }
    if (!acted) return log.join("\n");
  }
  throw new Error("the transcript does not end");
}

function act(session: ClientSession, action: string): void {
  if (action === "tls") return session.tlsStarted();
  if (action === "quit") return session.quit();
  if (action === "data") return session.dataSent();
  if (action === "salted") return session.derived(SALTED);
  const [verb, ...words] = action.split(" ");
  if (verb === "chunk") return session.chunk(encodeLatin1(words[0]!), words[1] === "last");
  const options = { whole: words.includes("whole") };
  if (verb === "behind") return assert.ok(session.sendBehind(transactionOf(words), options));
  assert.equal(verb, "send");
  session.send(transactionOf(words), options);
}

function transactionOf(words: readonly string[]): ClientTransaction {
  const paths = words.filter((word) => word.startsWith("<")).map((word) => word.slice(1, -1));
  return {
    sender: paths[0]!,
    recipients: paths.slice(1).map((address) => ({
      address,
      notify: valueOf(words, "notify"),
      originalRecipient: "",
    })),
    sizeOctets: Number(valueOf(words, "size") || 100),
    eightBit: words.includes("8bit"),
    smtputf8: words.includes("utf8"),
    requireTls: words.includes("requiretls"),
    ret: valueOf(words, "ret") as "" | "FULL" | "HDRS",
    envelopeId: valueOf(words, "envid"),
    priority: Number(valueOf(words, "priority") || 0),
  };
}

function valueOf(words: readonly string[], name: string): string {
  return words.find((word) => word.startsWith(`${name}=`))?.slice(name.length + 1) ?? "";
}

function resultText({ outcome, enhanced, reply, text, again }: RecipientResult): string {
  return `${outcome} ${enhanced} "${reply === null ? text : replyText(reply)}"${again ? " again" : ""}`;
}

function optionsOf(line: string): ClientOptions {
  const words = line.split(" ");
  const [user, password] = valueOf(words, "login").split(":");
  const nonce = valueOf(words, "nonce");
  return {
    mode: words.includes("lmtp") ? "lmtp" : "smtp",
    helloName: "us.test",
    starttls: (valueOf(words, "starttls") || "offered") as ClientOptions["starttls"],
    tlsActive: words.includes("tls"),
    credentials: user && password !== undefined ? { user, password, ...(nonce !== "" && { nonce }) } : null,
    chunking: words.includes("bdat"),
    clearPassword: words.includes("clear-password"),
  };
}
