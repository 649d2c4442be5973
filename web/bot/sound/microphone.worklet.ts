// Turns the microphone's sound into frames of 16 kHz 16-bit samples on the sound thread.

import { toPcm } from "./pcm.ts";
import { Resampler } from "./resampler.ts";

const RATE = 16_000;
/** 100 ms: few messages, little delay. */
const FRAME_SAMPLES = RATE / 10;

class MicrophoneProcessor extends AudioWorkletProcessor {
  readonly #resampler = new Resampler(sampleRate, RATE);
  readonly #frame = new Float32Array(FRAME_SAMPLES);
  #filled = 0;

  override process(inputs: Float32Array[][]): boolean {
    const channel = inputs[0]?.[0];
    if (!channel) return true;
    let samples = this.#resampler.push(channel);
    while (samples.length > 0) {
      const piece = samples.subarray(0, FRAME_SAMPLES - this.#filled);
      this.#frame.set(piece, this.#filled);
      this.#filled += piece.length;
      samples = samples.subarray(piece.length);
      if (this.#filled === FRAME_SAMPLES) {
        const frame = toPcm(this.#frame);
        this.port.postMessage(frame, [frame]);
        this.#filled = 0;
      }
    }
    return true;
  }
}

registerProcessor("microphone", MicrophoneProcessor);
