/** `veredus dkim`, `veredus report`, and what `veredus dns` says of a domain's records. */
import type { Command } from "commander";
import { confirm } from "../ask.ts";
import { cell, table } from "../output.ts";
import { type Commands, items, printList, segment } from "../shell.ts";

interface Key {
  readonly domain: string;
  readonly selector: string;
  readonly kind: string;
  readonly state: string;
  readonly recordName: string;
  readonly record: string;
}

interface Wanted {
  readonly name: string;
  readonly type: string;
  readonly value: string;
  readonly purpose: string;
}

interface Checked extends Wanted {
  readonly state: string;
  readonly text: string;
}

interface Line {
  readonly kind: string;
  readonly domain: string;
  readonly organization: string;
  readonly source: string;
  readonly count: number;
  readonly result: string;
  readonly detail: string;
  readonly end: string;
}

export function dkimCommands(commands: Commands): void {
  const dkim = commands.program.command("dkim").description("keys that sign for our domains");

  commands.leaf(dkim, {
    usage: "list <domain>",
    about: "keys of a domain and their records",
    work: async (shell, domain = "") => {
      const { items: keys } = await shell.get(`/dkim/${segment(domain)}`) as { items: Key[] };
      shell.print(
        keys,
        keys.length === 0 ? `no keys; veredus dkim add ${cell(domain)} makes them` : keysText(keys),
      );
    },
  });

  for (
    const [verb, about] of [
      ["add", "make keys for a domain; they sign once DNS shows their records"],
      ["rotate", "make new keys; older ones retire once DNS shows the records"],
    ] as const
  ) {
    commands.leaf<{ now?: boolean }>(dkim, {
      usage: `${verb} <domain>`,
      about,
      work: async (shell, domain = "") => {
        const body = { now: shell.options.now === true };
        const made = await shell.send({ method: "POST", path: `/dkim/${segment(domain)}`, body }) as {
          items: Key[];
        };
        shell.print(made.items, `made keys; publish these records:\n${keysText(made.items)}`);
      },
    }).option("--now", "sign at once, without waiting for DNS");
  }

  commands.leaf<{ yes?: boolean }>(dkim, {
    usage: "remove <domain> <selector>",
    about: "remove a key; mail on its way that it signed fails where its record goes too",
    work: async (shell, domain = "", selector = "") => {
      await confirm(`Remove the key ${selector} of ${domain}?`, shell.options.yes === true);
      await shell.send({ method: "DELETE", path: `/dkim/${segment(domain)}/${segment(selector)}` });
      shell.print({ removed: selector }, `removed the key ${selector} of ${domain}`);
    },
  }).option("--yes", "do not ask");

  const report = commands.program.command("report").description(
    "aggregate reports of others about our domains",
  );
  commands.leaf<{ json?: boolean; kind?: string; domain?: string; source?: string; result?: string }>(
    report,
    {
      usage: "list",
      about: "what others saw of our domains, newest first",
      work: async (shell) => {
        const { kind, domain, source, result } = shell.options;
        await printList(items<Line>(shell, "/reports", { kind, domain, source, result }), {
          json: shell.options.json === true,
          none: "no reports",
          table: (rows) =>
            table(rows, [
              ["END", (row) => row.end],
              ["KIND", (row) => row.kind],
              ["DOMAIN", (row) => row.domain],
              ["FROM", (row) => row.organization],
              ["SOURCE", (row) => row.source],
              ["COUNT", (row) => String(row.count)],
              ["RESULT", (row) => row.result],
              ["DETAIL", (row) => row.detail],
            ]),
        });
      },
    },
  ).option("--kind <KIND>", "dmarc or tls").option("--domain <NAME>", "about this domain")
    .option("--source <ADDRESS>", "seen from this address").option(
      "--result <RESULT>",
      "pass, fail or a TLS result",
    );
}

/** Below `veredus dns`. */
export function domainRecordCommands(commands: Commands, dns: Command): void {
  commands.leaf(dns, {
    usage: "records <domain>",
    about: "records that the domain should have: MX, SPF, DKIM, DMARC, TLSA, MTA-STS, TLS reports",
    work: async (shell, domain = "") => {
      const { items: records } = await shell.get(`/dns/records/${segment(domain)}`) as { items: Wanted[] };
      shell.print(records, records.map((one) => `; ${cell(one.purpose)}\n${zoneLine(one)}`).join("\n"));
    },
  });
  commands.leaf(dns, {
    usage: "check <domain>",
    about: "whether DNS has those records",
    work: async (shell, domain = "") => {
      const { items: checks } = await shell.get(`/dns/check/${segment(domain)}`) as { items: Checked[] };
      shell.print(
        checks,
        checks.map((check) => {
          const line = `${check.state.padEnd(10)} ${check.type.padEnd(5)} ${cell(check.name)}  ${
            cell(check.text)
          }`;
          return check.state === "missing" || check.state === "different"
            ? `${line}\n           publish: ${zoneLine(check)}`
            : line;
        }).join("\n"),
      );
    },
  });
}

function keysText(keys: readonly Key[]): string {
  return keys.map(({ state, recordName, record }) =>
    `; ${state}\n${zoneLine({ name: recordName, type: "TXT", value: record })}`
  ).join("\n");
}

/** As in a zone file; strings of a TXT record hold 255 octets (RFC 1035 3.3). */
function zoneLine({ name, type, value }: Pick<Wanted, "name" | "type" | "value">): string {
  if (type !== "TXT") return `${name}. ${type} ${value}`;
  return `${name}. ${type} ${(value.match(/.{1,255}/g) ?? [""]).map((part) => `"${part}"`).join(" ")}`;
}
