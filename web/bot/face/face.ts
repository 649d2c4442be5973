// The builtin face on the page: moves, is painted and named, and rests while nobody sees it.

import { Figure } from "./figure.ts";
import { listen } from "./loudness.ts";
import { Motion, type Activity } from "./motion.ts";
import type { Pose, Reaction } from "../protocol.ts";

/** A bot's picture has 15 frames a second; twice that keeps the lips with the sound, and is all a small machine should do. */
const FRAME_MS = 1000 / 30;
/** Nobody sees the difference while nothing is said. */
const CALM_FRAME_MS = 1000 / 15;

/** Time to wait for the display's next frame, on average. */
const EARLY_MS = 10;

const LABELS: Record<Activity, string> = {
  idle: "",
  listening: "Listening",
  thinking: "Thinking",
  speaking: "Speaking",
};

/** Sound below this loudness is no speech. */
const AUDIBLE = 0.12;
/** A pause between words does not end the speaking. */
const PAUSE_MS = 450;

/** What is played at this moment. */
export interface Heard {
  samples: Float32Array;
  rate: number;
  /** Whether an utterance is under way, whatever its loudness. */
  speaking: boolean;
}

/** The drawn delegate. */
export class Face {
  readonly #root: HTMLElement;
  readonly #figure: Figure;
  readonly #motion = new Motion(Math.random);
  #heard: () => Heard | undefined = () => undefined;
  #pose: Pose = "idle";
  #activity: Activity | undefined;
  #hidden = false;
  #busyUntil = 0;
  #audibleUntil = 0;

  constructor(root: HTMLElement) {
    this.#root = root;
    this.#figure = new Figure(find(root, "#figure"));
    const next = () =>
      requestAnimationFrame((now) => {
        // Asking for every display frame and painting few of them costs more than the painting.
        setTimeout(next, this.#paint(now) - EARLY_MS);
      });
    next();
  }

  /** Moves its mouth with what is heard. */
  follow(heard: () => Heard): void {
    this.#heard = heard;
  }

  /** Shows who this is. */
  name(name: string, company: string): void {
    find(this.#root, "#name").textContent = name;
    find(this.#root, "#company").textContent = company;
  }

  /** Takes a pose, for as long as nothing is said. */
  pose(pose: Pose): void {
    this.#pose = pose;
  }

  /** Makes a gesture. */
  react(reaction: Reaction): void {
    const now = performance.now();
    this.#motion.react(reaction, now);
    this.#busyUntil = now + 4_000;
  }

  /** Whether something else covers the face, so that it need not be painted. */
  hide(hidden: boolean): void {
    this.#hidden = hidden;
  }

  /** Paints, and tells how long the picture may stand. */
  #paint(now: number): number {
    const heard = this.#heard();
    const sound = heard ? listen(heard.samples, heard.rate) : { loudness: 0, brightness: 0 };
    if (sound.loudness > AUDIBLE) this.#audibleUntil = now + PAUSE_MS;
    const speaking = heard?.speaking || now < this.#audibleUntil;
    const calm = !speaking && now > this.#busyUntil && this.#activity !== "speaking";
    if (this.#hidden) return CALM_FRAME_MS;
    const frame = this.#motion.step(now, { pose: this.#pose, speaking, ...sound });
    this.#figure.draw(frame);
    if (frame.activity !== this.#activity) {
      this.#activity = frame.activity;
      this.#root.dataset["activity"] = frame.activity;
      find(this.#root, "#state").textContent = LABELS[frame.activity];
    }
    return calm ? CALM_FRAME_MS : FRAME_MS;
  }
}

function find<T extends HTMLElement>(root: HTMLElement, selector: string): T {
  const found = root.querySelector<T>(selector);
  if (!found) throw new Error(`the page lacks ${selector}`);
  return found;
}
