/** `veredus dns`: what the resolver of the server finds. */
import type { DnsReport } from "../../../dns/report.ts";
import { cell } from "../output.ts";
import type { Commands } from "../shell.ts";
import { domainRecordCommands } from "./dkim.ts";

export function dnsCommands(commands: Commands): void {
  const dns = commands.program.command("dns").description("the resolver");
  commands.leaf<{ trace?: boolean }>(dns, {
    usage: "query <name> [type]",
    about: "look a name up as the server does (type A unless told)",
    work: async (shell, name = "", type = "A") => {
      const trace = shell.options.trace === true;
      const query = new URLSearchParams({ name, type, trace: String(trace) });
      const report = await shell.get(`/dns/query?${query}`) as DnsReport;
      shell.print(report, reportText(report));
    },
  }).option("--trace", "show each step; nothing is taken from the cache");
  domainRecordCommands(commands, dns);
}

export function reportText(report: DnsReport): string {
  const { name, type, result, security, reason, detail, canonicalName, ttlSeconds, records, elapsedMs } =
    report;
  const lines = report.steps.map(({ atMs, text }) => `${String(atMs).padStart(6)} ms  ${cell(text)}`);
  if (lines.length > 0) lines.push("");
  const alias = canonicalName === name ? "" : ` (alias of ${cell(canonicalName)})`;
  lines.push(
    `${cell(name)} ${type}: ${result}, ${security}${alias}, ${ttlSeconds} s to live, ${elapsedMs} ms`,
  );
  if (detail !== "") lines.push(`  ${cell(detail)}`);
  if (reason !== null) lines.push(`  reason ${reason.code}: ${cell(reason.text)}`);
  for (const record of records) lines.push(`  ${cell(record)}`);
  return lines.join("\n");
}
