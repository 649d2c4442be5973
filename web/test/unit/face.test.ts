import assert from "node:assert/strict";
import { test } from "node:test";
import { listen } from "../../bot/face/loudness.ts";
import { Motion, REACTION_MS, type Frame, type Mood } from "../../bot/face/motion.ts";
import { tone } from "../tones.ts";

const FRAME_MS = 1000 / 30;
const CALM: Mood = { pose: "idle", speaking: false, loudness: 0, brightness: 0 };

/** A source of chance that is the same in every run. */
function chance(): () => number {
  let state = 1;
  return () => {
    state = (state * 48_271) % 0x7fffffff;
    return state / 0x7fffffff;
  };
}

function run(motion: Motion, from: number, ms: number, mood: Mood): Frame[] {
  const frames = [];
  for (let now = from; now < from + ms; now += FRAME_MS) frames.push(motion.step(now, mood));
  return frames;
}

function last(frames: Frame[]): Frame {
  return frames.at(-1) as Frame;
}

test("the face blinks every few seconds, and opens its eyes again", () => {
  const lids = run(new Motion(chance()), 0, 60_000, { ...CALM, pose: "listening" }).map((frame) => frame.lids);
  const blinks = lids.filter((lid, at) => lid > 0.5 && (lids[at - 1] as number) <= 0.5).length;
  assert.ok(blinks >= 9 && blinks <= 30, `${blinks} blinks a minute`);
  assert.ok(lids.filter((lid) => lid > 0.5).length < lids.length / 20, "the eyes are open most of the time");
});

test("the face is never quite still", () => {
  const frames = run(new Motion(chance()), 0, 10_000, CALM);
  const ys = frames.map((frame) => frame.y);
  assert.ok(Math.max(...ys) - Math.min(...ys) > 3);
});

test("no change of pose is a jump", () => {
  const motion = new Motion(chance());
  let before = last(run(motion, 0, 1_000, CALM));
  for (const [turn, pose] of (["thinking", "listening", "idle", "thinking"] as const).entries()) {
    for (const frame of run(motion, 1_000 + 800 * turn, 800, { ...CALM, pose })) {
      for (const part of ["tilt", "yaw", "pitch", "browLeft", "browRight", "smile"] as const) {
        assert.ok(Math.abs(frame[part] - before[part]) < 0.25, `${part} jumps to ${pose}`);
      }
      before = frame;
    }
  }
});

test("poses can be told apart", () => {
  const settled = (pose: Mood["pose"]) => last(run(new Motion(chance()), 0, 2_000, { ...CALM, pose }));
  const [idle, listening, thinking] = [settled("idle"), settled("listening"), settled("thinking")];
  assert.ok(thinking.gazeY < -0.6 && Math.abs(listening.gazeY) < 0.3, "who thinks looks up");
  assert.ok(listening.browLeft - idle.browLeft > 0.25, "who listens raises the brows");
});

test("the mouth opens with the sound and closes with silence", () => {
  const motion = new Motion(chance());
  const speaking = { ...CALM, speaking: true };
  const loud = last(run(motion, 0, 200, { ...speaking, loudness: 0.9 }));
  const quiet = last(run(motion, 200, 400, speaking));
  assert.ok(loud.mouthOpen > 0.8 && quiet.mouthOpen < 0.05);
});

test("a nod goes down twice and comes back", () => {
  const motion = new Motion(chance());
  run(motion, 0, 1_000, CALM);
  motion.react("nod", 1_000);
  const pitches = run(motion, 1_000, REACTION_MS.nod + 200, CALM).map((frame) => frame.pitch);
  const dips = pitches.filter((pitch, at) => pitch > 0.4 && (pitches[at - 1] ?? 0) <= 0.4).length;
  assert.equal(dips, 2);
  assert.ok(Math.abs(pitches.at(-1) as number) < 0.15);
});

test("interest widens the eyes and passes", () => {
  const motion = new Motion(chance());
  run(motion, 0, 1_000, CALM);
  motion.react("interested", 1_000);
  const during = last(run(motion, 1_000, 1_400, CALM));
  const after = last(run(motion, 2_400, 3_000, CALM));
  assert.ok(during.widen > 0.4 && during.browLeft > 0.85 && during.smile > 0.85);
  assert.ok(after.widen < 0.05 && after.browLeft < 0.1);
});

test("loudness runs from silence to full, and brightness tells a hiss from a hum", () => {
  assert.equal(listen(new Float32Array(512), 24_000).loudness, 0);
  const half = listen(tone(200, 0.05, 24_000, 0.05), 24_000).loudness;
  assert.ok(half > 0.2 && half < 0.8, `${half}`);
  assert.equal(listen(tone(200, 0.05, 24_000, 0.9), 24_000).loudness, 1);
  assert.ok(listen(tone(5_000, 0.05), 24_000).brightness > 0.9);
  assert.ok(listen(tone(200, 0.05), 24_000).brightness < 0.2);
});
