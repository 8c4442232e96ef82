/** Scanners of Debian on loopback, with rules and signatures that a test makes: clamd, c-icap, spamd, rspamd. */
import { freePort } from "./ports.ts";
import { until } from "./program.ts";

/** Texts that the signatures of {@linkcode startClamd} know. */
export const VIRUS = "VEREDUS-TEST-VIRUS-A";
export const UNWANTED = "VEREDUS-TEST-TOOL-A";
/** clamd is told to look no further into one file, and to take no more in one stream. */
export const CLAMD_FILE_OCTETS = 300_000, CLAMD_STREAM_OCTETS = 1_000_000;
/** Every filter of spam knows it. */
export const GTUBE = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X";

export interface Scanner {
  readonly port: number;
  /** Of its Unix socket; "" without. */
  readonly socket: string;
  stop(): Promise<void>;
}

export async function startClamd(): Promise<Scanner> {
  const folder = await Deno.makeTempDir({ prefix: "veredus-clamd-" });
  const port = freePort();
  const socket = `${folder}/clamd.sock`;
  await Deno.mkdir(`${folder}/db`);
  await Deno.writeTextFile(`${folder}/db/test.ndb`, `Test.Virus-1:0:*:${hex(VIRUS)}\n`);
  await Deno.writeTextFile(`${folder}/db/test.ndu`, `PUA.Test.Tool:0:*:${hex(UNWANTED)}\n`);
  await Deno.writeTextFile(
    `${folder}/clamd.conf`,
    [
      `LocalSocket ${socket}`,
      `TCPSocket ${port}`,
      "TCPAddr 127.0.0.1",
      `DatabaseDirectory ${folder}/db`,
      "Foreground yes",
      `StreamMaxLength ${CLAMD_STREAM_OCTETS}`,
      `MaxFileSize ${CLAMD_FILE_OCTETS}`,
      "AlertExceedsMax yes",
      "DetectPUA yes",
      "",
    ].join("\n"),
  );
  return await started("/usr/sbin/clamd", ["-c", `${folder}/clamd.conf`], { port, socket, folder });
}

/** With the virus_scan service over that clamd. `trickle`: it sends messages back while it scans them. */
export async function startIcap(
  clamd: Scanner,
  { trickle }: { readonly trickle: boolean },
): Promise<Scanner> {
  const folder = await Deno.makeTempDir({ prefix: "veredus-icap-" });
  const port = freePort();
  const modules = [...Deno.readDirSync("/usr/lib")].map(({ name }) => `/usr/lib/${name}/c_icap`).find(exists);
  if (modules === undefined) throw new Error("c-icap is not installed: apt-get install c-icap");
  await Deno.writeTextFile(
    `${folder}/c-icap.conf`,
    [
      `PidFile ${folder}/pid`,
      `CommandsSocket ${folder}/control`,
      "StartServers 1",
      "MaxServers 1",
      "MinSpareThreads 2",
      "MaxSpareThreads 10",
      "ThreadsPerChild 5",
      `Port 127.0.0.1:${port}`,
      "ServerAdmin postmaster@example.test",
      "ServerName icap.example.test",
      `TmpDir ${folder}`,
      `ModulesDir ${modules}`,
      `ServicesDir ${modules}`,
      "TemplateDir /usr/share/c_icap/templates/",
      "TemplateDefaultLanguage en",
      "LoadMagicFile /etc/c-icap/c-icap.magic",
      `ServerLog ${folder}/log`,
      "Module common clamd_mod.so",
      `clamd_mod.ClamdSocket ${clamd.socket}`,
      "Service antivirus_module virus_scan.so",
      "virus_scan.ScanFileTypes TEXT DATA EXECUTABLE ARCHIVE GIF JPEG MSOFFICE UNKNOWN",
      "virus_scan.MaxObjectSize 5M",
      "virus_scan.DefaultEngine clamd",
      "virus_scan.SendPercentData 5",
      `virus_scan.StartSendPercentDataAfter ${trickle ? "0" : "2M"}`,
      "",
    ].join("\n"),
  );
  const args = ["-N", "-D", "-f", `${folder}/c-icap.conf`];
  return await started("/usr/bin/c-icap", args, { port, socket: "", folder });
}

