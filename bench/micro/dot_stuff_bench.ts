/** Dot-stuffing of outgoing mail: a megabyte of ordinary lines, and of lines that all begin with a dot. */
import { Out } from "../../bytes/out.ts";
import { encode } from "../../bytes/decode.ts";
import { DotStuffer } from "../../protocols/smtp/dot_stuff.ts";

const LINES = 14_000;
const ordinary = encode(`${"x".repeat(74)}\r\n`.repeat(LINES));
const dotted = encode(`.${"x".repeat(73)}\r\n`.repeat(LINES));
const bare = encode(`${"x".repeat(75)}\n`.repeat(LINES));

function stuff(bytes: Uint8Array): void {
  const out = new Out();
  const stuffer = new DotStuffer(out);
  for (let at = 0; at < bytes.length; at += 65_536) {
    stuffer.push(bytes.subarray(at, at + 65_536));
    out.take();
  }
  stuffer.finish();
}

Deno.bench("ordinary lines, 1 MB", () => stuff(ordinary));
Deno.bench("every line begins with a dot, 1 MB", () => stuff(dotted));
Deno.bench("bare LF at every end, 1 MB", () => stuff(bare));
