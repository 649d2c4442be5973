// The utterances that the sound thread plays, one after the other, sample for sample.
//
// Guarantees: the samples of an utterance leave in order and without a gap as long as they come in time, and the
// next utterance follows in the very next sample; where sound must stop (an interruption, or a stream that has run
// dry) it fades within one block, so nothing clicks. It knows no clock: it counts samples.

/** What the sound thread is told. */
export type SpeechOrder =
  | { kind: "open"; id: number }
  | { kind: "append"; id: number; samples: Float32Array }
  | { kind: "end"; id: number }
  | { kind: "clear" };

/** What the sound thread tells. `played` counts samples. */
export interface SpeechNote {
  kind: "playing" | "ended" | "cleared";
  id: number;
  played: number;
}

interface Utterance {
  id: number;
  chunks: Float32Array[];
  /** Samples of the first chunk that are played. */
  offset: number;
  buffered: number;
  played: number;
  told: number;
  ended: boolean;
}

/** An utterance starts, or goes on after running dry, with this much in hand: 80 ms, a few network packets. */
const START_SAMPLES = 24 * 80;
/** How often progress is told: four times a second. */
const TELL_SAMPLES = 24 * 250;

/** The queue, filled by orders and emptied block by block. */
export class SpeechQueue {
  readonly #tell: (note: SpeechNote) => void;
  #utterances: Utterance[] = [];
  #clearing = false;
  /** Whether sound is flowing; while it is not, an utterance gathers its first samples. */
  #flowing = false;

  constructor(tell: (note: SpeechNote) => void) {
    this.#tell = tell;
  }

  /** Takes an order. */
  take(order: SpeechOrder): void {
    if (order.kind === "clear") {
      this.#clearing = this.#utterances.length > 0;
      return;
    }
    if (order.kind === "open") {
      this.#utterances.push({
        id: order.id,
        chunks: [],
        offset: 0,
        buffered: 0,
        played: 0,
        told: 0,
        ended: false,
      });
      return;
    }
    const utterance = this.#utterances.find((one) => one.id === order.id);
    if (!utterance) return;
    if (order.kind === "end") utterance.ended = true;
    else if (order.samples.length > 0) {
      utterance.chunks.push(order.samples);
      utterance.buffered += order.samples.length;
    }
  }

  /** Fills one block; what nobody says stays silent. */
  fill(block: Float32Array): void {
    const was = this.#flowing;
    const filled = this.#clearing && !was ? 0 : this.#pour(block);
    const runsDry = this.#flowing && this.#isDry(block.length);
    if (filled > 0 && !was) ramp(block, 0, 1);
    if (filled > 0 && (this.#clearing || runsDry)) ramp(block, 1, 0);
    if (runsDry) this.#flowing = false;
    if (this.#clearing) this.#clear();
  }

  #pour(block: Float32Array): number {
    let at = 0;
    while (at < block.length) {
      const utterance = this.#utterances[0];
      if (!utterance) {
        this.#flowing = false;
        break;
      }
      if (utterance.buffered === 0 && utterance.ended) {
        this.#utterances.shift();
        this.#tell({ kind: "ended", id: utterance.id, played: utterance.played });
        continue;
      }
      if (!this.#flowing && utterance.buffered < START_SAMPLES && !utterance.ended) break;
      if (utterance.buffered === 0) {
        this.#flowing = false;
        break;
      }
      this.#flowing = true;
      at += take(utterance, block.subarray(at));
      if (utterance.told === 0 || utterance.played - utterance.told >= TELL_SAMPLES) {
        utterance.told = utterance.played;
        this.#tell({ kind: "playing", id: utterance.id, played: utterance.played });
      }
    }
    return at;
  }

  /** Whether the next block might have to stop in its middle, where a wave need not be near zero. */
  #isDry(length: number): boolean {
    const utterance = this.#utterances[0];
    return utterance !== undefined && !utterance.ended && utterance.buffered < length;
  }

  #clear(): void {
    for (const { id, played } of this.#utterances) this.#tell({ kind: "cleared", id, played });
    this.#utterances = [];
    this.#clearing = false;
    this.#flowing = false;
  }
}

function take(utterance: Utterance, block: Float32Array): number {
  let at = 0;
  while (at < block.length && utterance.buffered > 0) {
    const chunk = utterance.chunks[0] as Float32Array;
    const piece = chunk.subarray(utterance.offset, utterance.offset + block.length - at);
    block.set(piece, at);
    at += piece.length;
    utterance.offset += piece.length;
    utterance.buffered -= piece.length;
    if (utterance.offset === chunk.length) {
      utterance.chunks.shift();
      utterance.offset = 0;
    }
  }
  utterance.played += at;
  return at;
}

function ramp(block: Float32Array, from: number, to: number): void {
  for (let at = 0; at < block.length; at++) {
    block[at] = (block[at] as number) * (from + ((to - from) * (at + 1)) / block.length);
  }
}
