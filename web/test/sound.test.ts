import assert from "node:assert/strict";
import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import type { Browser, Page } from "playwright-core";
import { launch, open } from "./browser.ts";
import { Meeting } from "./meeting.ts";
import { HEARD_RATE, LISTENING, Listener, loudest, recording, tap, tapped } from "./sound.ts";
import { MP3_TONE, RATE, pcm, pitch, rms, tone, wav } from "./tones.ts";

/** The steepest step between two samples of a tone of 440 Hz at half loudness. */
const STEEPEST = 0.5 * ((2 * Math.PI * 440) / RATE);

let browser: Browser;
let meeting: Meeting;

function inBrowser(start: () => Promise<Browser>): void {
  before(async () => {
    browser = await start();
  });
  after(() => browser.close());
  beforeEach(async () => {
    meeting = await Meeting.open();
  });
  afterEach(async () => {
    for (const context of browser.contexts()) await context.close();
    await meeting.close();
  });
}

describe("every sample", () => {
  inBrowser(() => launch());

  async function tappedPage(): Promise<Page> {
    const { page } = await open(browser, meeting, tap);
    await meeting.hears("ready");
    await recording(page);
    return page;
  }

  test("speech in many odd frames is played sample for sample", async () => {
    const page = await tappedPage();
    const said = tone(440, 3);
    meeting.speak("utt_1", "pcm_24000", pcm(said), 333);
    await meeting.hears("spoken", { utterance_id: "utt_1" });
    assertSame(sounding(await recorded(page)), said);
  });

  test("one utterance follows the other without a gap", async () => {
    const page = await tappedPage();
    const said = tone(440, 3);
    meeting.speak("utt_1", "pcm_24000", pcm(said.subarray(0, 30_001)));
    meeting.speak("utt_2", "pcm_24000", pcm(said.subarray(30_001)));
    await meeting.hears("spoken", { utterance_id: "utt_2" });
    assertSame(sounding(await recorded(page)), said);
    assert.deepEqual(
      meeting.heard("spoken").map((spoken) => spoken["utterance_id"]),
      ["utt_1", "utt_2"],
    );
  });

  test("mp3 is one steady tone from its first frame to its last", async () => {
    const page = await tappedPage();
    meeting.speak("utt_1", "mp3", MP3_TONE, 777);
    await meeting.hears("spoken", { utterance_id: "utt_1" });
    const heard = sounding(await recorded(page));
    assert.ok(Math.abs(heard.length / RATE - 4) < 0.08, `${heard.length / RATE} s`);
    const steady = heard.subarray(2_400, -2_400);
    assert.ok(Math.abs(pitch(steady, RATE) - 440) < 0.5, `${pitch(steady, RATE)} Hz`);
    const loud = rms(steady);
    assert.ok(loud > 0.2);
    // A seam would be a step, a hole or a burst.
    assert.ok(steepest(steady) < 1.15 * loud * Math.SQRT2 * ((2 * Math.PI * 440) / RATE), "a step");
    for (let from = 0; from + 240 <= steady.length; from += 240) {
      const part = rms(steady.subarray(from, from + 240));
      assert.ok(Math.abs(part / loud - 1) < 0.15, `${part} at ${from}, ${loud} overall`);
    }
  });

  test("an interruption is silent at once and tells how far it was heard", async () => {
    const page = await tappedPage();
    meeting.speak("utt_1", "pcm_24000", pcm(tone(440, 10)));
    meeting.speak("utt_2", "pcm_24000", pcm(tone(440, 10)));
    await meeting.said.until("half a second of speech", () =>
      meeting.heard("playing").find((said) => Number(said["played_ms"]) > 500),
    );
    const from = performance.now();
    meeting.send({ type: "interrupt" });
    const told = await meeting.hears("playing", { utterance_id: "utt_1", interrupted: true });
    const took = told.at - from;
    await meeting.hears("playing", { utterance_id: "utt_2", interrupted: true, played_ms: 0 });
    // Without a pause, what comes next would begin where the first was cut.
    await page.waitForTimeout(100);
    meeting.speak("utt_3", "pcm_24000", pcm(tone(440, 0.2)));
    await meeting.hears("spoken", { utterance_id: "utt_3" });
    const all = await recorded(page);
    const first = firstSound(all);
    const end = first + all.subarray(first).findIndex((_, at) => isSilent(all, first + at));
    const heardMs = ((end - first) * 1000) / RATE;
    assert.ok(Math.abs(heardMs - Number(told["played_ms"])) < 8, `${heardMs} and ${told["played_ms"]} ms`);
    assert.ok(steepest(all) < STEEPEST + 0.5 / 128, `a click of ${steepest(all)}`);
    assert.ok(took < 250, `${took} ms`);
    assert.equal(meeting.heard("spoken").length, 1);
  });

  test("late frames make a pause, never a click, and nothing is lost", async () => {
    const page = await tappedPage();
    const said = tone(440, 1.2);
    meeting.begin("utt_1", "pcm_24000");
    for (let part = 0; part < 4; part++) {
      meeting.audio(pcm(said.subarray(part * 7_200, (part + 1) * 7_200)));
      await page.waitForTimeout(600);
    }
    meeting.finish("utt_1");
    await meeting.hears("spoken", { utterance_id: "utt_1" });
    const all = await recorded(page);
    assert.ok(steepest(all) < STEEPEST + 0.5 / 128, `a click of ${steepest(all)}`);
    assert.ok(all.filter((sample) => sample !== 0).length > 0.98 * said.length);
  });

  test("progress is told from the first sound on, four times a second", async () => {
    await tappedPage();
    meeting.speak("utt_1", "pcm_24000", pcm(tone(440, 2)));
    await meeting.hears("spoken", { utterance_id: "utt_1" });
    const played = meeting.heard("playing").map((said) => Number(said["played_ms"]));
    assert.ok((played[0] as number) < 50);
    assert.equal(played.length, 8);
    assert.ok(played.every((ms, at) => at === 0 || ms - (played[at - 1] as number) < 300));
  });

  test("sound that cannot be decoded fails, and the next utterance is heard", async () => {
    await tappedPage();
    meeting.speak("utt_1", "mp3", new Uint8Array(5_000));
    meeting.speak("utt_2", "mp3", MP3_TONE);
    await meeting.hears("speak.failed", { utterance_id: "utt_1" });
    await meeting.hears("spoken", { utterance_id: "utt_2" });
  });

  test("more utterances than anybody would hear out are refused", async () => {
    await tappedPage();
    meeting.speak("utt_0", "pcm_24000", pcm(tone(440, 30)));
    for (let number = 1; number < 70; number++) {
      meeting.speak(`utt_${number}`, "pcm_24000", pcm(tone(440, 0.05)));
    }
    await meeting.hears("speak.failed", { utterance_id: "utt_64" });
    meeting.send({ type: "interrupt" });
    await meeting.hears("playing", { utterance_id: "utt_63", interrupted: true });
    assert.equal(meeting.heard("speak.failed").length, 6);
  });

  test("the mouth opens with the sound and the face says that it speaks", async () => {
    const page = await tappedPage();
    meeting.speak("utt_1", "pcm_24000", pcm(tone(440, 1)));
    await page.waitForSelector('[data-activity="speaking"]');
    await meeting.hears("spoken", { utterance_id: "utt_1" });
    await page.waitForSelector('[data-activity="idle"]');
  });
});

