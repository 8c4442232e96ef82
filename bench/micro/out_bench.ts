/** Replies on their way out: text gathered and encoded once, and the octets of a message behind it. */
import { Out } from "../../bytes/out.ts";

const line = "* 17 FETCH (UID 4711 FLAGS (\\Seen))\r\n";
const octets = new Uint8Array(4096).fill(0x61);
const encoder = new TextEncoder();

const short = new Out(512);
Deno.bench("a short reply, memory taken anew", { group: "reply" }, () => {
  short.text("250 2.1.0 Sender OK\r\n");
  short.take();
});
const given = new Out(512);
Deno.bench("a short reply, memory given back", { group: "reply" }, () => {
  given.text("250 2.1.0 Sender OK\r\n");
  given.give(given.take());
});

const lines = new Out();
Deno.bench("100 lines, encoded at the flush", { group: "lines" }, () => {
  for (let i = 0; i < 100; i++) lines.text(line);
  lines.take();
});
Deno.bench("100 lines, each encoded", { group: "lines" }, () => {
  for (let i = 0; i < 100; i++) lines.octets(encoder.encode(line));
  lines.take();
});
Deno.bench("10 lines with 4 kB behind each", { group: "bodies" }, () => {
  for (let i = 0; i < 10; i++) {
    lines.text(line);
    lines.octets(octets);
  }
  lines.take();
});
