/**
 * Scores by SpamAssassin's spamd (protocol 1.5, SYMBOLS): a connection each, which spamd ends. What it calls spam is spam
 * here; the score and its rules are the reason.
 */
import { encodeLatin1, latin1 } from "../../bytes/decode.ts";
import type { MessageSource } from "../message_source.ts";
import type { ByteStream } from "../stream.ts";
import { Deadline } from "./deadline.ts";
import { ScanFault, type ScanResult } from "./result.ts";

const CHUNK_OCTETS = 64 * 1024;
const MAX_REPLY_OCTETS = 64 * 1024;
const MAX_RULES = 200;

export interface SpamdOptions {
  readonly connect: () => Promise<ByteStream>;
  readonly timeoutMs: number;
}

export async function scanBySpamd(message: MessageSource, options: SpamdOptions): Promise<ScanResult> {
  const deadline = new Deadline(options.timeoutMs);
  const connecting = options.connect();
  let stream: ByteStream | null = null;
  try {
    stream = await deadline.wait(connecting);
    const open = stream;
    await deadline.wait(
      open.write(encodeLatin1(`SYMBOLS SPAMC/1.5\r\nContent-length: ${message.octets}\r\n\r\n`)),
    );
    for (let at = 0; at < message.octets;) {
      const octets = await message.read(at, CHUNK_OCTETS);
      if (octets.length === 0) break;
      await deadline.wait(open.write(octets));
      at += octets.length;
    }
    let text = "";
    for (;;) {
      const octets = await deadline.wait(open.read());
      if (octets === null) return parseSpamdReply(text);
      text += latin1(octets);
      if (text.length > MAX_REPLY_OCTETS) throw new ScanFault("a reply without end");
    }
  } finally {
    deadline.end();
    if (stream === null) connecting.then((late) => late.close(), () => {}); // it may open after the deadline
    stream?.close();
  }
}

/** Throws ScanFault where it is none, or says that spamd could not. */
export function parseSpamdReply(text: string): ScanResult {
  const status = /^SPAMD\/\d+\.\d+ (\d+) ([^\r\n]*)\r\n/.exec(text);
  if (status === null) throw new ScanFault("no reply of spamd");
  if (status[1] !== "0") throw new ScanFault(`spamd status ${status[1]}`, { cause: status[2] });
  const spam = /^Spam:\s*(True|False|Yes|No)\s*;\s*(-?[\d.]+)\s*\/\s*(-?[\d.]+)/im.exec(text);
  if (spam === null) throw new ScanFault("a reply of spamd without a score");
  const [, isSpam = "", score = "", of = ""] = spam;
  if (!/^(true|yes)$/i.test(isSpam)) return { kind: "wanted" };
  const rules = text.slice(text.indexOf("\r\n\r\n") + 4).trim().slice(0, MAX_RULES);
  return { kind: "spam", why: `score ${score} of ${of}${rules === "" ? "" : `: ${rules}`}` };
}