describe("the tab, as a bot records it", () => {
  inBrowser(() => launch({ microphone: false, arguments: LISTENING }));

  for (const [format, sound] of [
    ["pcm_24000", pcm(tone(440, 2))],
    ["mp3", MP3_TONE],
  ] as const) {
    test(`speech as ${format} is heard`, async () => {
      await open(browser, meeting);
      await meeting.hears("ready");
      const listener = await Listener.start(browser, meeting);
      meeting.speak("utt_1", format, sound);
      await meeting.hears("spoken", { utterance_id: "utt_1" });
      const loud = loudest(await listener.take());
      assert.ok(rms(loud) > 0.2, `${rms(loud)}`);
      assert.ok(Math.abs(pitch(loud, HEARD_RATE) - 440) < 2, `${pitch(loud, HEARD_RATE)} Hz`);
    });
  }
});

describe("the microphone", () => {
  inBrowser(async () => {
    const file = join(await mkdtemp(join(tmpdir(), "attache-page-")), "room.wav");
    await writeFile(file, wav(tone(500, 10, 48_000), 48_000));
    return launch({ heard: file });
  });

  test("what the room says arrives in frames of 100 ms at 16 kHz, when it is asked for", async () => {
    meeting.hello = { ...meeting.hello, microphone: true };
    await open(browser, meeting);
    await meeting.microphone.until("two seconds of sound", () => meeting.microphone.all[25]);
    const frames = meeting.microphone.all.slice(5, 25);
    assert.ok(frames.every((frame) => frame.length === 3_200));
    const samples = Float32Array.from({ length: 32_000 }, (_, at) => {
      const frame = frames[Math.floor(at / 1_600)] as Buffer;
      return frame.readInt16LE((at % 1_600) * 2) / 32_768;
    });
    assert.ok(rms(samples) > 0.2, `${rms(samples)}`);
    assert.ok(Math.abs(pitch(samples, 16_000) - 500) < 5, `${pitch(samples, 16_000)} Hz`);
  });

  test("nothing is sent unasked", async () => {
    const { page } = await open(browser, meeting);
    await meeting.hears("ready");
    await page.waitForTimeout(1_000);
    assert.equal(meeting.microphone.all.length, 0);
  });
});

