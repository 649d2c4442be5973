import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import type { Browser, Page } from "playwright-core";
import sharp from "sharp";
import { launch, open, type Opened } from "./browser.ts";
import { Meeting } from "./meeting.ts";
import { Room } from "./room.ts";
import { HEARD_RATE, LISTENING, Listener, loudest } from "./sound.ts";
import { pcm, pitch, rms, tone } from "./tones.ts";

const RED = { colour: "#c02020", hertz: 660 };
const BLUE = { colour: "#2040c0", hertz: 880 };

let browser: Browser;
let meeting: Meeting;
let rooms: Room[] = [];

function inBrowser(start: () => Promise<Browser>): void {
  before(async () => {
    browser = await start();
  });
  after(() => browser.close());
  beforeEach(async () => {
    meeting = await Meeting.open();
  });
  afterEach(async () => {
    for (const room of rooms.splice(0)) await room.close();
    for (const context of browser.contexts()) await context.close();
    await meeting.close();
  });
}

async function room(look = RED): Promise<Room> {
  const opened = await Room.open(browser, look);
  rooms.push(opened);
  return opened;
}

/** The page, and an avatar that it shows. */
async function shown(): Promise<Opened & { room: Room }> {
  const avatar = await room();
  const opened = await open(browser, meeting);
  await meeting.hears("ready");
  meeting.send(avatar.invitation("las_1"));
  await meeting.hears("avatar.tracks", { session: "las_1" });
  return { ...opened, room: avatar };
}

/** Waits until the page shows its own face, or the avatar. */
async function shows(page: Page, what: "face" | "avatar"): Promise<void> {
  await page.waitForSelector(`[data-shown="${what}"]`, { state: "attached" });
}

/** Whether red or blue prevails in the middle of what is shown. */
async function colour(page: Page): Promise<"red" | "blue" | "neither"> {
  const shot = await page.screenshot();
  const { dominant } = await sharp(shot).extract({ left: 320, top: 180, width: 640, height: 360 }).stats();
  if (dominant.r > 2 * dominant.b) return "red";
  return dominant.b > 2 * dominant.r ? "blue" : "neither";
}

/** How many frames the video in front shows until a second has passed. */
function framesInASecond(page: Page): Promise<number> {
  return page.evaluate(async () => {
    const video = document.querySelector<HTMLVideoElement>("video.shown");
    const before = video?.getVideoPlaybackQuality().totalVideoFrames ?? 0;
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    return (video?.getVideoPlaybackQuality().totalVideoFrames ?? 0) - before;
  });
}

