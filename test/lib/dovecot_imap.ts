/** Dovecot's imap program as a peer, already logged in, behind a port of loopback for one connection. */
import { run, runOk } from "./program.ts";
import { ImapClient } from "./imap_client.ts";

export interface DovecotImap {
  readonly client: ImapClient;
  /** Logs out and waits for the program's end. */
  stop(): Promise<void>;
}

/** Needs Debian's dovecot-imapd. Its mail goes into `folder`, a temporary one of the caller's. */
export async function dovecotImap(folder: string): Promise<DovecotImap> {
  const config = `${folder}/config`;
  await Deno.writeTextFile(
    config,
    `protocols =\nssl = no\nlog_path = ${folder}/log\nbase_dir = ${folder}/run\nmail_location = sdbox:~/mail\n`,
  );
  // It never works as root.
  const root = Deno.uid() === 0;
  if (root) {
    await runOk("chmod", ["755", folder]);
    await runOk("install", ["-o", "mail", "-g", "mail", "/dev/null", `${folder}/log`]);
    await runOk("install", ["-d", "-o", "mail", "-g", "mail", `${folder}/home`, `${folder}/run`]);
  }
  const as = root ? ["setpriv", "--reuid=mail", "--regid=mail", "--clear-groups", "doveadm"] : ["doveadm"];
  await run("doveadm", ["help"]); // says which package is missing
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const process = new Deno.Command(as[0]!, {
    args: [...as.slice(1), "-c", config, "exec", "imap"],
    env: { USER: "mail", HOME: `${folder}/home` },
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const accepted = listener.accept();
  const connecting = ImapClient.connect(listener.addr.port);
  const connection = await accepted;
  connection.setNoDelay(true);
  listener.close();
  const input = connection.readable.pipeTo(process.stdin, { preventClose: true });
  const output = process.stdout.pipeTo(connection.writable, { preventClose: true });
  const client = await connecting;
  return {
    client,
    stop: async () => {
      await client.logout();
      await Promise.all([input, output, process.status]);
      await process.stdin.close();
    },
  };
}
