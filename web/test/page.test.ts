import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";
import type { Browser } from "playwright-core";
import { launch, open, type Opened } from "./browser.ts";
import { Meeting } from "./meeting.ts";
import { difference, portrait, type Portrait } from "./picture.ts";
import { MP3_TONE, pcm, tone } from "./tones.ts";

let browser: Browser;
let meeting: Meeting;

before(async () => {
  browser = await launch();
});
after(() => browser.close());
beforeEach(async () => {
  meeting = await Meeting.open();
});
afterEach(async () => {
  for (const context of browser.contexts()) await context.close();
  await meeting.close();
});

async function ready(): Promise<Opened> {
  const opened = await open(browser, meeting);
  await meeting.hears("ready");
  return opened;
}

test("the page greets its meeting, shows who it is, and complains about nothing", async () => {
  const { page, complaints } = await ready();
  assert.equal(await page.textContent("#name"), "Ada");
  assert.equal(await page.textContent("#company"), "Acme");
  const [upgrade] = meeting.upgrades;
  assert.equal(upgrade?.get("meeting_id"), "mtg_1");
  assert.equal(upgrade?.get("t"), "sealed-token-of-the-test");
  assert.deepEqual(complaints, []);
});

test("the token is nowhere in the URL, the history or the document", async () => {
  const { page } = await ready();
  assert.equal(page.url(), `${meeting.origin}/bot/`);
  assert.ok(!(await page.content()).includes("sealed-token"));
  assert.equal(await page.evaluate(() => history.length), 2);
  assert.equal(await page.evaluate(() => document.referrer), "");
});

test("a reload in the middle of a call is back within three seconds, with the same meeting", async () => {
  const { page } = await ready();
  meeting.said.clear();
  const from = performance.now();
  await page.reload();
  await meeting.hears("ready");
  assert.ok(performance.now() - from < 3_000, `${performance.now() - from} ms`);
  await meeting.left();
  assert.equal(meeting.upgrades.at(-1)?.get("t"), "sealed-token-of-the-test");
  assert.equal(meeting.sockets, 1);
});

test("a lost connection comes back by itself, and there is never a second one", async () => {
  await ready();
  for (let round = 1; round <= 3; round++) {
    meeting.said.clear();
    meeting.hangUp();
    await meeting.hears("ready");
    assert.equal(meeting.sockets, 1);
  }
  assert.equal(meeting.upgrades.length, 4);
});

test("a meeting that refuses is asked again at growing intervals, until it lets the page in", async () => {
  meeting.admits = false;
  await open(browser, meeting);
  await meeting.asked(4);
  const gaps = meeting.upgradedAt.slice(1).map((at, turn) => at - (meeting.upgradedAt[turn] as number));
  assert.ok((gaps[0] as number) > 200 && (gaps[2] as number) > (gaps[0] as number), `${gaps}`);
  meeting.admits = true;
  await meeting.hears("ready");
});

test("facts wait for the connection, and the greeting comes before them", async () => {
  await ready();
  meeting.begin("utt_1", "pcm_24000");
  meeting.hangUp();
  await meeting.hears("speak.failed", { utterance_id: "utt_1" });
  const types = meeting.said.all.map((said) => said.type);
  assert.deepEqual(types, ["ready", "ready", "speak.failed"]);
});

test("what is cut off in its middle is played as far as it came, and then told how far", async () => {
  await ready();
  meeting.begin("utt_1", "pcm_24000");
  meeting.audio(pcm(tone(440, 2)));
  await meeting.hears("playing", { utterance_id: "utt_1" });
  meeting.said.clear();
  meeting.hangUp();
  const told = await meeting.hears("speak.failed", { utterance_id: "utt_1" });
  assert.equal(told["played_ms"], 2_000);
  assert.equal(told["reason"], "the connection was lost");
  const types = meeting.said.all.map(({ type }) => type);
  assert.deepEqual([...new Set(types)], ["ready", "playing", "speak.failed"]);
});

test("what became of speech is said again on a new connection, as the last word may be lost", async () => {
  await ready();
  meeting.speak("utt_1", "pcm_24000", pcm(tone(440, 0.2)));
  await meeting.hears("spoken", { utterance_id: "utt_1" });
  meeting.speak("utt_2", "pcm_24000", pcm(tone(440, 20)));
  await meeting.hears("playing", { utterance_id: "utt_2" });
  meeting.said.clear();
  meeting.hangUp();
  await meeting.hears("playing", { utterance_id: "utt_2" });
  const told = meeting.said.all.map(({ type, utterance_id }) => [type, utterance_id]);
  assert.deepEqual(told, [
    ["ready", undefined],
    ["spoken", "utt_1"],
    ["playing", "utt_2"],
  ]);
});

