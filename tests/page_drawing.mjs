// Draws documents of the review page, one a line of JSON, as the page does: levels of every pixel to stdout, one byte each.
import { createInterface } from "node:readline";

const folder = process.argv[2];
const { MaskDocument } = await import(`${folder}/document.js`);
const { weigh } = await import(`${folder}/render.js`);

for await (const line of createInterface({ input: process.stdin })) {
  const doc = await MaskDocument.open(JSON.parse(line));
  const xs = Int32Array.from({ length: doc.width }, (_, x) => x);
  const ys = Int32Array.from({ length: doc.height }, (_, y) => y);
  process.stdout.write(weigh(doc, xs, ys, doc.grid.growth_px, doc.addReach).levels);
}
