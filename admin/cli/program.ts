/**
 * The administrative commands: the same routes as the API, from the command line.
 *
 * Registered only when one of them (or help) is asked for; what they need is loaded when they run.
 */
import type { Command } from "commander";
import { accountCommands } from "./commands/account.ts";
import { addressCommands } from "./commands/address.ts";
import { aliasCommands } from "./commands/alias.ts";
import { backupCommands } from "./commands/backup.ts";
import { dataCommands } from "./commands/data.ts";
import { domainCommands } from "./commands/domain.ts";
import { groupCommands } from "./commands/group.ts";
import { dkimCommands } from "./commands/dkim.ts";
import { dnsCommands } from "./commands/dns.ts";
import { indexCommands } from "./commands/index.ts";
import { policyCommands } from "./commands/policy.ts";
import { recipientCommands } from "./commands/recipients.ts";
import { quarantineCommands } from "./commands/quarantine.ts";
import { queueCommands } from "./commands/queue.ts";
import { spamCommands } from "./commands/spam.ts";
import { sieveCommands } from "./commands/sieve.ts";
import { transferCommands } from "./commands/transfer.ts";
import { runningCommands } from "./commands/running.ts";
import { tokenCommands } from "./commands/token.ts";
import { type CliContext, CliFailure } from "./context.ts";
import { mailboxCommands } from "./commands/mailbox.ts";
import { certificateCommands } from "./commands/certificate.ts";
import { Commands } from "./shell.ts";

export function registerCommands(program: Command, context: CliContext): void {
  const commands = new Commands(program, context);
  domainCommands(commands);
  accountCommands(commands);
  addressCommands(commands);
  certificateCommands(commands);
  mailboxCommands(commands);
  aliasCommands(commands);
  indexCommands(commands);
  groupCommands(commands);
  queueCommands(commands);
  quarantineCommands(commands);
  policyCommands(commands);
  recipientCommands(commands);
  dkimCommands(commands);
  dnsCommands(commands);
  tokenCommands(commands);
  sieveCommands(commands);
  spamCommands(commands);
  runningCommands(commands);
  dataCommands(commands);
  backupCommands(commands);
  transferCommands(commands);
}

/** Failures of other layers whose words are for the operator, by name: their modules are loaded by few commands. */
const OF_OTHERS: Readonly<Record<string, CliFailure["exit"]>> = {
  BackupError: "failed",
  CannotBecome: "cannotStart",
  DataFolderUnusable: "unavailable",
};

/** Says what went wrong; returns how the process ends. Our own bugs are thrown on. */
export function report(error: unknown, json: boolean): CliFailure["exit"] {
  const failure = failureOf(error);
  if (failure === null) throw error;
  const { problem, message, exit } = failure;
  console.error(json && problem !== null ? JSON.stringify(problem) : `veredus: ${message}`);
  return exit;
}

function failureOf(error: unknown): CliFailure | null {
  if (error instanceof CliFailure) return error;
  const exit = error instanceof Error ? OF_OTHERS[error.name] : undefined;
  return exit === undefined ? null : new CliFailure((error as Error).message, { exit });
}
