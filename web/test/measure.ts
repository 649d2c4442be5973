// Measures the page: `node web/test/measure.ts`, after a build, on a machine that does nothing else.
//
// Sizes of what is served, the time until the page is there, and how much of one processor all of the browser's
// processes use while the page is seen, as they do in a bot.

import { readFile, readdir } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import type { Browser, CDPSession } from "playwright-core";
import { launch, open } from "./browser.ts";
import { DIST, Meeting } from "./meeting.ts";
import { Room } from "./room.ts";
import { pcm, syllables } from "./tones.ts";

const SPAN_MS = 10_000;

for (const name of await readdir(join(DIST, "bot"))) {
  const bytes = await readFile(join(DIST, "bot", name));
  console.log(`${name}: ${bytes.length} B, ${gzipSync(bytes).length} B gzip`);
}

const browser = await launch();
const meeting = await Meeting.open();
const tools = await browser.newBrowserCDPSession();
const empty = await load(tools);
console.log(`an empty browser: ${empty} % of a processor`);

for (const round of [1, 2, 3]) {
  const from = performance.now();
  const { page } = await open(browser, meeting);
  const ready = (await meeting.hears("ready")).at - from;
  const paints = await page.evaluate(() => performance.getEntriesByType("paint").map((entry) => entry.startTime));
  console.log(`start ${round}: first paint ${Math.round(paints[0] ?? 0)} ms, ready ${Math.round(ready)} ms`);
  meeting.said.clear();
  if (round < 3) await page.context().close();
}
for (const pose of ["idle", "listening", "thinking"]) {
  meeting.send({ type: "pose", pose });
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  console.log(`${pose}: ${await load(tools)} % of a processor`);
}
meeting.speak("utt_1", "pcm_24000", pcm(syllables(15)));
await meeting.hears("playing");
console.log(`speaking: ${await load(tools)} % of a processor`);
meeting.send({ type: "interrupt" });

const publishing = await launch();
const room = await Room.open(publishing, { colour: "#c02020", hertz: 440 });
meeting.send(room.invitation("las_1"));
const tracks = await meeting.hears("avatar.tracks");
console.log(`avatar: first frame after ${tracks["first_frame_ms"]} ms`);
console.log(`avatar: ${await load(tools)} % of a processor (640 × 360, 20 frames a second)`);
await room.close();
await close(publishing, browser);
await meeting.close();

/** How much of one processor the browser uses from now on, in percent. */
async function load(session: CDPSession): Promise<number> {
  const before = await processorSeconds(session);
  const from = performance.now();
  await new Promise((resolve) => setTimeout(resolve, SPAN_MS));
  const used = (await processorSeconds(session)) - before;
  return Math.round((used * 100_000) / (performance.now() - from));
}

async function processorSeconds(session: CDPSession): Promise<number> {
  const { processInfo } = await session.send("SystemInfo.getProcessInfo");
  return processInfo.reduce((sum, one) => sum + one.cpuTime, 0);
}

async function close(...browsers: Browser[]): Promise<void> {
  for (const one of browsers) await one.close();
}
