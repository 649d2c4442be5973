// Changes the sample rate of a stream of sound, block by block, without a seam.
//
// A windowed sinc, one set of weights per phase. Output does not depend on how the input is cut into blocks.

/** Zero crossings on each side of the centre: about 70 dB of image rejection, plenty for speech. */
const CROSSINGS = 16;
/** Leaves a little room below the lower Nyquist frequency for the filter's slope. */
const PASSBAND = 0.94;
/** Weights of all phases together; only an absurd pair of rates needs more. */
const MAX_WEIGHTS = 1 << 18;

/** A resampler for one stream. */
export class Resampler {
  readonly #up: number;
  readonly #down: number;
  readonly #half: number;
  readonly #weights: Float32Array;
  /** Input that is still needed; begins with the silence before the stream. */
  #kept: Float32Array;
  /** The next output's place: the input sample after its centre, and the phase between the two. */
  #index: number;
  #phase = 0;

  constructor(from: number, to: number) {
    const common = gcd(from, to);
    this.#up = to / common;
    this.#down = from / common;
    const cutoff = PASSBAND * Math.min(1, this.#up / this.#down);
    this.#half = Math.ceil(CROSSINGS / cutoff);
    if (!(2 * this.#half * this.#up <= MAX_WEIGHTS)) {
      throw new RangeError(`cannot resample from ${from} to ${to} Hz`);
    }
    this.#weights = weights(this.#up, this.#half, cutoff);
    this.#kept = new Float32Array(this.#half - 1);
    this.#index = this.#half - 1;
  }

  /** The output that `input` completes. */
  push(input: Float32Array): Float32Array {
    if (this.#up === this.#down) return input;
    const all = new Float32Array(this.#kept.length + input.length);
    all.set(this.#kept);
    all.set(input, this.#kept.length);
    const last = all.length - 1 - this.#half;
    const room = Math.max(0, Math.ceil(((last + 1 - this.#index) * this.#up) / this.#down) + 1);
    const output = new Float32Array(room);
    let made = 0;
    while (this.#index <= last) {
      output[made++] = this.#at(all);
      this.#phase += this.#down;
      this.#index += Math.floor(this.#phase / this.#up);
      this.#phase %= this.#up;
    }
    const unneeded = Math.min(all.length, this.#index - this.#half + 1);
    this.#kept = all.slice(unneeded);
    this.#index -= unneeded;
    return output.subarray(0, made);
  }

  /** The output that only waited for more input: the stream has ended. */
  flush(): Float32Array {
    return this.push(new Float32Array(this.#half));
  }

  #at(all: Float32Array): number {
    const taps = 2 * this.#half;
    const first = this.#index - this.#half + 1;
    const offset = this.#phase * taps;
    let sum = 0;
    for (let tap = 0; tap < taps; tap++) {
      sum += (all[first + tap] as number) * (this.#weights[offset + tap] as number);
    }
    return sum;
  }
}

function weights(phases: number, half: number, cutoff: number): Float32Array {
  const taps = 2 * half;
  const table = new Float32Array(phases * taps);
  for (let phase = 0; phase < phases; phase++) {
    const row = table.subarray(phase * taps, (phase + 1) * taps);
    for (let tap = 0; tap < taps; tap++) {
      const distance = tap - half + 1 - phase / phases;
      row[tap] = sinc(cutoff * distance) * window(distance / half);
    }
    // Each phase passes a constant unchanged, so none of them hums.
    const sum = row.reduce((total, weight) => total + weight, 0);
    for (let tap = 0; tap < taps; tap++) row[tap] = (row[tap] as number) / sum;
  }
  return table;
}

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}

/** Blackman's window over [-1, 1]. */
function window(x: number): number {
  if (Math.abs(x) >= 1) return 0;
  return 0.42 + 0.5 * Math.cos(Math.PI * x) + 0.08 * Math.cos(2 * Math.PI * x);
}

function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b);
}
