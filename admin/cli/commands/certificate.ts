/** `veredus certificate`: client certificates that log in as an account. */
import { table, when } from "../output.ts";
import { type Commands, segment } from "../shell.ts";

interface Certificate {
  readonly fingerprint: string;
  readonly note: string;
  readonly createdAt: string;
}

export function certificateCommands(commands: Commands): void {
  const certificate = commands.program.command("certificate").description(
    "client certificates that log in as an account",
  );

  commands.leaf<{ note?: string }>(certificate, {
    usage: "add <address> <certificate>",
    about: "let a certificate log in: a PEM file, or its SHA-256 fingerprint in hex",
    create: true,
    work: async (shell, address = "", given = "") => {
      const secret = /^[0-9A-Fa-f:]{64,95}$/.test(given)
        ? { fingerprint: given }
        : { certificate: await Deno.readTextFile(given) };
      const body = { ...secret, ...(shell.options.note !== undefined && { note: shell.options.note }) };
      const path = `/accounts/${segment(address)}/certificates`;
      const added = await shell.send({ method: "POST", path, body }) as Certificate;
      shell.print(added, `added certificate ${added.fingerprint}`);
    },
  }).option("--note <TEXT>", "what it is for");

  commands.leaf(certificate, {
    usage: "list <address>",
    about: "list the certificates of an account",
    work: async (shell, address = "") => {
      const { items } = await shell.get(`/accounts/${segment(address)}/certificates`) as {
        items: readonly Certificate[];
      };
      shell.print(
        items,
        items.length === 0 ? "no certificates" : table(items, [
          ["FINGERPRINT", (row) => row.fingerprint],
          ["NOTE", (row) => row.note],
          ["ADDED", (row) => when(row.createdAt)],
        ]),
      );
    },
  });

  commands.leaf(certificate, {
    usage: "remove <address> <fingerprint>",
    about: "a certificate logs in no more",
    work: async (shell, address = "", fingerprint = "") => {
      const path = `/accounts/${segment(address)}/certificates/${segment(fingerprint)}`;
      await shell.send({ method: "DELETE", path });
      shell.print({ removed: fingerprint }, `removed certificate ${fingerprint}`);
    },
  });
}
