// Hears a page: what its tab really sounds like, and every single sample of its sound graph.

import type { Browser, Page } from "playwright-core";
import type { Meeting } from "./meeting.ts";
import { rms } from "./tones.ts";

/** Lets a recording page capture the page under test without anybody choosing it. */
export const LISTENING = [
  "--auto-select-tab-capture-source-by-title=Delegate",
  // No microphone here: the stand-in that browsers offer for it would also stand in for the tab.
  "--autoplay-policy=no-user-gesture-required",
];

/** The rate at which a tab is recorded. */
export const HEARD_RATE = 48_000;

interface Recorder {
  heard: Float32Array[];
}

/** Records the sound of a tab, as a meeting bot does. */
export class Listener {
  readonly #page: Page;

  private constructor(page: Page) {
    this.#page = page;
  }

  /** Starts recording the open page. */
  static async start(browser: Browser, meeting: Meeting): Promise<Listener> {
    const page = await (await browser.newContext()).newPage();
    await page.goto(`${meeting.origin}/test/recorder.html`);
    await page.evaluate(async (rate) => {
      const stream = await navigator.mediaDevices.getDisplayMedia({
        video: true,
        audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false },
      });
      const context = new AudioContext({ sampleRate: rate });
      await context.audioWorklet.addModule("recorder.js");
      const node = new AudioWorkletNode(context, "recorder");
      const recorder = globalThis as unknown as Recorder;
      recorder.heard = [];
      node.port.onmessage = ({ data }) => recorder.heard.push(data);
      context.createMediaStreamSource(stream).connect(node);
    }, HEARD_RATE);
    return new Listener(page);
  }

  /** What was heard since the last call. */
  async take(): Promise<Float32Array> {
    return joined(await this.#page.evaluate(takeHeard));
  }
}

/** Records every sample that the page's sound graph sends to the speakers; call before the page opens. */
export async function tap(page: Page): Promise<void> {
  await page.addInitScript(() => {
    const recorder = globalThis as unknown as Recorder;
    recorder.heard = [];
    const connect = AudioNode.prototype.connect as (...to: unknown[]) => unknown;
    AudioNode.prototype.connect = function (this: AudioNode, ...to: unknown[]) {
      if (to[0] instanceof AudioDestinationNode) {
        void this.context.audioWorklet.addModule("/test/recorder.js").then(() => {
          const node = new AudioWorkletNode(this.context, "recorder");
          node.port.onmessage = ({ data }) => recorder.heard.push(data);
          connect.call(this, node);
        });
      }
      return connect.apply(this, to);
    } as typeof AudioNode.prototype.connect;
  });
}

/** Waits until the tap records. */
export async function recording(page: Page): Promise<void> {
  await page.waitForFunction(() => (globalThis as unknown as Recorder).heard.length > 0);
}

/** What the tap recorded since the last call. */
export async function tapped(page: Page): Promise<Float32Array> {
  return joined(await page.evaluate(takeHeard));
}

/** The loudest second of a recording. */
export function loudest(samples: Float32Array): Float32Array {
  let best = samples.subarray(0, HEARD_RATE);
  for (let from = 0; from + HEARD_RATE <= samples.length; from += HEARD_RATE / 4) {
    const part = samples.subarray(from, from + HEARD_RATE);
    if (rms(part) > rms(best)) best = part;
  }
  return best;
}

function takeHeard(): string {
  const recorder = globalThis as unknown as Recorder;
  const parts = recorder.heard.splice(0);
  const all = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  const bytes = new Uint8Array(all.buffer);
  let text = "";
  for (let from = 0; from < bytes.length; from += 32_768) {
    text += String.fromCharCode(...bytes.subarray(from, from + 32_768));
  }
  return btoa(text);
}

function joined(base64: string): Float32Array {
  const bytes = Buffer.from(base64, "base64");
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
}
