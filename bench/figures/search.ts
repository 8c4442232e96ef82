/** A Maildir that is imported, and SEARCH TEXT in it: ours with its full-text index, the peer without one. */
import { fileURLToPath } from "node:url";
import { IndexFolder } from "../../search/index_folder.ts";
import { IndexReader } from "../../search/index_reader.ts";
import { DataFolder } from "../../storage/data_folder.ts";
import { number } from "../row.ts";
import { Failures, type Figure, inTurns, latencies, load, pause, READ, type Setting } from "../setting.ts";
import { CROWD, CROWD_SIZE, DOMAIN } from "../target.ts";

const MAIN = fileURLToPath(new URL("../../main.ts", import.meta.url));
/** The last of the crowd, whom nothing else is sent to but what all of them get. */
const OWNER = { prefix: CROWD, users: 1, first: CROWD_SIZE };
const RARE = "quixotry", MISS = "zymurgical", FRAGMENT = "nvoic";
const INDEXED_WITHIN_MS = 120_000;

let filled: { readonly setting: Setting; readonly seconds: number } | null = null;

/** The same Maildir on both sides, once for all searches; returns the seconds that our import took. */
async function fill(setting: Setting): Promise<number> {
  if (filled?.setting === setting) return filled.seconds;
  const { ours, peer, effort, folder } = setting;
  const source = `${folder}/searched`;
  Deno.mkdirSync(`${source}/cur`, { recursive: true });
  for (let i = 0; i < effort.searched; i++) {
    Deno.writeTextFileSync(
      `${source}/cur/${1_700_000_000 + i}.M${i}.bench:2,S`,
      messageText(i, effort.searched),
    );
  }
  if (peer !== null) {
    const mailbox = `${folder}/peer/mail/${OWNER.prefix}${OWNER.first}`;
    await run("sh", ["-c", 'rm -rf "$1" && cp -r "$0" "$1" && chown -R mail:mail "$1"', source, mailbox]);
  }
  const owner = `${OWNER.prefix}${OWNER.first}@${DOMAIN}`;
  const begin = performance.now();
  await run(Deno.execPath(), ["run", "-A", MAIN, "import", "maildir", owner, source, "--data", ours.data]);
  const seconds = (performance.now() - begin) / 1_000;
  await indexed(setting);
  filled = { setting, seconds };
  return seconds;
}

async function run(command: string, args: readonly string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(command, { args: [...args] }).output();
  if (!success) throw new Failures(`${command}: ${new TextDecoder().decode(stderr)}`);
}

/** 4 kB of words from 20,000, as in letters: some of them often, most of them seldom. */
function messageText(i: number, messages: number): string {
  let state = i + 1;
  const random = () => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0) / 2 ** 32;
  let text = `From: Sender ${i} <s${i % 97}@${DOMAIN}>\nTo: You <u@${DOMAIN}>\nSubject: Letter ${i}\n` +
    `Message-ID: <${i}@bench.test>\nDate: Sun, 22 Nov 2026 05:00:00 +0000\n\n`;
  if (i === messages - 7) text += `${RARE}\n`;
  for (let column = 0; text.length < 4_000;) {
    const word = wordOf(Math.floor(random() ** 3 * 20_000));
    text += word;
    column += word.length + 1;
    text += column > 68 ? "\n" : " ";
    if (column > 68) column = 0;
  }
  return text + "\ninvoice\n";
}

const SYLLABLES = "ka lo mi te ra su ne do vi pa en er in st re le ti on al or".split(" ");

function wordOf(number: number): string {
  let word = "";
  for (let rest = number + 20; rest > 0; rest = Math.floor(rest / 20)) word += SYLLABLES[rest % 20];
  return word;
}

async function indexed({ ours, effort }: Setting): Promise<void> {
  const folder = new IndexFolder(new DataFolder(ours.data).indexes);
  const reader = new IndexReader(folder);
  try {
    for (const end = Date.now() + INDEXED_WITHIN_MS; Date.now() < end; await pause(500)) {
      for (const accountId of folder.accounts().files) {
        const state = await reader.state(accountId);
        if (state !== null && state.messages >= effort.searched) return;
      }
    }
    throw new Failures(`no index of ${effort.searched} messages within ${INDEXED_WITHIN_MS} ms`);
  } finally {
    reader.close();
  }
}

function searchText(name: string, what: string, options: { word: string; least?: number }): Figure {
  return {
    name,
    when: "beside",
    measure: async (setting) => {
      const { word, least } = options;
      await fill(setting);
      const { secs } = setting.effort;
      const figures = await inTurns(setting, "per_s", (target) =>
        load(setting, "imap", {
          port: target.imap,
          options: { ...READ, ...OWNER, op: "searchtext", word, conns: 1, secs },
        }));
      return [{
        figure: name,
        what: `IMAP SEARCH TEXT in ${number(setting.effort.searched)} messages, ${what}`,
        unit: "/s",
        ours: figures.ours.per_s!,
        peer: figures.peer?.per_s ?? null,
        budget: least === undefined ? null : { kind: "ratio", least },
        note: latencies(figures),
      }];
    },
  };
}

/** The command from its start to its end, by the running server. */
const importing: Figure = {
  name: "import",
  when: "beside",
  measure: async (setting) => {
    const { searched } = setting.effort;
    const seconds = await fill(setting);
    return [{
      figure: "import",
      what: `veredus import maildir, ${number(searched)} messages of 4 kB`,
      unit: "/s",
      ours: searched / seconds,
      peer: null,
      budget: { kind: "least", least: 2_000 },
      note: "",
    }];
  },
};

export const SEARCHES: readonly Figure[] = [
  importing,
  searchText("search-rare", "a rare word", { word: RARE, least: 60 }),
  searchText("search-miss", "a miss", { word: MISS, least: 60 }),
  searchText("search-fragment", "a fragment of words in all", { word: FRAGMENT }),
];
