/**
 * The DNS records that a domain of ours should have, and what those that DNS has are worth, in plain words.
 *
 * MX and TLSA (RFC 5321 5.1, RFC 7672 3.1.1: of the present and the next key), SPF, DKIM, DMARC, MTA-STS (RFC 8461 3) and
 * reports of TLS (RFC 8460 3). An operator's own choice is fine where a reader of the record would take it. Pure.
 */
import { isDmarcRecord, parseDmarcRecord } from "../mailauth/dmarc_record.ts";
import { isSpfRecord, parseSpfRecord } from "../mailauth/spf_record.ts";
import type { DkimKeyRow } from "../storage/directory_view.ts";
import { keyName, keyRecord } from "./dkim_keys.ts";
import { stsId } from "./security/mta_sts.ts";
import { reportTargets } from "./reports/tls_report.ts";

export const RECORD_KINDS = [
  "mx",
  "spf",
  "dkim",
  "dmarc",
  "tlsa",
  "mta-sts",
  "mta-sts-host",
  "tls-rpt",
] as const;
export type RecordKind = (typeof RECORD_KINDS)[number];

export interface WantedRecord {
  readonly kind: RecordKind;
  readonly name: string;
  readonly type: "TXT" | "MX" | "TLSA" | "CNAME";
  /** As a zone file has it; of TXT the text. */
  readonly value: string;
  /** What it is for, in words. */
  readonly purpose: string;
}

export interface RecordCheck extends WantedRecord {
  readonly state: "ok" | "missing" | "different" | "unknown";
  /** What is wrong, and what to do. */
  readonly text: string;
}

/** This server, as its domains show it. */
export interface OwnServer {
  readonly hostname: string;
  /** SHA-256 of the public keys, lower-case hex. */
  readonly keys: readonly { readonly sha256: string; readonly when: "now" | "next" }[];
  /** Id of the MTA-STS policy we publish; null: none. */
  readonly stsPolicyId: string | null;
}

export function wantedRecords(
  domain: string,
  { keys, own }: { readonly keys: readonly DkimKeyRow[]; readonly own: OwnServer | null },
): WantedRecord[] {
  const text = (kind: RecordKind, name: string, value: string, purpose: string): WantedRecord => ({
    ...{ kind, name, type: "TXT", value, purpose },
  });
  const records = [
    text("spf", domain, "v=spf1 mx -all", "SPF: the servers of its MX send for it"),
    ...keys.map((key) => text("dkim", keyName(key), keyRecord(key), `DKIM key, ${key.state}`)),
    text(
      "dmarc",
      `_dmarc.${domain}`,
      `v=DMARC1; p=none; rua=mailto:postmaster@${domain}`,
      "DMARC: what others should do with forgeries",
    ),
    text(
      "tls-rpt",
      `_smtp._tls.${domain}`,
      `v=TLSRPTv1; rua=mailto:postmaster@${domain}`,
      "where others report trouble with TLS towards us",
    ),
  ];
  if (own === null) return records;
  const { hostname, stsPolicyId } = own;
  records.unshift({
    ...{ kind: "mx", name: domain, type: "MX", value: `10 ${hostname}.` },
    purpose: "where mail for it goes",
  });
  records.push(...own.keys.map(({ sha256, when }): WantedRecord => ({
    ...{ kind: "tlsa", name: `_25._tcp.${hostname}`, type: "TLSA", value: `3 1 1 ${sha256}` },
    purpose: `DANE: the key of this server, ${when === "now" ? "in use" : "for the next certificate"}`,
  })));
  if (stsPolicyId !== null) {
    records.push(
      text(
        "mta-sts",
        `_mta-sts.${domain}`,
        `v=STSv1; id=${stsPolicyId}`,
        "MTA-STS: there is a policy, and which",
      ),
      {
        ...{ kind: "mta-sts-host", name: `mta-sts.${domain}`, type: "CNAME", value: `${hostname}.` },
        purpose: "MTA-STS: where others fetch the policy, by HTTPS with a certificate for this name",
      },
    );
  }
  return records;
}

/** The type to ask for at the name of a wanted record. */
export function askedType({ kind, type }: WantedRecord): "TXT" | "MX" | "TLSA" | "A" {
  return kind === "mta-sts-host" || type === "CNAME" ? "A" : type;
}

type Finding = readonly [RecordCheck["state"], string];
const MISSING: Finding = ["missing", "there is no such record"];

/** `found`: what DNS has of {@linkcode askedType} at that name, in the form of `value`; null where it did not answer. */
export function checkRecord(wanted: WantedRecord, found: readonly string[] | null): RecordCheck {
  const [state, text] = found === null
    ? ["unknown", "DNS did not answer"] as const
    : JUDGES[wanted.kind](found, wanted);
  return { ...wanted, state, text };
}

const JUDGES: Readonly<Record<RecordKind, (found: readonly string[], wanted: WantedRecord) => Finding>> = {
  mx: (found, { value }) => {
    if (found.length === 0) return MISSING;
    const host = (line: string) => line.split(" ")[1]?.toLowerCase();
    return found.some((line) => host(line) === host(value))
      ? ["ok", found.join(", ")]
      : ["different", `mail goes to ${found.map(host).join(", ")} and not to this server`];
  },
  spf: (found) =>
    only(
      found.filter(isSpfRecord),
      (record) => parseSpfRecord(record) === null ? "it breaks the grammar of SPF" : null,
    ),
  dmarc: (found) =>
    only(
      found.filter(isDmarcRecord),
      (record) => parseDmarcRecord(record) === null ? "it has no usable policy" : null,
    ),
  dkim: (found, { value }) => {
    const bare = (text: string) => text.replace(/\s+/g, "");
    return only(found, (record) => bare(record) === bare(value) ? null : "it holds another key");
  },
  tlsa: (found, { value }) => {
    if (found.length === 0) {
      return ["missing", "DANE is not offered; publish it where the zone is signed by DNSSEC"];
    }
    return found.some((line) => line.toLowerCase() === value) ? ["ok", ""] : [
      "different",
      "the records there are for other keys: servers that follow DANE will not deliver to this one",
    ];
  },
  "mta-sts": (found, { value }) => {
    const id = stsId(found);
    if (id === null) return found.length === 0 ? MISSING : ["different", "there is no usable MTA-STS record"];
    return id === stsId([value]) ? ["ok", ""] : [
      "different",
      "it names another policy: others go on with the one they know; publish the new id after every change",
    ];
  },
  "mta-sts-host": (found) => found.length > 0 ? ["ok", found.join(", ")] : MISSING,
  "tls-rpt": (found) =>
    found.length === 0
      ? ["missing", "nobody will tell you when TLS towards this server breaks"]
      : reportTargets(found).length > 0
      ? ["ok", found.join(" ")]
      : ["different", "it names no place that reports can be sent to"],
};

/** Readers take a single record; `fault` says what is wrong with it. */
function only(records: readonly string[], fault: (record: string) => string | null): Finding {
  const [record] = records;
  if (record === undefined) return MISSING;
  if (records.length > 1) return ["different", "there are several; readers take none of them"];
  const wrong = fault(record);
  return wrong === null ? ["ok", record] : ["different", wrong];
}
