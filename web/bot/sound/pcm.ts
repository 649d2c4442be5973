// Raw sound as it travels: signed 16-bit little-endian samples, cut anywhere.

/** Turns bytes into samples; an odd byte waits for its other half. */
export class PcmReader {
  #odd: number | undefined;

  /** The samples that `bytes` completes. */
  push(bytes: Uint8Array): Float32Array {
    const carried = this.#odd === undefined ? 0 : 1;
    const count = (bytes.length + carried) >> 1;
    const samples = new Float32Array(count);
    const byte = (at: number) => (at < carried ? this.#odd : bytes[at - carried]) as number;
    for (let sample = 0; sample < count; sample++) {
      const unsigned = byte(2 * sample) | (byte(2 * sample + 1) << 8);
      samples[sample] = ((unsigned << 16) >> 16) / 32768;
    }
    const used = 2 * count - carried;
    this.#odd = used < bytes.length ? bytes[used] : carried && count === 0 ? this.#odd : undefined;
    return samples;
  }
}

/** Turns samples into bytes; what is too loud is clipped. */
export function toPcm(samples: Float32Array): ArrayBuffer {
  const bytes = new DataView(new ArrayBuffer(samples.length * 2));
  samples.forEach((sample, at) => {
    const clipped = Math.max(-1, Math.min(1, sample));
    bytes.setInt16(2 * at, Math.round(clipped < 0 ? clipped * 32768 : clipped * 32767), true);
  });
  return bytes.buffer;
}
