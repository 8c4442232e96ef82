/** Lines of a program's output, one at a time. */
export class TextLineStream {
  #reader: ReadableStreamDefaultReader<string>;
  #rest: string;

  constructor(stream: ReadableStream<Uint8Array<ArrayBuffer>>) {
    this.#reader = stream.pipeThrough(new TextDecoderStream()).getReader();
    this.#rest = "";
  }

  async next(): Promise<string> {
    for (;;) {
      const end = this.#rest.indexOf("\n");
      if (end >= 0) {
        const line = this.#rest.slice(0, end);
        this.#rest = this.#rest.slice(end + 1);
        return line;
      }
      const { value, done } = await this.#reader.read();
      if (done) throw new Error("the program ended");
      this.#rest += value;
    }
  }
}
