// Sounds whose every sample is known.

import { readFileSync } from "node:fs";

export const RATE = 24_000;

/** Four seconds of 440 Hz, as the speech synthesizer encodes: 22,050 Hz, 32 kbit/s, mono. */
export const MP3_TONE: Uint8Array = readFileSync(new URL("assets/tone_440.mp3", import.meta.url));

/** A steady tone. */
export function tone(hertz: number, seconds: number, rate = RATE, loudness = 0.5): Float32Array {
  return Float32Array.from(
    { length: Math.round(seconds * rate) },
    (_, at) => loudness * Math.sin((2 * Math.PI * hertz * at) / rate),
  );
}

/** A voice-like murmur that rises and falls four times a second. */
export function syllables(seconds: number): Float32Array {
  return Float32Array.from({ length: seconds * RATE }, (_, at) => {
    const t = at / RATE;
    const voice = [1, 2, 3, 5, 8].reduce((sum, n) => sum + Math.sin(2 * Math.PI * 140 * n * t) / n, 0);
    return 0.28 * voice * Math.sin(2 * Math.PI * 2 * t) ** 2;
  });
}

/** Samples as the page gets them: signed, 16 bits, little-endian. */
export function pcm(samples: Float32Array): Uint8Array {
  const bytes = Buffer.alloc(samples.length * 2);
  samples.forEach((sample, at) => bytes.writeInt16LE(Math.round(sample * 32767), 2 * at));
  return bytes;
}

/** The loudness of samples, as root mean square. */
export function rms(samples: ArrayLike<number>): number {
  let sum = 0;
  for (let at = 0; at < samples.length; at++) sum += (samples[at] as number) ** 2;
  return Math.sqrt(sum / Math.max(1, samples.length));
}

/** The frequency of a steady tone, by counting where it rises through zero. */
export function pitch(samples: ArrayLike<number>, rate: number): number {
  const rises: number[] = [];
  for (let at = 1; at < samples.length; at++) {
    const [before, after] = [samples[at - 1] as number, samples[at] as number];
    if (before < 0 && after >= 0) rises.push(at - after / (after - before));
  }
  const [first, last] = [rises[0], rises.at(-1)];
  return first === undefined || last === undefined ? 0 : ((rises.length - 1) * rate) / (last - first);
}

/** A sound file. */
export function wav(samples: Float32Array, rate: number): Uint8Array {
  const data = pcm(samples);
  const header = Buffer.alloc(44);
  header.write("RIFF", 0);
  header.writeUInt32LE(36 + data.length, 4);
  header.write("WAVEfmt ", 8);
  header.writeUInt32LE(16, 16);
  header.writeUInt16LE(1, 20);
  header.writeUInt16LE(1, 22);
  header.writeUInt32LE(rate, 24);
  header.writeUInt32LE(2 * rate, 28);
  header.writeUInt16LE(2, 32);
  header.writeUInt16LE(16, 34);
  header.write("data", 36);
  header.writeUInt32LE(data.length, 40);
  return Buffer.concat([header, data]);
}
