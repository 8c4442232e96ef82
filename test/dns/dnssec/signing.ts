/** Zones signed in the test, with WebCrypto keys: what a server of them would send. */
import { type Message, RCODES, type ResourceRecord } from "../../../dns/message.ts";
import { labelCount } from "../../../dns/name.ts";
import { canonicalData, type RecordData, typeCode } from "../../../dns/rdata.ts";
import type { DnskeyData, DsData, RrsigData } from "../../../dns/rdata_dnssec.ts";
import { keyTag, signedData } from "../../../dns/dnssec/signature.ts";
import { nameOctets } from "../../../dns/name.ts";
import { rrsetsOf } from "../../../dns/rrset.ts";
import { webDnssecCrypto } from "../../../server/dns_crypto.ts";
import { record } from "../fake_network.ts";

/** 2026-06-01: the wall clock of these tests. */
export const NOW_SECONDS = 1_780_272_000;

export interface ZoneKey {
  readonly zone: string;
  readonly data: DnskeyData;
  readonly privateKey: CryptoKey;
}

export async function zoneKey(zone: string, flags = 257): Promise<ZoneKey> {
  const pair = await crypto.subtle.generateKey("Ed25519", true, ["sign", "verify"]) as CryptoKeyPair;
  const key = new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey));
  return {
    zone,
    data: { type: "DNSKEY", flags, protocol: 3, algorithm: 15, key },
    privateKey: pair.privateKey,
  };
}

export async function dsOf(key: ZoneKey): Promise<DsData> {
  const owner = nameOctets(key.zone)!, data = canonicalData(key.data);
  const digest = await webDnssecCrypto().digest(2, Uint8Array.of(...owner, ...data));
  return { type: "DS", keyTag: keyTag(key.data), algorithm: 15, digestType: 2, digest };
}

/** A set and its signature. `labels` fewer than the name has: made from a wildcard. */
export async function signed(
  key: ZoneKey,
  name: string,
  data: readonly RecordData[],
  options: { labels?: number; tag?: number; seconds?: number } = {},
): Promise<ResourceRecord[]> {
  const records = data.map((one) => record(name, one));
  const seconds = options.seconds ?? NOW_SECONDS;
  const head: RrsigData = {
    type: "RRSIG",
    covered: typeCode(data[0]!),
    algorithm: 15,
    labels: options.labels ?? labelCount(name) - (name.startsWith("*.") ? 1 : 0),
    originalTtlSeconds: 300,
    expiration: seconds + 86_400,
    inception: seconds - 86_400,
    keyTag: options.tag ?? keyTag(key.data),
    signer: key.zone,
    signature: new Uint8Array(0),
  };
  const octets = signedData(rrsetsOf(records)[0]!, head);
  const signature = new Uint8Array(await crypto.subtle.sign("Ed25519", key.privateKey, octets));
  return [...records, record(name, { ...head, signature })];
}

/** What a recursive server answers, by `name type`; anything else is an empty NOERROR. */
export function answering(
  replies: Readonly<Record<string, Partial<Message>>>,
): (query: Message) => Partial<Message> {
  return (query) => {
    const { name, type } = query.questions[0]!;
    return replies[`${name.toLowerCase()} ${type}`] ?? { rcode: RCODES.NOERROR };
  };
}
