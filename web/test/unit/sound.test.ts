import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { Mp3Reader } from "../../bot/sound/mp3.ts";
import { PcmReader, toPcm } from "../../bot/sound/pcm.ts";
import { Resampler } from "../../bot/sound/resampler.ts";
import { pcm, pitch, rms, tone } from "../tones.ts";

/** Cuts of many sizes, odd ones among them, the same in every run. */
function* cuts<T extends Uint8Array | Float32Array>(whole: T, sizes = [1, 2, 7, 640, 3, 1, 4801]): Generator<T> {
  for (let at = 0, turn = 0; at < whole.length; turn++) {
    const size = sizes[turn % sizes.length] as number;
    yield whole.subarray(at, at + size) as T;
    at += size;
  }
}

function joined(parts: Float32Array[]): Float32Array {
  return Float32Array.from(parts.flatMap((part) => [...part]));
}

test("samples are the same however the bytes are cut", () => {
  const bytes = pcm(tone(440, 1));
  const reader = new PcmReader();
  const read = joined([...cuts(bytes)].map((piece) => reader.push(piece)));
  assert.deepEqual(read, new PcmReader().push(bytes));
  assert.equal(read.length, 24_000);
});

test("samples survive the way out and in again, and what is too loud is clipped", () => {
  const read = new PcmReader().push(new Uint8Array(toPcm(Float32Array.of(0, 0.5, -1, 3, -3))));
  for (const [at, expected] of [0, 0.5, -1, 1, -1].entries()) {
    assert.ok(Math.abs((read[at] as number) - expected) < 1e-4);
  }
});

for (const [from, to] of [
  [22_050, 24_000],
  [44_100, 24_000],
  [24_000, 16_000],
  [48_000, 16_000],
] as const) {
  test(`a tone stays itself from ${from} to ${to} Hz, and no cut is heard`, () => {
    const input = tone(1_000, 1, from);
    const whole = new Resampler(from, to);
    const once = joined([whole.push(input), whole.flush()]);
    const pieces = new Resampler(from, to);
    const cut = joined([...[...cuts(input)].map((piece) => pieces.push(piece)), pieces.flush()]);
    assert.deepEqual(cut, once);
    assert.ok(Math.abs(once.length - to) <= 2, `${once.length} samples`);
    const steady = once.subarray(200, once.length - 200);
    const expected = tone(1_000, 1, to).subarray(200, once.length - 200);
    const error = steady.map((sample, at) => sample - (expected[at] as number));
    assert.ok(rms(error) < 0.001, `error ${rms(error)}`);
  });
}

test("what the lower rate cannot carry does not come back as another tone", () => {
  const resampler = new Resampler(48_000, 16_000);
  const high = resampler.push(tone(11_000, 1, 48_000));
  assert.ok(rms(high.subarray(200)) < 0.001, `left: ${rms(high.subarray(200))}`);
});

for (const [file, rate, samples] of [
  ["speech_22050_32.mp3", 22_050, 576],
  ["speech_44100_128.mp3", 44_100, 1_152],
] as const) {
  test(`every frame of ${file} is found however the bytes are cut`, async () => {
    const bytes = new Uint8Array(
      await readFile(new URL(`../../../crates/simulator/assets/${file}`, import.meta.url)),
    );
    const whole = new Mp3Reader().push(bytes);
    const reader = new Mp3Reader();
    const cut = [...cuts(bytes)].flatMap((piece) => reader.push(piece));
    assert.deepEqual(cut, whole);
    assert.ok(whole.length > 100);
    for (const frame of whole) {
      assert.deepEqual([frame.sampleRate, frame.channels, frame.samples], [rate, 1, samples]);
    }
    const carried = whole.reduce((sum, frame) => sum + frame.data.length, 0);
    assert.ok(bytes.length - carried < 600, `${bytes.length - carried} bytes are in no frame`);
  });
}

test("tags before the sound are passed over", async () => {
  const bytes = new Uint8Array(
    await readFile(new URL("../../../crates/simulator/assets/speech_22050_32.mp3", import.meta.url)),
  );
  const tag = new Uint8Array(10 + 300).fill(0xff);
  tag.set([0x49, 0x44, 0x33, 4, 0, 0, 0, 0, 2, 44]);
  const tagged = new Uint8Array([...tag, ...bytes]);
  assert.deepEqual(new Mp3Reader().push(tagged), new Mp3Reader().push(bytes));
});

test("what is no mp3 is refused instead of kept for ever", () => {
  const reader = new Mp3Reader();
  assert.throws(() => {
    for (let round = 0; round < 100; round++) reader.push(new Uint8Array(8_192));
  }, /no mp3 frames/);
});

test("the helpers measure what they should", () => {
  assert.ok(Math.abs(pitch(tone(440, 1), 24_000) - 440) < 0.1);
  assert.ok(Math.abs(rms(tone(440, 1)) - 0.5 / Math.SQRT2) < 0.001);
});
