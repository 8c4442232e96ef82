/** `veredus sieve`: files without a server, scripts on the data. */
import assert from "node:assert/strict";
import { Shell } from "./shell.ts";
import { onTerminal, veredus, withFolder } from "./veredus.ts";

Deno.test("a script file is checked and tried without any server", () =>
  withFolder(async (folder) => {
    const [good, bad, message] = [`${folder}/good.sieve`, `${folder}/bad.sieve`, `${folder}/m.eml`];
    await Deno.writeTextFile(
      good,
      'require "fileinto";\nif header :contains "subject" "bill" { fileinto "Bills"; }\n',
    );
    await Deno.writeTextFile(bad, 'keep;\nblub;\nfileinto "x";\n');
    await Deno.writeTextFile(message, "Subject: your bill\r\n\r\nx\r\n");
    const checked = await veredus(["sieve", "check", good]);
    assert.deepEqual([checked.code, checked.stdout], [0, `${good}: no faults\n`]);
    const faulty = await veredus(["sieve", "check", bad]);
    assert.notEqual(faulty.code, 0);
    assert.equal(
      faulty.stdout,
      'line 2, column 1: there is no command blub\nline 3, column 1: fileinto needs require "fileinto"\n',
    );
    assert.equal(
      (await veredus(["sieve", "test", good, message])).stdout,
      'fileinto "Bills" (line 2: header :contains "subject" "bill")\n',
    );
    const json = JSON.parse((await veredus(["sieve", "test", good, message, "--json"])).stdout);
    assert.deepEqual([json.actions[0].mailbox, json.implicitKeep, json.fault], ["Bills", null, null]);
    assert.deepEqual(json.why, ['fileinto "Bills" (line 2: header :contains "subject" "bill")']);
    assert.match((await veredus(["sieve", "check", `${folder}/none`])).stderr, /none: /);
  }));

Deno.test("scripts of the server, a domain and an account are put, activated, shown and removed", () =>
  withFolder(async (folder) => {
    const shell = new Shell(`${folder}/data`);
    await shell.ok("domain add example.org");
    await shell.ok("account add ann@example.org --no-password");
    const file = `${folder}/s.sieve`;
    await Deno.writeTextFile(file, "keep;\r\n");
    for (const owner of ["after", "example.org"]) {
      await shell.ok(`sieve put ${owner} main ${file} --activate`);
      const [script] = await shell.json(`sieve list ${owner}`);
      assert.deepEqual([script.name, script.active], ["main", true]);
      assert.equal((await shell.ok(`sieve show ${owner} main`)).trim(), "keep;");
      await shell.ok(`sieve deactivate ${owner}`);
      await shell.ok(`sieve activate ${owner} main`);
      await shell.ok(`sieve deactivate ${owner}`);
      await shell.ok(`sieve remove ${owner} main`);
      assert.deepEqual(await shell.json(`sieve list ${owner}`), []);
    }
    await shell.ok(`sieve put ann@example.org main ${file}`);
    assert.match(await shell.ok("sieve run ann@example.org main --dry-run"), /0 messages, 0 would change/);
  }));

Deno.test("a run over existing mail tells how far it is, dry or not, and files each message once", () =>
  withFolder(async (folder) => {
    const shell = new Shell(`${folder}/data`);
    await shell.ok("domain add example.org");
    await shell.ok("account add ann@example.org --no-password");
    // More than two steps of a run.
    const messages = Array.from(
      { length: 450 },
      (_, i) =>
        `From x@y.test Mon Nov 23 10:00:00 2026\nFrom: x@y.test\nSubject: ${
          i % 3 === 0 ? "a bill" : "news"
        }\n` +
        `Message-ID: <${i}@y.test>\n\n${i}\n\n`,
    );
    await Deno.mkdir(`${folder}/mail`);
    await Deno.writeTextFile(`${folder}/mail/INBOX.mbox`, messages.join(""));
    await shell.ok(`import mbox ann@example.org ${folder}/mail`);
    const file = `${folder}/s.sieve`;
    await Deno.writeTextFile(
      file,
      'require ["fileinto", "mailbox"];\r\nif header :contains "subject" "bill" { fileinto :create "Bills"; }\r\n',
    );
    await shell.ok(`sieve put ann@example.org main ${file}`);
    const run = ["sieve", "run", "ann@example.org", "main", "--data", shell.data];
    const percents = (text: string) =>
      [...text.matchAll(/sieve [^%\r\n]* (\d+)% \|/g)].map(([, digits]) => Number(digits));
    const dry = await onTerminal([...run, "--dry-run"]);
    assert.equal(dry.code, 0, dry.stdout);
    // Steps of 200 of 450; the bar shows those that it has time for.
    const isProgress = (shown: number[]) => {
      assert.ok(shown.length >= 2 && shown.at(-1) === 100, shown.join());
      assert.deepEqual(shown, shown.toSorted((a, b) => a - b));
      assert.deepEqual(shown.filter((percent) => ![44, 88, 100].includes(percent)), []);
    };
    isProgress(percents(dry.stdout));
    assert.match(dry.stdout, /\.\.\. and 400 more\r?\n450 messages, 150 would change/);
    // What is moved away in between does not change how much there was.
    const real = await onTerminal(run);
    isProgress(percents(real.stdout));
    assert.match(real.stdout, /450 messages, 150 changed/);
    const again = await veredus([...run, "--json"]);
    const { looked, changed } = JSON.parse(again.stdout);
    assert.deepEqual([looked, changed, again.stderr], [300, 0, ""], "no bar where no terminal is");
    const bills = await veredus([...run, "--folder", "Bills", "--dry-run", "--json"]);
    assert.equal(JSON.parse(bills.stdout).looked, 150);
  }));
