/** Worker entry: a front end that dies of an error nobody catches when a file asks for it. */
import { DataFolder } from "../../storage/data_folder.ts";
import { connectWriter } from "../../storage/writer_port.ts";
import { FrontendPart } from "../../server/frontend_part.ts";
import { runWorker } from "../../server/threads/worker_side.ts";

runWorker(({ settings, writer, ...sharing }) => {
  const wish = `${new DataFolder(settings.config.data).run}/die`;
  setInterval(() => {
    try {
      Deno.removeSync(wish);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return;
      throw error;
    }
    throw new Error("died as asked");
  }, 20);
  return FrontendPart.open(settings, { ...sharing, writer: connectWriter(writer!) });
});