test("a ping is answered, and a server that falls silent after one is left for a new connection", async () => {
  const { page } = await open(browser, meeting, (opening) => opening.clock.install());
  await page.clock.runFor(5_000);
  await meeting.hears("ready");
  meeting.send({ type: "ping" });
  await meeting.hears("pong");
  meeting.said.clear();
  await page.clock.fastForward(71_000);
  await meeting.hears("ready");
  await meeting.left();
  assert.equal(meeting.sockets, 1);
});

test("frames that mean nothing do no harm", async () => {
  await ready();
  meeting.sendRaw("{");
  meeting.sendRaw('{"type":"dance"}');
  meeting.audio(new Uint8Array([1, 2, 3]));
  meeting.send({ type: "ping" });
  await meeting.hears("pong");
});

/**
 * The figure so many milliseconds after `begin` was told, on a page of its own where time passes only for this and chance
 * is none: what differs between two such films is what was told.
 */
async function film(begin: () => void, moments: number[]): Promise<Portrait[]> {
  const { page } = await open(browser, meeting, async (opening) => {
    await opening.addInitScript(() => {
      Math.random = () => 0.5;
    });
    await opening.clock.install({ time: 0 });
  });
  await meeting.hears("ready");
  await page.clock.pauseAt(60_000);
  await page.clock.runFor(3_000);
  begin();
  meeting.send({ type: "ping" });
  await meeting.hears("pong");
  const pictures: Portrait[] = [];
  let passed = 0;
  for (const moment of moments) {
    await page.clock.runFor(moment - passed);
    passed = moment;
    pictures.push(await portrait(page));
  }
  await page.context().close();
  await meeting.left();
  meeting.said.clear();
  return pictures;
}

/** What two films of the same may differ by: the one may be a picture ahead of the other. */
const SAME = 0.01;
/** What anybody can see. */
const SEEN = 0.05;

test("each pose changes the picture", async () => {
  const settled = async (pose: string) => {
    const [only] = await film(() => meeting.send({ type: "pose", pose }), [1_200]);
    return only as Portrait;
  };
  const [idle, again, listening, thinking] = [
    await settled("idle"),
    await settled("idle"),
    await settled("listening"),
    await settled("thinking"),
  ];
  assert.ok(difference(idle, again) < SAME, `${difference(idle, again)}`);
  for (const [one, other] of [[idle, listening], [listening, thinking], [thinking, idle]] as const) {
    assert.ok(difference(one, other) > SEEN, `${difference(one, other)}`);
  }
});

for (const reaction of ["nod", "interested", "thinking"]) {
  test(`the reaction ${reaction} is seen, and passes`, async () => {
    meeting.hello = { ...meeting.hello, pose: "listening" };
    // Longer than a nod, until the other reactions are at their height, and after the end of all.
    const moments = [...Array.from({ length: 14 }, (_, index) => 100 * (index + 1)), 5_500];
    const calm = await film(() => {}, moments);
    const moved = await film(() => meeting.send({ type: "react", reaction }), moments);
    const differences = moved.map((picture, index) => difference(picture, calm[index] as Portrait));
    const after = differences.pop() as number;
    assert.ok(Math.max(...differences) > SEEN, `${differences}`);
    assert.ok(after < SAME, `${after}`);
  });
}

test("nothing piles up: after many utterances, gestures and connections the page is as small as before", async () => {
  const { page } = await ready();
  const tools = await page.context().newCDPSession(page);
  await tools.send("Performance.enable");
  const size = async () => {
    await tools.send("HeapProfiler.collectGarbage");
    const { metrics } = await tools.send("Performance.getMetrics");
    const value = (name: string) => metrics.find((metric) => metric.name === name)?.value ?? Number.NaN;
    return { heap: value("JSHeapUsedSize"), nodes: value("Nodes"), listeners: value("JSEventListeners") };
  };
  let spoken = 0;
  const live = async (rounds: number) => {
    for (let round = 0; round < rounds; round++) {
      meeting.said.clear();
      meeting.hangUp();
      await meeting.hears("ready");
      for (let number = 0; number < 20; number++) {
        meeting.speak(`utt_${++spoken}`, number % 2 ? "mp3" : "pcm_24000", number % 2 ? MP3_TONE : pcm(tone(440, 5)));
        meeting.send({ type: "react", reaction: "nod" });
      }
      meeting.send({ type: "interrupt" });
      await meeting.hears("playing", { utterance_id: `utt_${spoken}`, interrupted: true });
    }
  };
  await live(1);
  const before = await size();
  await live(4);
  const now = await size();
  assert.ok(now.heap - before.heap < 1_000_000, `${before.heap} B grew to ${now.heap} B`);
  assert.ok(now.nodes <= before.nodes + 2 && now.listeners <= before.listeners + 2, JSON.stringify([before, now]));
});
