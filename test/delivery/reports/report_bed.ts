/** The sender of reports over a real store, a day after what was seen. */
import { DAY_MS } from "../../../delivery/reports/observations.ts";
import type { ReportForm } from "../../../delivery/reports/form.ts";
import { type PostReport, sendReports } from "../../../delivery/reports/sender.ts";
import { RecipientResolver } from "../../../delivery/recipients.ts";
import type { ObservedRow } from "../../../storage/ops.ts";
import { type MockEntry, MockResolver } from "../../lib/mock_resolver.ts";
import { TestStore } from "../../lib/test_store.ts";

export const DAY = Date.UTC(2026, 10, 1);

export interface ReportBedOptions {
  readonly rows: readonly ObservedRow[];
  readonly dns: Readonly<Record<string, MockEntry>>;
  readonly postReport?: PostReport;
  readonly maxOctets?: number;
}

export async function reportBed(form: ReportForm, { rows, dns, postReport, maxOctets }: ReportBedOptions) {
  const test = await TestStore.open();
  const { store } = test;
  await test.ok({ kind: "observe", of: form.kind, rows });
  const resolver = new MockResolver(dns);
  const time = { now: DAY + DAY_MS + 3_600_000 };
  const clock = () => time.now;
  let id = 0;
  const post = {
    store,
    clock,
    newId: () => `report${String(++id).padStart(10, "0")}`,
    resolver: new RecipientResolver({
      directory: store.directory,
      mailboxes: store.mailboxes,
      access: store.access,
      hostname: "mx.test",
      ownAddresses: [],
      captureOutbound: "",
      clock,
    }),
    queueLifetimeMs: DAY_MS,
    bounceLifetimeMs: DAY_MS,
  };
  return {
    ...{ test, resolver, time },
    /** Days and domains that wait for their report. */
    left: () => store.reports.observedBefore(form.kind, DAY + 9 * DAY_MS, 10).length,
    send: () =>
      sendReports(form, {
        ...{ store, resolver, post, hostname: "mx.test", clock },
        postReport: postReport ?? (() => Promise.resolve(true)),
        ...(maxOctets !== undefined && { maxOctets }),
      }),
    queued: () =>
      store.queue.list({}, { afterRecipientId: 0, limit: 10 }).map((row) => {
        const { blob, tls } = store.queue.message(row.queueId)!;
        const text = new TextDecoder().decode(store.blobs.readSync(blob, 0, blob.length));
        return { recipient: row.recipient, tls, text };
      }),
    [Symbol.asyncDispose]: () => test.close(),
  };
}

/** The compressed attachment of a report. */
export function attachmentOf(text: string): Uint8Array {
  const base64 = /\.gz"\r\n\r\n([\s\S]+?)\r\n--/.exec(text)![1]!;
  return Uint8Array.fromBase64(base64.replaceAll("\r\n", ""));
}
