/** Copies that the operator wants of mail that is taken. */
import { deepStrictEqual as equal } from "node:assert";
import type { CopyRule } from "../../delivery/inbound/copies.ts";
import { registry } from "../../telemetry/metrics.ts";
import { ReceptionBed } from "./reception_bed.ts";

const MESSAGE = "From: <alice@example.test>\r\nSubject: hello\r\n\r\nbody\r\n";

async function withBed(copies: CopyRule[], body: (bed: ReceptionBed) => Promise<void>): Promise<void> {
  const bed = await ReceptionBed.open({ copies });
  try {
    await bed.ok({ kind: "put-account", account: { address: "archive@example.test" } });
    await body(bed);
  } finally {
    await bed.close();
  }
}

async function failed(): Promise<number> {
  const metric = await registry.getSingleMetric("veredus_copies_total")!.get();
  return metric.values.find(({ labels }) => labels.result === "failed")?.value ?? 0;
}

Deno.test("everything that is received and sent is copied into the archive, once, with the same octets", () =>
  withBed([{ of: [], mail: "all", to: "archive@example.test" }], async (bed) => {
    const both = ["alice@example.test", "bob@example.test"];
    await bed.send({ to: both, message: MESSAGE });
    await bed.send({
      client: bed.login("alice"),
      from: "alice@example.test",
      to: ["x@far.example"],
      message: MESSAGE,
    });
    await bed.send({ to: ["archive@example.test"], message: MESSAGE });
    equal([bed.stored("alice").length, bed.stored("archive").length], [1, 3]);
    const rest = (one: string) => one.slice(one.indexOf("\r\nReceived:"));
    equal(rest(bed.stored("archive")[0]!), rest(bed.stored("alice")[0]!));
  }));

Deno.test("what one domain or address receives, or sends when logged in", () =>
  withBed([
    { of: ["bob@example.test"], mail: "received", to: "archive@example.test" },
    { of: ["example.test"], mail: "sent", to: "archive@example.test" },
  ], async (bed) => {
    await bed.send({ to: ["alice@example.test"], message: MESSAGE });
    equal(bed.stored("archive").length, 0);
    await bed.send({ from: "alice@example.test", to: ["alice@example.test"], message: MESSAGE });
    equal(bed.stored("archive").length, 0, "a stranger that says so has not sent it");
    await bed.send({ to: ["BOB@example.test"], message: MESSAGE });
    equal(bed.stored("archive").length, 1);
    await bed.send({
      client: bed.login("alice"),
      from: "alice@example.test",
      to: ["x@far.example"],
      message: MESSAGE,
    });
    equal(bed.stored("archive").length, 2);
  }));

Deno.test("a copy that nobody here can get is told and counted, and the mail goes on", () =>
  withBed([
    { of: [], mail: "all", to: "nobody@example.test" },
    { of: [], mail: "all", to: "archive@far.example" },
  ], async (bed) => {
    const before = await failed();
    const { data } = await bed.send({ to: ["alice@example.test"], message: MESSAGE });
    equal([data!.code, bed.stored("alice").length, bed.queued().length], [250, 1, 0]);
    equal(await failed() - before, 2);
  }));
