/** Entry of the Worker that takes text out of PDF; only here is that library loaded. */
import { pdfText } from "../search/extract/pdf.ts";
import { serveExtraction } from "./extract_side.ts";

serveExtraction(pdfText);
