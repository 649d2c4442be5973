import assert from "node:assert/strict";
import { test } from "node:test";
import { SpeechQueue, type SpeechNote } from "../../bot/sound/speech_queue.ts";
import { tone } from "../tones.ts";

const BLOCK = 128;
/** The steepest step between two samples of the tones used here. */
const STEEPEST = 0.5 * ((2 * Math.PI * 440) / 24_000) * 1.05;

class Rig {
  readonly notes: SpeechNote[] = [];
  readonly queue = new SpeechQueue((note) => this.notes.push(note));
  #heard: number[] = [];

  open(id: number, ...chunks: Float32Array[]): void {
    this.queue.take({ kind: "open", id });
    for (const samples of chunks) this.queue.take({ kind: "append", id, samples });
  }

  end(id: number): void {
    this.queue.take({ kind: "end", id });
  }

  play(blocks: number): Float32Array {
    const from = this.#heard.length;
    for (let round = 0; round < blocks; round++) {
      const block = new Float32Array(BLOCK);
      this.queue.fill(block);
      this.#heard.push(...block);
    }
    return Float32Array.from(this.#heard.slice(from));
  }

  told(kind: SpeechNote["kind"]): SpeechNote[] {
    return this.notes.filter((note) => note.kind === kind);
  }
}

function steepest(samples: Float32Array): number {
  let most = 0;
  for (let at = 1; at < samples.length; at++) {
    most = Math.max(most, Math.abs((samples[at] as number) - (samples[at - 1] as number)));
  }
  return most;
}

test("utterances follow each other in the very next sample", () => {
  const whole = tone(440, 1);
  const rig = new Rig();
  rig.open(1, whole.subarray(0, 5_000), whole.subarray(5_000, 10_001));
  rig.end(1);
  rig.open(2, whole.subarray(10_001));
  rig.end(2);
  const heard = rig.play(200);
  // The first block fades in; from then on it is the tone, sample for sample.
  assert.deepEqual(heard.subarray(BLOCK, whole.length), whole.subarray(BLOCK));
  assert.deepEqual(rig.told("ended"), [
    { kind: "ended", id: 1, played: 10_001 },
    { kind: "ended", id: 2, played: 13_999 },
  ]);
});

test("sound that runs dry fades, waits for more, and loses nothing", () => {
  const whole = tone(440, 1);
  const rig = new Rig();
  rig.open(1, whole.subarray(0, 6_000));
  const before = rig.play(100);
  rig.queue.take({ kind: "append", id: 1, samples: whole.subarray(6_000) });
  rig.end(1);
  const after = rig.play(200);
  assert.ok(steepest(before) < STEEPEST + 0.5 / BLOCK, `a click of ${steepest(before)}`);
  assert.ok(steepest(after.subarray(0, 18_000)) < STEEPEST + 0.5 / BLOCK, "a click after the pause");
  assert.deepEqual(rig.told("ended"), [{ kind: "ended", id: 1, played: 24_000 }]);
});

test("an interruption fades within one block and tells how far each utterance came", () => {
  const rig = new Rig();
  rig.open(1, tone(440, 1));
  rig.end(1);
  rig.open(2, tone(440, 1));
  rig.play(50);
  rig.queue.take({ kind: "clear" });
  const last = rig.play(10);
  assert.ok(steepest(last) < STEEPEST + 0.5 / BLOCK, `a click of ${steepest(last)}`);
  assert.deepEqual(last.subarray(BLOCK), new Float32Array(9 * BLOCK));
  assert.deepEqual(rig.told("cleared"), [
    { kind: "cleared", id: 1, played: 51 * BLOCK },
    { kind: "cleared", id: 2, played: 0 },
  ]);
});

test("after an interruption the next utterance is heard from its beginning", () => {
  const rig = new Rig();
  rig.open(1, tone(440, 1));
  rig.play(20);
  rig.queue.take({ kind: "clear" });
  rig.play(1);
  // Late sound of what was interrupted belongs to nobody.
  rig.queue.take({ kind: "append", id: 1, samples: tone(440, 1) });
  rig.open(2, tone(440, 0.1));
  rig.end(2);
  rig.play(40);
  assert.deepEqual(rig.told("ended"), [{ kind: "ended", id: 2, played: 2_400 }]);
});

test("an interruption of silence changes nothing", () => {
  const rig = new Rig();
  rig.queue.take({ kind: "clear" });
  rig.open(1, tone(440, 0.1));
  rig.end(1);
  rig.play(30);
  assert.deepEqual(rig.told("cleared"), []);
  assert.equal(rig.told("ended").length, 1);
});

test("progress is told at the start and four times a second", () => {
  const rig = new Rig();
  rig.open(1, tone(440, 1));
  rig.end(1);
  rig.play(200);
  const played = rig.told("playing").map((note) => Math.round(note.played / 24));
  assert.deepEqual(played, [5, 256, 507, 757]);
});

test("an utterance without sound ends at once", () => {
  const rig = new Rig();
  rig.open(1);
  rig.end(1);
  rig.play(1);
  assert.deepEqual(rig.notes, [{ kind: "ended", id: 1, played: 0 }]);
});
