/** The Worker of bench/writer.ts: the writer as the server has it. */
import { WriterPart } from "../server/writer_part.ts";

interface Scope {
  onmessage: (event: MessageEvent<{ readonly path: string; readonly port: MessagePort }>) => void;
  postMessage(message: null): void;
}

const scope = globalThis as unknown as Scope;
scope.onmessage = ({ data: { path, port } }) => {
  const part = new WriterPart(path, (reason) => {
    throw new Error(reason);
  });
  part.attach(port);
  scope.postMessage(null);
};
