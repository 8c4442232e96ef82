/** What root does with folders for others. */
import assert from "node:assert/strict";
import { giveFolder } from "../../storage/data_folder.ts";

Deno.test({
  name: "root gives a folder away, and nothing that a link in its place leads to",
  ignore: Deno.uid() !== 0, // nobody else may give anything away
  fn: () => {
    const root = Deno.makeTempDirSync({ prefix: "veredus-give-" });
    try {
      const owner = { uid: 12_345, gid: 12_346 };
      Deno.mkdirSync(`${root}/made`);
      Deno.mkdirSync(`${root}/other`);
      Deno.symlinkSync(`${root}/other`, `${root}/link`);
      giveFolder(`${root}/made`, owner);
      assert.throws(() => giveFolder(`${root}/link`, owner));
      const ownerOf = (path: string) => {
        const { uid, gid } = Deno.statSync(path);
        return { uid, gid };
      };
      assert.deepEqual(ownerOf(`${root}/made`), owner);
      assert.equal(ownerOf(`${root}/other`).uid, 0);
    } finally {
      Deno.removeSync(root, { recursive: true });
    }
  },
});
