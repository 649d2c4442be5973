// What the mouth needs to know of a moment of sound.

/** Below this the mouth stays shut: the noise of a quiet recording. */
const QUIET_DB = -46;
/** At this it is wide open: the loud syllables of synthesized speech. */
const LOUD_DB = -13;
/** Zero crossings a second of a bright sound; a dark vowel has a few hundred. */
const BRIGHT_CROSSINGS = 4_000;

/** How loud, 0 to 1 on a scale of decibels, and how bright, 0 to 1. */
export function listen(
  samples: Float32Array,
  rate: number,
): { loudness: number; brightness: number } {
  let energy = 0;
  let crossings = 0;
  let before = 0;
  for (const sample of samples) {
    energy += sample * sample;
    if (sample < 0 !== before < 0) crossings += 1;
    before = sample;
  }
  const decibels = 10 * Math.log10(energy / samples.length + 1e-12);
  const perSecond = (crossings * rate) / samples.length;
  return {
    loudness: clamp((decibels - QUIET_DB) / (LOUD_DB - QUIET_DB)),
    brightness: clamp(perSecond / BRIGHT_CROSSINGS),
  };
}

function clamp(value: number): number {
  return Math.max(0, Math.min(1, value));
}