describe("a browser that grants the microphone and was never clicked", () => {
  inBrowser(() => launch());

  test("sound is not blocked", async () => {
    await open(browser, meeting);
    await meeting.hears("ready");
    meeting.speak("utt_1", "pcm_24000", pcm(tone(440, 0.5)));
    await meeting.hears("spoken", { utterance_id: "utt_1" });
    assert.equal(meeting.heard("sound.blocked").length, 0);
  });
});

describe("a browser that blocks sound", () => {
  inBrowser(() => launch({ microphone: false }));

  test("it is said, and what waited is heard once somebody clicks", async () => {
    const { page } = await open(browser, meeting);
    await meeting.hears("sound.blocked");
    meeting.send({ type: "ping" });
    await meeting.hears("pong");
    assert.deepEqual(meeting.said.all.map((said) => said.type), ["ready", "sound.blocked", "pong"]);
    meeting.speak("utt_1", "pcm_24000", pcm(tone(440, 0.5)));
    await page.waitForTimeout(1_000);
    assert.equal(meeting.heard("playing").length, 0);
    await page.mouse.click(640, 360);
    await meeting.hears("spoken", { utterance_id: "utt_1" });
  });

  test("it is said again on every new connection", async () => {
    await open(browser, meeting);
    await meeting.hears("sound.blocked");
    meeting.said.clear();
    meeting.hangUp();
    await meeting.hears("sound.blocked");
    assert.deepEqual(meeting.said.all.map((said) => said.type), ["ready", "sound.blocked"]);
  });
});

/** All of the page's sound so far; waits for the last of it to be handed over. */
async function recorded(page: Page): Promise<Float32Array> {
  await page.waitForTimeout(300);
  return tapped(page);
}

function firstSound(samples: Float32Array): number {
  const first = samples.findIndex((sample) => sample !== 0);
  assert.notEqual(first, -1, "nothing was heard");
  return first;
}

/** From the first sample that is heard to the last. */
function sounding(samples: Float32Array): Float32Array {
  return samples.subarray(firstSound(samples), samples.findLastIndex((sample) => sample !== 0) + 1);
}

/** Whether 50 samples from here on are all zero. */
function isSilent(samples: Float32Array, from: number): boolean {
  return samples.subarray(from, from + 50).every((sample) => sample === 0);
}

function steepest(samples: Float32Array): number {
  let most = 0;
  for (let at = 1; at < samples.length; at++) {
    most = Math.max(most, Math.abs((samples[at] as number) - (samples[at - 1] as number)));
  }
  return most;
}

/** What was heard is what was said, but for the first block, which fades in. */
function assertSame(heard: Float32Array, said: Float32Array): void {
  // The first sample of a sine is silent, so the two may begin a sample apart.
  const shift = said.length - heard.length;
  assert.ok(shift >= 0 && shift <= 2, `${heard.length} samples of ${said.length}`);
  const worst = heard
    .subarray(128)
    .reduce((most, sample, at) => Math.max(most, Math.abs(sample - (said[at + 128 + Math.min(1, shift)] as number))), 0);
  assert.ok(worst < 1e-4, `off by ${worst}`);
}
