// Takes pictures of every state of the builtin face, for the documentation: `cargo xtask pictures`.

import { mkdir } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import sharp from "sharp";
import { launch, open } from "./browser.ts";
import { Meeting } from "./meeting.ts";
import { pcm, syllables } from "./tones.ts";

const folder = fileURLToPath(new URL("../../docs/page/", import.meta.url));
await mkdir(folder, { recursive: true });
const meeting = await Meeting.open();
const browser = await launch();
// With steady chance the face never blinks while its picture is taken.
const { page } = await open(browser, meeting, (opening) =>
  opening.addInitScript(() => {
    Math.random = () => 0.95;
  }),
);
await meeting.hears("ready");

async function take(name: string, afterMs: number): Promise<void> {
  await page.waitForTimeout(afterMs);
  // A palette makes them a quarter of the size.
  await sharp(await page.screenshot())
    .png({ palette: true, colours: 160, effort: 10 })
    .toFile(`${folder}${name}.png`);
}

await take("idle", 600);
meeting.send({ type: "pose", pose: "listening" });
await take("listening", 1_200);
meeting.send({ type: "pose", pose: "thinking" });
await take("thinking", 1_200);
meeting.send({ type: "pose", pose: "listening" });
meeting.send({ type: "react", reaction: "interested" });
await take("interested", 1_400);
await page.waitForTimeout(2_000);
meeting.send({ type: "react", reaction: "nod" });
await take("nod", 380);
meeting.speak("utt_1", "pcm_24000", pcm(syllables(6)));
await meeting.hears("playing", { utterance_id: "utt_1" });
await take("speaking", 620);
await browser.close();
await meeting.close();
