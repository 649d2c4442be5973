// Turns the encoded sound of one utterance into samples at the rate of the page's sound.
//
// mp3 goes through one decoder per utterance, frame by frame: it keeps its state, so there are no seams.

import { Mp3Reader } from "./mp3.ts";
import { PcmReader } from "./pcm.ts";
import { Resampler } from "./resampler.ts";
import type { SpeechFormat } from "../protocol.ts";

/** The rate at which the page makes sound: that of the speech, so that most of it is not touched at all. */
export const RATE = 24_000;

/** Takes encoded bytes, hands samples to `made`, and whatever goes wrong to `failed`, once. */
export interface Decoder {
  push(bytes: Uint8Array): void;
  /** Resolves when everything pushed was handed on. */
  end(): Promise<void>;
  /** Lets go of everything; nothing is handed on any more. */
  close(): void;
}

/** Where decoded sound goes. */
export interface Decoded {
  made(samples: Float32Array): void;
  failed(reason: string): void;
}

/** The decoder for a format. */
export function decoderFor(format: SpeechFormat, decoded: Decoded): Decoder {
  return format === "mp3" ? new Mp3Decoder(decoded) : new PcmDecoder(decoded);
}

class PcmDecoder implements Decoder {
  readonly #reader = new PcmReader();
  readonly #decoded: Decoded;

  constructor(decoded: Decoded) {
    this.#decoded = decoded;
  }

  push(bytes: Uint8Array): void {
    this.#decoded.made(this.#reader.push(bytes));
  }

  async end(): Promise<void> {}

  close(): void {}
}

class Mp3Decoder implements Decoder {
  readonly #reader = new Mp3Reader();
  readonly #decoded: Decoded;
  #decoder: AudioDecoder | undefined;
  #resampler: Resampler | undefined;
  #microseconds = 0;
  #closed = false;

  constructor(decoded: Decoded) {
    this.#decoded = decoded;
  }

  push(bytes: Uint8Array): void {
    if (this.#closed) return;
    try {
      for (const frame of this.#reader.push(bytes)) {
        this.#decoder ??= this.#open(frame.sampleRate, frame.channels);
        // Every frame of a stream stands alone as far as the interface is concerned.
        this.#decoder.decode(
          new EncodedAudioChunk({ type: "key", timestamp: this.#microseconds, data: frame.data }),
        );
        this.#microseconds += Math.round((frame.samples * 1_000_000) / frame.sampleRate);
      }
    } catch (error) {
      this.#fail(error);
    }
  }

  async end(): Promise<void> {
    if (this.#closed) return;
    if (!this.#decoder) {
      this.#fail("no mp3 frames in the sound");
      return;
    }
    try {
      await this.#decoder.flush();
    } catch (error) {
      this.#fail(error);
      return;
    }
    if (this.#resampler && !this.#closed) this.#decoded.made(this.#resampler.flush());
    this.close();
  }

  close(): void {
    this.#closed = true;
    if (this.#decoder && this.#decoder.state !== "closed") this.#decoder.close();
  }

  #open(sampleRate: number, channels: number): AudioDecoder {
    const decoder = new AudioDecoder({
      output: (sound) => {
        const samples = mono(sound);
        this.#resampler ??= new Resampler(sound.sampleRate, RATE);
        sound.close();
        if (!this.#closed) this.#decoded.made(this.#resampler.push(samples));
      },
      error: (error) => this.#fail(error),
    });
    decoder.configure({ codec: "mp3", sampleRate, numberOfChannels: channels });
    return decoder;
  }

  #fail(error: unknown): void {
    if (this.#closed) return;
    this.close();
    this.#decoded.failed(error instanceof Error ? error.message : String(error));
  }
}

function mono(sound: AudioData): Float32Array {
  const mixed = new Float32Array(sound.numberOfFrames);
  const plane = new Float32Array(sound.numberOfFrames);
  for (let channel = 0; channel < sound.numberOfChannels; channel++) {
    sound.copyTo(plane, { planeIndex: channel, format: "f32-planar" });
    plane.forEach((sample, at) => {
      mixed[at] = (mixed[at] as number) + sample / sound.numberOfChannels;
    });
  }
  return mixed;
}
