/** Entry of the Worker that takes text out of office files and RTF. */
import { documentText } from "../search/extract/document.ts";
import { serveExtraction } from "./extract_side.ts";

serveExtraction(documentText);
