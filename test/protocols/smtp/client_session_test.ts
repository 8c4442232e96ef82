/** The sending machine by transcripts, and by a table of every refusal at every stage. */
import assert from "node:assert/strict";
import { encodeLatin1, latin1 } from "../../../bytes/decode.ts";
import type { TransactionResult } from "../../../protocols/smtp/client_result.ts";
import { ClientSession } from "../../../protocols/smtp/client_session.ts";
import { checkTranscript } from "./client_transcript.ts";

const FOLDER = new URL("../../transcripts/smtp_client/", import.meta.url);

for (const { name } of [...Deno.readDirSync(FOLDER)].toSorted((a, b) => a.name < b.name ? -1 : 1)) {
  Deno.test(`sending: ${name.replace(".txt", "").replaceAll("_", " ")}`, () => {
    checkTranscript(Deno.readTextFileSync(new URL(name, FOLDER)));
  });
}

type Stage = "RSET" | "MAIL" | "RCPT" | "DATA" | ".";

/** A transaction for two recipients in which the peer says `reply` at `stage` (to the second recipient). */
function transaction(
  stage: Stage,
  reply: string | null,
  pipelining: boolean,
): { result: TransactionResult; open: boolean } {
  const session = new ClientSession({
    mode: "smtp",
    helloName: "us.test",
    starttls: "off",
    tlsActive: false,
    credentials: null,
    clearPassword: false,
  });
  const usual: Record<string, string> = {
    EHLO: "250-x\r\n250 PIPELINING",
    MAIL: "250 ok",
    RCPT: "250 ok",
    DATA: "354 go",
    ".": "250 ok",
  };
  if (!pipelining) usual["EHLO"] = "250 x";
  let queue = ["220 hi\r\n"];
  let recipients = 0;
  let sent = false;
  let result: TransactionResult | null = null;
  for (let steps = 0; steps < 1_000; steps++) {
    const event = session.next();
    if (event.kind === "ready" || event.kind === "closed") {
      if (sent) return { result: result!, open: event.kind === "ready" };
      sent = true;
      const recipient = (address: string) => ({ address, notify: "", originalRecipient: "" });
      session.send({
        sender: "a@a.test",
        recipients: [recipient("x@b.test"), recipient("y@b.test")],
        sizeOctets: 10,
        eightBit: false,
        smtputf8: false,
        requireTls: false,
        ret: "",
        envelopeId: "",
      });
      continue;
    }
    if (event.kind === "result") {
      result = event.result;
      continue;
    }
    if (event.kind === "data") {
      session.out.text(".\r\n");
      session.dataSent();
      continue;
    }
    assert.equal(event.kind, "need-input");
    for (const line of latin1(session.out.take()).split("\r\n").slice(0, -1)) {
      const verb = line.split(" ")[0]!;
      const here = verb === stage && (verb !== "RCPT" || ++recipients === 2);
      if (here && reply === null) queue.push("(lost)");
      else queue.push(here ? `${reply}\r\n` : `${usual[verb] ?? "250 ok"}\r\n`);
    }
    const next = queue.shift();
    if (next === undefined || next === "(lost)") {
      queue = [];
      session.lost("lost");
    } else session.feed(encodeLatin1(next));
  }
  throw new Error("no end");
}

for (const pipelining of [true, false]) {
  Deno.test(`every refusal at every stage touches whom it should${pipelining ? ", pipelined" : ""}`, () => {
    const outcomes = (stage: Stage, reply: string | null) => {
      const { result, open } = transaction(stage, reply, pipelining);
      return `${result.recipients.map(({ outcome }) => outcome).join(" ")} ${open ? "open" : "closed"}`;
    };
    const both = (outcome: string) => `${outcome} ${outcome}`;
    const one = (outcome: string) => `delivered ${outcome}`;
    // RFC 5321 4.2.1: 5xx is final, 4xx is not
    for (
      const [code, outcome] of [["550 5.7.1 no", "permanent"], ["451 4.3.0 later", "temporary"]] as const
    ) {
      assert.equal(outcomes("MAIL", code), `${both(outcome)} open`);
      assert.equal(outcomes("RCPT", code), `${one(outcome)} open`);
      assert.equal(outcomes("DATA", code), `${both(outcome)} open`);
      assert.equal(outcomes(".", code), `${both(outcome)} open`);
    }
    // RFC 5321 3.8: 421 and a lost connection touch only those without a reply
    for (const end of ["421 4.3.2 bye", null]) {
      for (const stage of ["MAIL", "RCPT", "DATA", "."] as const) {
        assert.equal(outcomes(stage, end), `${both("temporary")} closed`, `${end} ${stage}`);
      }
    }
    // what is no SMTP at all
    for (const stage of ["MAIL", "RCPT", "DATA", "."] as const) {
      assert.equal(outcomes(stage, "what?"), `${both("temporary")} closed`, stage);
    }
    assert.equal(outcomes("DATA", "250 odd"), `${both("temporary")} closed`);
    assert.equal(outcomes("MAIL", "250 fine"), `${both("delivered")} open`);
  });
}
