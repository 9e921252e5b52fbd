// Reads interval logs with the reader of npm's `hdr-histogram-js`, for `read_hlog.py`. Arguments: the folder of its
// package, and the logs. Prints a JSON object for each log: its lines, and the percentiles of each tag.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";

const [folder, ...paths] = process.argv.slice(2);
const hdr = createRequire(join(resolve(folder), "/"))("hdr-histogram-js");

for (const path of paths) {
  const reader = new hdr.HistogramLogReader(readFileSync(path, "utf8"), 64);
  const lines = [];
  const tags = {};
  for (let read; (read = reader.nextIntervalHistogram()); ) {
    lines.push([read.tag, Math.round(read.startTimeStampMsec), read.totalCount]);
    tags[read.tag] ??= hdr.build({ highestTrackableValue: 7.2e12, numberOfSignificantValueDigits: 3 });
    tags[read.tag].add(read);
  }
  const percentiles = Object.entries(tags).map(([tag, all]) => [
    tag,
    [all.totalCount, ...[50, 95, 99].map((part) => all.getValueAtPercentile(part))],
  ]);
  console.log(JSON.stringify({ lines, tags: Object.fromEntries(percentiles) }));
}
