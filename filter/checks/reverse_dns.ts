/** Forward-confirmed reverse DNS: a name of the client's address that leads back to it (RFC 8601 2.7.3, iprev). */
import { run, type Steps, when } from "../../bytes/steps.ts";
import { canonicalAddress } from "../../dns/ip_address.ts";
import { reversedLabels } from "../address_block.ts";
import type { Check, ClientView } from "../check.ts";
import { type Lookup, recordsOf } from "../lookup.ts";
import { type Action, CONTINUE, type Verdict } from "../verdict.ts";

/** PTR names that are tried (RFC 7208 4.6.4 has the same limit). */
const MAX_NAMES = 10;

export function reverseDns({ lookup, action }: { lookup: Lookup; action: Action }): Check {
  function* judged(client: ClientView, notes: Map<string, string>): Steps<Verdict> {
    const { name, problem } = yield* confirmedName(client, lookup);
    if (name !== null) notes.set("reverse-name", name);
    return problem === null ? CONTINUE : { action, reason: problem, reply: replyOf(action, client) };
  }
  return {
    name: "reverse-dns",
    stages: ["connect"],
    run: ({ client, notes }) => run(judged(client, notes)),
  };
}

function* confirmedName(
  { address }: ClientView,
  lookup: Lookup,
): Steps<{ name: string | null; problem: string | null }> {
  const six = address.includes(":");
  const labels = reversedLabels(address);
  if (labels === null) return { name: null, problem: null };
  const pointers = recordsOf(
    yield* when(lookup.resolve(`${labels}.${six ? "ip6" : "in-addr"}.arpa`, "PTR")),
  );
  if (pointers === null) return { name: null, problem: null }; // nobody answered: that is not the client's fault
  if (pointers.length === 0) return { name: null, problem: `${address} has no name` };
  for (const { target } of pointers.slice(0, MAX_NAMES)) {
    const addresses = recordsOf(yield* when(lookup.resolve(target, six ? "AAAA" : "A")));
    if (addresses === null) return { name: null, problem: null };
    if (addresses.some((record) => isSame(record.address, address))) {
      return { name: target.toLowerCase(), problem: null };
    }
  }
  return { name: null, problem: `no name of ${address} leads back to it` };
}

/** As text at once, where both are written alike. */
function isSame(one: string, other: string): boolean {
  return one === other || canonicalAddress(one) === canonicalAddress(other);
}

/** RFC 7372 3.3: 5.7.25. */
function replyOf(action: Action, { address }: ClientView) {
  const text = `Reverse DNS of ${address} could not be confirmed`;
  return action === "defer"
    ? { code: 450, enhanced: "4.7.25", text }
    : { code: 550, enhanced: "5.7.25", text };
}
