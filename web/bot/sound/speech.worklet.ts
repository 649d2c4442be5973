// Plays the utterances on the sound thread, where a busy page cannot make them stutter.

import { SpeechQueue, type SpeechNote, type SpeechOrder } from "./speech_queue.ts";

class SpeechProcessor extends AudioWorkletProcessor {
  readonly #queue = new SpeechQueue((note: SpeechNote) => this.port.postMessage(note));

  constructor() {
    super();
    this.port.onmessage = ({ data }: MessageEvent<SpeechOrder>) => this.#queue.take(data);
  }

  override process(_inputs: Float32Array[][], outputs: Float32Array[][]): boolean {
    const channel = outputs[0]?.[0];
    if (channel) this.#queue.fill(channel);
    return true;
  }
}

registerProcessor("speech", SpeechProcessor);
