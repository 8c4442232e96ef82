/** What mail asks of the web: policies (RFC 8461 3.3) and places for reports (RFC 8460 5.4). */
import { utf8 } from "../bytes/decode.ts";
import type { PostReport } from "../delivery/reports/sender.ts";
import { type FetchPolicy, StsFetchError } from "../delivery/security/sts_policies.ts";
import { HttpsError, type HttpsParts, httpsRequest } from "./https_client.ts";

const TIMEOUT_MS = 20_000;
/** RFC 8461 3.3 proposes 64 kB. */
const POLICY_OCTETS = 64 * 1024;
const ANSWER_OCTETS = 64 * 1024;

export function stsFetch(parts: HttpsParts): FetchPolicy {
  return async (domain) => {
    const host = `mta-sts.${domain}`;
    try {
      const { status, headers, body } = await httpsRequest(parts, {
        ...{ method: "GET", host, path: "/.well-known/mta-sts.txt" },
        ...{ timeoutMs: TIMEOUT_MS, bodyOctets: POLICY_OCTETS },
      });
      // RFC 8461 3.3: redirects are not followed.
      if (status !== 200) throw new StsFetchError("sts-policy-fetch-error", `${host} answers ${status}`);
      const type = headers.get("content-type") ?? "";
      if (!/^text\/plain\s*(?:;|$)/i.test(type)) {
        throw new StsFetchError("sts-policy-fetch-error", `the policy of ${host} is ${type || "of no type"}`);
      }
      return utf8(body);
    } catch (error) {
      if (!(error instanceof HttpsError)) throw error;
      throw new StsFetchError(
        error.certificate ? "sts-webpki-invalid" : "sts-policy-fetch-error",
        `${host}: ${error.message}`,
      );
    }
  };
}

export function tlsReportPost(parts: HttpsParts): PostReport {
  return async ({ host, path }, octets) => {
    const { status } = await httpsRequest(parts, {
      ...{ method: "POST", host, path, body: { type: "application/tlsrpt+gzip", octets } },
      ...{ timeoutMs: TIMEOUT_MS, bodyOctets: ANSWER_OCTETS },
    });
    return status >= 200 && status < 300;
  };
}
