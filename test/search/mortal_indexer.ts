/**
 * An indexer in a process of its own, to be killed: `mortal_indexer.ts FOLDER [PLACE]`. Kills itself before it puts in the message
 * of that place, counted from 1. Prints a line when it is done.
 */
import { IndexFile } from "../../search/index_file.ts";
import { IndexFolder } from "../../search/index_folder.ts";
import { Indexer } from "../../search/indexer.ts";
import { ALONE } from "../../search/pace.ts";
import { DataFolder } from "../../storage/data_folder.ts";
import { openStore } from "../../storage/open_store.ts";
import type { WriterPort } from "../../storage/writer.ts";

const folder = new DataFolder(Deno.args[0]!);
const writer: WriterPort = {
  submit: () => Promise.reject(new Error("an indexer does not write")),
  onChanges: () => () => {},
  close: () => Promise.resolve(),
};
const store = openStore({ folder, writer });
const indexer = new Indexer({
  store,
  folder: new IndexFolder(folder.indexes),
  pace: { ...ALONE, workMs: 5 },
  attachments: null,
});
let left = Number(Deno.args[1] ?? 0);
const { addPlace } = IndexFile.prototype;
IndexFile.prototype.addPlace = function (...args) {
  if (--left === 0) Deno.kill(Deno.pid, "SIGKILL");
  addPlace.apply(this, args);
};
console.log("started");
indexer.start();
await indexer.settle();
console.log("done");
await indexer.stop();
await store.close();