export async function startSpamd(): Promise<Scanner> {
  const folder = await Deno.makeTempDir({ prefix: "veredus-spamd-" });
  const port = freePort();
  await Deno.chmod(folder, 0o755); // it reads its rules as nobody
  await Deno.writeTextFile(`${folder}/init.pre`, "loadplugin Mail::SpamAssassin::Plugin::Check\n");
  await Deno.writeTextFile(
    `${folder}/local.cf`,
    "use_bayes 0\nbody TEST_GTUBE /GTUBE-STANDARD/\nscore TEST_GTUBE 20\n",
  );
  const args = [
    ...["--local", "--nouser-config", "--max-children=2", "--listen", "127.0.0.1", "--port", String(port)],
    ...[
      "--siteconfigpath",
      folder,
      "--configpath",
      folder,
      "--syslog",
      "stderr",
      "--helper-home-dir",
      folder,
    ],
  ];
  return await started("/usr/sbin/spamd", args, { port, socket: "", folder });
}

export async function startRspamd(): Promise<Scanner> {
  const folder = await Deno.makeTempDir({ prefix: "veredus-rspamd-" });
  const port = freePort();
  await Deno.writeTextFile(`${folder}/tld`, "example\ntest\n");
  await Deno.writeTextFile(
    `${folder}/rspamd.conf`,
    `options { pidfile = "${folder}/pid"; filters = ""; url_tld = "${folder}/tld"; tempdir = "${folder}";
      enable_test_patterns = true; control_socket = "${folder}/control mode=0600";
      dns { nameserver = ["127.0.0.1:1"]; timeout = 0.1s; retransmits = 1; } }
    logging { type = "console"; level = "error"; }
    actions { reject = 15; add_header = 6; }
    worker "normal" { bind_socket = "127.0.0.1:${port}"; count = 1; }\n`,
  );
  const args = ["-f", "-i", "-c", `${folder}/rspamd.conf`];
  return await started("/usr/bin/rspamd", args, { port, socket: "", folder });
}

async function started(
  program: string,
  args: readonly string[],
  { port, socket, folder }: { readonly port: number; readonly socket: string; readonly folder: string },
): Promise<Scanner> {
  if (!isFile(program)) {
    throw new Error(`${program} is not installed: apt-get install ${PACKAGES[program]}`);
  }
  const child = new Deno.Command(program, { args: [...args], stdout: "null", stderr: "null" }).spawn();
  let ended = false;
  child.status.then(() => ended = true);
  const stop = async () => {
    if (!ended) child.kill("SIGTERM");
    await child.status;
    await Deno.remove(folder, { recursive: true });
  };
  try {
    await until(`${program} listens`, async () => {
      if (ended) throw new Error(`${program} ended`);
      const connection = await Deno.connect({ hostname: "127.0.0.1", port }).catch(() => null);
      connection?.close();
      return connection !== null;
    }, 60_000);
  } catch (error) {
    await stop();
    throw error;
  }
  return { port, socket, stop };
}

function hex(text: string): string {
  return [...text].map((character) => character.charCodeAt(0).toString(16).padStart(2, "0")).join("");
}

const PACKAGES: Readonly<Record<string, string>> = {
  "/usr/sbin/clamd": "clamav-daemon",
  "/usr/bin/c-icap": "c-icap libc-icap-mod-virus-scan",
  "/usr/sbin/spamd": "spamd",
  "/usr/bin/rspamd": "rspamd",
};

function isFile(path: string): boolean {
  return kindOf(path)?.isFile ?? false;
}

function exists(path: string): boolean {
  return kindOf(path)?.isDirectory ?? false;
}

function kindOf(path: string): Deno.FileInfo | null {
  try {
    return Deno.statSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return null;
    throw error;
  }
}
