// How the face moves: from what the delegate does to where everything in the face is at a moment.
//
// Pure: it gets the time and the loudness, and draws its little irregularities from a source of chance it is given.
// Everything glides, so that no change of pose ever looks like a cut.

import type { Pose, Reaction } from "../protocol.ts";

/** What the delegate is seen to do. */
export type Activity = Pose | "speaking";

/** What moves the face. */
export interface Mood {
  pose: Pose;
  speaking: boolean;
  /** Loudness of what is heard, 0 to 1. */
  loudness: number;
  /** 0 for dark sounds such as "oo", 1 for bright ones such as "ee" and "s". */
  brightness: number;
}

/** Where everything is. Lengths are in pixels of the figure, angles in radians, the rest from -1 or 0 to 1. */
export interface Frame {
  activity: Activity;
  x: number;
  y: number;
  tilt: number;
  /** Turning the head: features move across it. */
  yaw: number;
  pitch: number;
  scale: number;
  breath: number;
  browLeft: number;
  browRight: number;
  lids: number;
  widen: number;
  gazeX: number;
  gazeY: number;
  mouthOpen: number;
  mouthWide: number;
  smile: number;
  light: number;
  /** How much of thinking is shown. */
  ponder: number;
  /** Runs from 0 to 1 every second and a half. */
  beat: number;
}

/** The parts of a frame that a pose or a reaction sets. */
interface Attitude {
  tilt: number;
  yaw: number;
  pitch: number;
  scale: number;
  browLeft: number;
  browRight: number;
  widen: number;
  gazeX: number;
  gazeY: number;
  smile: number;
  lids: number;
  mouthWide: number;
}

const CALM: Attitude = {
  tilt: 0,
  yaw: 0,
  pitch: 0,
  scale: 1,
  browLeft: 0,
  browRight: 0,
  widen: 0,
  gazeX: 0,
  gazeY: 0,
  smile: 0.6,
  lids: 0.06,
  mouthWide: 0,
};

const ATTITUDES: Record<Activity, Attitude> = {
  idle: { ...CALM, lids: 0.13, gazeY: 0.08, smile: 0.5 },
  listening: {
    ...CALM,
    tilt: 0.07,
    yaw: 0.12,
    scale: 1.03,
    browLeft: 0.38,
    browRight: 0.38,
    widen: 0.06,
    smile: 0.8,
  },
  thinking: {
    ...CALM,
    tilt: -0.075,
    yaw: 0.42,
    pitch: -0.4,
    browLeft: 0.15,
    browRight: 0.75,
    gazeX: 0.8,
    gazeY: -0.85,
    lids: 0,
    smile: 0.12,
    mouthWide: -0.75,
  },
  speaking: { ...CALM, browLeft: 0.12, browRight: 0.12, smile: 0.65 },
};

const INTERESTED: Attitude = {
  ...CALM,
  tilt: 0.05,
  scale: 1.085,
  browLeft: 1,
  browRight: 1,
  widen: 0.5,
  smile: 1.15,
  mouthWide: 0.5,
};

/** How long each reaction takes, from its first movement to the last. */
export const REACTION_MS: Record<Reaction, number> = {
  nod: 1_500,
  interested: 2_800,
  thinking: 3_400,
};

const BLINK_MS = 190;
const BLINK_EVERY_MS: readonly [number, number] = [2_400, 5_600];
const GLANCE_EVERY_MS: readonly [number, number] = [1_600, 4_200];
/** Time constants of gliding. */
const ATTITUDE_MS = 170;
const MOUTH_OPENS_MS = 28;
const MOUTH_CLOSES_MS = 85;
const GLANCE_MS = 70;

/** The moving face. */
export class Motion {
  readonly #random: () => number;
  readonly #attitude: Attitude = { ...ATTITUDES.idle };
  #last: number | undefined;
  #blinkAt = 0;
  #glanceAt = 0;
  #glance = { x: 0, y: 0 };
  #glanceTarget = { x: 0, y: 0 };
  #mouthOpen = 0;
  #mouthWide = 0;
  #emphasis = 0;
  #ponder = 0;
  #reaction: { kind: Reaction; from: number } | undefined;

  constructor(random: () => number) {
    this.#random = random;
  }

  /** Begins a gesture; the one before it is over. */
  react(kind: Reaction, now: number): void {
    this.#reaction = { kind, from: now };
  }

