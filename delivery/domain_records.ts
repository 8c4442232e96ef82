/** The records for SPF, DKIM and DMARC that a domain of ours should have, and whether DNS has them. Pure. */
import { isDmarcRecord, parseDmarcRecord } from "../mailauth/dmarc_record.ts";
import { isSpfRecord, parseSpfRecord } from "../mailauth/spf_record.ts";
import type { DkimKeyRow } from "../storage/store.ts";
import { keyName, keyRecord } from "./dkim_keys.ts";

export interface WantedRecord {
  readonly name: string;
  readonly type: "TXT";
  readonly value: string;
  /** What it is for, in words. */
  readonly purpose: string;
}

export interface RecordCheck extends WantedRecord {
  readonly state: "ok" | "missing" | "different" | "unknown";
  readonly text: string;
}

export function wantedRecords(domain: string, keys: readonly DkimKeyRow[]): WantedRecord[] {
  return [
    { name: domain, type: "TXT", value: "v=spf1 mx -all", purpose: "SPF: the servers of its MX send for it" },
    ...keys.map((key): WantedRecord => ({
      ...{ name: keyName(key), type: "TXT", value: keyRecord(key) },
      purpose: `DKIM key, ${key.state}`,
    })),
    {
      ...{ name: `_dmarc.${domain}`, type: "TXT", purpose: "DMARC: what others should do with forgeries" },
      value: `v=DMARC1; p=none; rua=mailto:postmaster@${domain}`,
    },
  ];
}

/** `found`: the texts of TXT at that name; null where DNS did not answer. An operator's own SPF or DMARC is fine. */
export function checkRecord(wanted: WantedRecord, found: readonly string[] | null): RecordCheck {
  const is = (state: RecordCheck["state"], text: string): RecordCheck => ({ ...wanted, state, text });
  if (found === null) return is("unknown", "DNS did not answer");
  const kind = wanted.value.startsWith("v=spf1")
    ? "spf"
    : wanted.value.startsWith("v=DMARC1")
    ? "dmarc"
    : "dkim";
  const records = found.filter(kind === "spf" ? isSpfRecord : kind === "dmarc" ? isDmarcRecord : () => true);
  const [record] = records;
  if (record === undefined) return is("missing", "there is no such record");
  if (records.length > 1) return is("different", "there are several; readers take none of them");
  switch (kind) {
    case "spf":
      return parseSpfRecord(record) === null
        ? is("different", "it breaks the grammar of SPF")
        : is("ok", record);
    case "dmarc":
      return parseDmarcRecord(record) === null
        ? is("different", "it has no usable policy")
        : is("ok", record);
    case "dkim":
      return record.replace(/\s+/g, "") === wanted.value.replace(/\s+/g, "")
        ? is("ok", "")
        : is("different", "it holds another key");
    default:
      return kind satisfies never;
  }
}
