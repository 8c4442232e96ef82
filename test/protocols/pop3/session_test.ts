/** Transcripts of whole sessions, at every cut. */
import { testTranscripts } from "../../lib/transcript.ts";
import { parse, replay } from "./transcript.ts";

testTranscripts("pop3", { parse, replay });