  /** The face at `now`, in milliseconds of any clock that only goes forward. */
  step(now: number, mood: Mood): Frame {
    const passed = this.#last === undefined ? 0 : Math.min(250, now - this.#last);
    if (this.#last === undefined) {
      this.#blinkAt = now + this.#within(BLINK_EVERY_MS);
      this.#glanceAt = now;
    }
    this.#last = now;
    const activity: Activity = mood.speaking ? "speaking" : mood.pose;
    const react = this.#reacting(now);
    const target = blend(
      ATTITUDES[activity],
      react.kind === "interested" ? INTERESTED : ATTITUDES.thinking,
      react.kind === "nod" ? 0 : react.strength,
    );
    glideAll(this.#attitude, target, passed / ATTITUDE_MS);
    this.#moveMouth(mood, passed);
    this.#moveGlance(now, passed, activity);
    const ponders = activity === "thinking" || react.kind === "thinking";
    this.#ponder = glide(this.#ponder, ponders ? 1 : 0, passed / ATTITUDE_MS);
    const nod = react.kind === "nod" ? react.strength : 0;
    const attitude = this.#attitude;
    const sway = (period: number, offset: number) => Math.sin((now / period) * 2 * Math.PI + offset);
    const talk = this.#emphasis;
    return {
      activity,
      x: 5 * sway(7_300, 0) + 3 * sway(4_100, 1) + talk * 4 * sway(1_300, 2),
      y: 3 * sway(4_600, 0.5) + 34 * nod - talk * 5,
      tilt: attitude.tilt + 0.012 * sway(6_100, 2) + talk * 0.028 * sway(1_700, 0),
      yaw: attitude.yaw + 0.08 * sway(8_900, 1) + talk * 0.16 * sway(2_300, 1),
      pitch: attitude.pitch + 0.05 * sway(5_300, 0) + 0.95 * nod - talk * 0.12,
      scale: attitude.scale,
      breath: 0.5 + 0.5 * sway(4_600, 0),
      browLeft: attitude.browLeft + talk * 0.3,
      browRight: attitude.browRight + talk * 0.3,
      lids: Math.max(attitude.lids * (1 - attitude.widen), this.#blink(now), 0.3 * nod),
      widen: attitude.widen,
      gazeX: attitude.gazeX + this.#glance.x,
      gazeY: attitude.gazeY + this.#glance.y,
      mouthOpen: this.#mouthOpen,
      mouthWide: attitude.mouthWide * (1 - this.#mouthOpen) + this.#mouthWide,
      smile: attitude.smile * (1 - 0.4 * this.#mouthOpen),
      light: activity === "speaking" ? 0.35 + 0.65 * this.#mouthOpen : 0.55 + 0.45 * sway(2_600, 0),
      ponder: this.#ponder,
      beat: (now / 1_500) % 1,
    };
  }

  /** The running gesture and how strongly it shows. */
  #reacting(now: number): { kind: Reaction | undefined; strength: number } {
    if (!this.#reaction) return { kind: undefined, strength: 0 };
    const { kind, from } = this.#reaction;
    const part = (now - from) / REACTION_MS[kind];
    if (part >= 1) {
      this.#reaction = undefined;
      return { kind: undefined, strength: 0 };
    }
    // A nod goes down twice; the others come, stay and go.
    if (kind === "nod") return { kind, strength: Math.sin(part * 2 * Math.PI) ** 2 * (1 - 0.35 * part) };
    return { kind, strength: Math.min(1, part * 6, (1 - part) * 4) };
  }

  #moveMouth(mood: Mood, passed: number): void {
    const open = mood.loudness;
    const constant = open > this.#mouthOpen ? MOUTH_OPENS_MS : MOUTH_CLOSES_MS;
    this.#mouthOpen = glide(this.#mouthOpen, open, passed / constant);
    const wide = open > 0.05 ? (mood.brightness - 0.4) * 1.4 : 0;
    this.#mouthWide = glide(this.#mouthWide, wide, passed / 60);
    this.#emphasis = glide(this.#emphasis, mood.speaking ? 0.35 + 0.65 * open : 0, passed / 260);
  }

  #moveGlance(now: number, passed: number, activity: Activity): void {
    if (now >= this.#glanceAt) {
      this.#glanceAt = now + this.#within(GLANCE_EVERY_MS);
      // Who listens looks at the speaker; who has nothing to do looks around.
      const reach = activity === "idle" ? 0.32 : activity === "thinking" ? 0.2 : 0.09;
      this.#glanceTarget = {
        x: (this.#random() * 2 - 1) * reach,
        y: (this.#random() * 2 - 1) * reach * 0.5,
      };
    }
    this.#glance.x = glide(this.#glance.x, this.#glanceTarget.x, passed / GLANCE_MS);
    this.#glance.y = glide(this.#glance.y, this.#glanceTarget.y, passed / GLANCE_MS);
  }

  /** How far the lids are closed by blinking: quickly down, a little slower up. */
  #blink(now: number): number {
    const part = (now - this.#blinkAt) / BLINK_MS;
    if (part >= 1) {
      const again = this.#random() < 0.15 ? 120 : this.#within(BLINK_EVERY_MS);
      this.#blinkAt = now + again;
    }
    if (part <= 0 || part >= 1) return 0;
    return part < 0.4 ? part / 0.4 : 1 - (part - 0.4) / 0.6;
  }

  #within([from, to]: readonly [number, number]): number {
    return from + (to - from) * this.#random();
  }
}

function glide(from: number, to: number, timeConstants: number): number {
  return to + (from - to) * Math.exp(-timeConstants);
}

function glideAll(from: Attitude, to: Attitude, timeConstants: number): void {
  for (const key of Object.keys(from) as (keyof Attitude)[]) {
    from[key] = glide(from[key], to[key], timeConstants);
  }
}

function blend(from: Attitude, to: Attitude, part: number): Attitude {
  const mixed = { ...from };
  for (const key of Object.keys(mixed) as (keyof Attitude)[]) {
    mixed[key] = from[key] + (to[key] - from[key]) * part;
  }
  return mixed;
}
