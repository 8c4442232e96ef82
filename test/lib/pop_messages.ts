/** A whole maildrop, read by POP3 in clear. */
import assert from "node:assert/strict";
import { PASSWORD } from "./running_server.ts";
import { Wire } from "./wire.ts";

/** What RETR of every message answers, dot-stuffing removed; `name` is an account of example.test. */
export async function popMessages(port: number, name: string): Promise<string[]> {
  const wire = await Wire.connect(port);
  const command = async (line: string): Promise<string> => {
    if (line !== "") await wire.write(line + "\r\n");
    const reply = await wire.line();
    assert.match(reply, /^\+OK/, line);
    return reply;
  };
  await command("");
  await command(`USER ${name}@example.test`);
  await command(`PASS ${PASSWORD}`);
  const count = Number((await command("STAT")).split(" ")[1]);
  const messages: string[] = [];
  for (let at = 1; at <= count; at++) {
    await command(`RETR ${at}`);
    let text = "";
    for (let line = await wire.line(); line !== "."; line = await wire.line()) {
      text += (line.startsWith(".") ? line.slice(1) : line) + "\r\n";
    }
    messages.push(text);
  }
  await command("QUIT");
  wire.close();
  return messages;
}
