/** Transcripts of whole sessions, at every cut. */
import { testTranscripts } from "../../lib/transcript.ts";
import { parse, replay } from "./transcript.ts";

testTranscripts("smtp", { parse, replay });
testTranscripts("submission", { parse, replay });