describe("an avatar's room", () => {
  inBrowser(() => launch());

  test("the avatar fills the picture and moves, and the page complains about nothing", async () => {
    const { page, complaints } = await shown();
    const told = await meeting.hears("avatar.tracks");
    assert.ok(Number(told["first_frame_ms"]) > 0 && Number(told["first_frame_ms"]) < 5_000);
    await shows(page, "avatar");
    assert.equal(await colour(page), "red");
    assert.ok((await framesInASecond(page)) > 5);
    // The room's refusal of the newer way in is part of the play.
    const others = complaints.filter((text) => !text.includes("/rtc/v1") && !text.includes("404 (Not Found)"));
    assert.deepEqual(others, []);
  });

  test("with the microphone granted and no click, the avatar's sound is not blocked", async () => {
    const { page } = await shown();
    await page.waitForTimeout(1_500);
    assert.equal(meeting.heard("sound.blocked").length, 0);
    assert.equal(await page.evaluate(() => document.querySelector("video")?.muted), false);
  });

  test("a picture that stands still is told, the face takes over and speaks on, and hands back", async () => {
    const { page, room: avatar } = await shown();
    await avatar.freeze(true);
    await meeting.hears("video.frozen", { session: "las_1" });
    await shows(page, "face");
    await page.waitForSelector('[data-activity="speaking"]');
    await avatar.freeze(false);
    await shows(page, "avatar");
    assert.equal(meeting.heard("video.frozen").length, 1);
  });

  test("a session that ends is told with its reason, and the face takes over", async () => {
    const { page, room: avatar } = await shown();
    avatar.delete();
    const told = await meeting.hears("avatar.disconnected", { session: "las_1" });
    assert.equal(told["reason"], "room_deleted");
    await shows(page, "face");
    assert.equal(await page.locator("video").count(), 0);
    meeting.speak("utt_1", "pcm_24000", pcm(tone(440, 0.3)));
    await meeting.hears("spoken", { utterance_id: "utt_1" });
  });

  test("a lost signalling connection comes back without a break in the picture", async () => {
    const { page, room: avatar } = await shown();
    avatar.drop();
    await avatar.until("reconnected");
    assert.ok((await framesInASecond(page)) > 5);
    assert.equal(meeting.heard("avatar.disconnected").length + meeting.heard("video.frozen").length, 0);
    assert.equal(await page.getAttribute("body", "data-shown"), "avatar");
  });

  test("the page leaves when it is told to, and says nothing about it", async () => {
    const { page, room: avatar } = await shown();
    meeting.send({ type: "avatar.leave", session: "las_1" });
    await avatar.until("left");
    await shows(page, "face");
    assert.equal(await page.locator("video").count(), 0);
    assert.equal(meeting.heard("avatar.disconnected").length, 0);
  });

  test("a page that is left leaves the room, and does not call that a failure", async () => {
    const { page, room: avatar } = await shown();
    // As a browser does that takes its time to close.
    await page.evaluate(() => window.dispatchEvent(new Event("beforeunload")));
    await avatar.until("left");
    await page.goto("about:blank");
    await meeting.left();
    assert.equal(meeting.heard("avatar.disconnected").length, 0);
  });

  test("the same invitation again is no second visit, but all is told again, and first what was heard", async () => {
    const { room: avatar } = await shown();
    await meeting.hears("avatar.heard", { session: "las_1" });
    meeting.said.clear();
    meeting.send(avatar.invitation("las_1"));
    await meeting.hears("avatar.tracks", { session: "las_1" });
    const told = meeting.said.all.map(({ type }) => type);
    assert.deepEqual(told, ["avatar.heard", "avatar.tracks"]);
    assert.equal(avatar.count("joined"), 1);
  });

  test("an avatar that says nothing is not heard, and its first sound is told once", async () => {
    const avatar = await room();
    await avatar.hush(true);
    const { page } = await open(browser, meeting);
    await meeting.hears("ready");
    meeting.send(avatar.invitation("las_1"));
    await meeting.hears("avatar.tracks", { session: "las_1" });
    await page.waitForTimeout(1_500);
    assert.equal(meeting.heard("avatar.heard").length, 0);
    await avatar.hush(false);
    await meeting.hears("avatar.heard", { session: "las_1" });
    await page.waitForTimeout(1_000);
    assert.equal(meeting.heard("avatar.heard").length, 1);
  });

  test("a new session takes over only when it has a picture", async () => {
    const { page } = await shown();
    const next = await room(BLUE);
    next.hold();
    meeting.send(next.invitation("las_2"));
    await next.until("joined");
    await page.waitForTimeout(1_000);
    assert.equal(await colour(page), "red");
    next.release();
    await meeting.hears("avatar.tracks", { session: "las_2" });
    assert.equal(await colour(page), "blue");
    meeting.send({ type: "avatar.leave", session: "las_1" });
    await (rooms[0] as Room).until("left");
    assert.equal(await colour(page), "blue");
    assert.equal(await page.locator("video").count(), 1);
    assert.equal(meeting.heard("avatar.disconnected").length, 0);
  });

  test("never more than two rooms are open", async () => {
    const { page } = await shown();
    const second = await room(BLUE);
    second.hold();
    meeting.send(second.invitation("las_2"));
    await second.until("joined");
    meeting.send((await room(BLUE)).invitation("las_3"));
    await meeting.hears("avatar.tracks", { session: "las_3" });
    assert.equal(await page.locator("video").count(), 2);
  });

  test("a room that cannot be joined is told, and the face stays", async () => {
    const gone = await Room.open(browser, RED);
    const invitation = gone.invitation("las_1");
    await gone.close();
    const { page } = await open(browser, meeting);
    await meeting.hears("ready");
    meeting.send(invitation);
    const told = await meeting.hears("avatar.disconnected", { session: "las_1" });
    assert.equal(told["reason"], "join_failure");
    assert.equal(await page.getAttribute("body", "data-shown"), "face");
  });

  test("a reload shows the avatar again within seconds", async () => {
    const { page, room: avatar } = await shown();
    meeting.said.clear();
    const from = performance.now();
    await page.reload();
    await meeting.hears("ready");
    meeting.send(avatar.invitation("las_1"));
    await meeting.hears("avatar.tracks", { session: "las_1" });
    assert.ok(performance.now() - from < 5_000, `${performance.now() - from} ms`);
    assert.equal(await colour(page), "red");
  });
});

describe("the tab, as a bot records it", () => {
  inBrowser(() => launch({ microphone: false, arguments: LISTENING }));

  test("the avatar is heard", async () => {
    await shown();
    const listener = await Listener.start(browser, meeting);
    await listener.take();
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    const loud = loudest(await listener.take());
    assert.ok(rms(loud) > 0.1, `${rms(loud)}`);
    assert.ok(Math.abs(pitch(loud, HEARD_RATE) - 660) < 3, `${pitch(loud, HEARD_RATE)} Hz`);
  });
});

describe("a browser that blocks sound", () => {
  inBrowser(() => launch({ microphone: false }));

  test("an avatar that nobody hears is told", async () => {
    await shown();
    await meeting.hears("sound.blocked");
  });
});
