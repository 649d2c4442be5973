// The page's sound: one audio graph for the speech, its loudness, and the microphone.
//
// A browser may refuse to play sound that nobody asked for by a click. A page that listens to the microphone is
// excused, so the microphone comes first; if sound is blocked all the same, it is said and tried again.

import { listen } from "../face/loudness.ts";
import { RATE } from "./decoder.ts";

/** How long a permission prompt, which a bot's browser does not show, may hold up the rest. */
const MICROPHONE_PATIENCE_MS = 3_000;
/** How often blocked sound and a lost microphone are tried again. */
const RETRY_MS = 1_000;
/** A graph that has not started by then is blocked. */
const START_PATIENCE_MS = 500;
/** About 20 ms: short enough to follow syllables. */
const LEVEL_SAMPLES = 512;
/** A third of a second: more than passes between two looks. */
const HEARD_SAMPLES = 8_192;

/** The audio graph. */
export class Sound {
  readonly context = new AudioContext({ sampleRate: RATE, latencyHint: "balanced" });
  /** Where everything that the face should follow passes. */
  readonly loudness = this.context.createAnalyser();
  readonly #samples = new Float32Array(LEVEL_SAMPLES);

  private constructor() {
    this.loudness.fftSize = LEVEL_SAMPLES;
  }

  /** Starts the sound, if the browser lets it. */
  static async start(): Promise<Sound> {
    const sound = new Sound();
    await patience(sound.context.resume(), START_PATIENCE_MS);
    return sound;
  }

  /** Tells now and from now on whether the browser blocks the sound, and keeps trying while it does. */
  watch(told: (blocked: boolean) => void): void {
    const look = () => {
      const blocked = this.context.state !== "running";
      told(blocked);
      if (blocked) void this.context.resume().catch(() => {});
    };
    look();
    this.context.onstatechange = look;
    setInterval(look, RETRY_MS);
  }

  /** Adds the program that plays speech; the port leads to it. */
  async speechPort(): Promise<MessagePort> {
    await this.context.audioWorklet.addModule("speech.worklet.js");
    const node = new AudioWorkletNode(this.context, "speech", {
      numberOfInputs: 0,
      outputChannelCount: [1],
    });
    node.connect(this.context.destination);
    node.connect(this.loudness);
    return node.port;
  }

  /** The last few milliseconds of what is being played. */
  latest(): Float32Array {
    this.loudness.getFloatTimeDomainData(this.#samples as Float32Array<ArrayBuffer>);
    return this.#samples;
  }
}

/** Notices sound on a stream. */
export class Ear {
  readonly #rate: number;
  readonly #source: MediaStreamAudioSourceNode;
  readonly #analyser: AnalyserNode;
  readonly #samples = new Float32Array(HEARD_SAMPLES);

  constructor(context: AudioContext, stream: MediaStream) {
    this.#rate = context.sampleRate;
    this.#source = context.createMediaStreamSource(stream);
    this.#analyser = context.createAnalyser();
    this.#analyser.fftSize = HEARD_SAMPLES;
    this.#source.connect(this.#analyser);
  }

  /** Whether more than silence has come in the last third of a second. */
  hears(): boolean {
    this.#analyser.getFloatTimeDomainData(this.#samples as Float32Array<ArrayBuffer>);
    return listen(this.#samples, this.#rate).loudness > 0;
  }

  close(): void {
    this.#source.disconnect();
  }
}

/** The meeting's sound, as the bot's browser offers it. */
export class Microphone {
  #stream: MediaStream | undefined;
  #frames: ((frame: ArrayBuffer) => void) | undefined;
  #context: AudioContext | undefined;
  #source: MediaStreamAudioSourceNode | undefined;
  #node: Promise<AudioWorkletNode> | undefined;

  /** Asks for it, and waits a while; without one the page goes on, and keeps asking when it was lost. */
  async open(): Promise<void> {
    await patience(this.#acquire(), MICROPHONE_PATIENCE_MS);
  }

  /** Hands on frames of 100 ms from now on. */
  async listen(context: AudioContext, frames: (frame: ArrayBuffer) => void): Promise<void> {
    this.#frames = frames;
    this.#context = context;
    await this.#connect();
  }

  /** Hands on nothing any more; the microphone stays open, as it keeps the sound unblocked. */
  deafen(): void {
    this.#frames = undefined;
    this.#source?.disconnect();
    this.#source = undefined;
  }

  async #acquire(): Promise<void> {
    try {
      // The mix of a meeting is no room with an echo: nothing to clean up.
      this.#stream = await navigator.mediaDevices.getUserMedia({
        audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false },
      });
    } catch {
      // Refused or not there; a meeting can do without the page's ears. One that was there may come back.
      if (this.#stream) this.#acquireLater();
      return;
    }
    for (const track of this.#stream.getTracks()) {
      track.onended = () => this.#acquireLater();
    }
    await this.#connect();
  }

  #acquireLater(): void {
    setTimeout(() => void this.#acquire(), RETRY_MS);
  }

  async #connect(): Promise<void> {
    const [context, stream] = [this.#context, this.#stream];
    if (!context || !stream || !this.#frames) return;
    this.#node ??= microphoneNode(context, (frame) => this.#frames?.(frame));
    const node = await this.#node;
    this.#source?.disconnect();
    this.#source = undefined;
    if (!this.#frames) return;
    this.#source = context.createMediaStreamSource(stream);
    this.#source.connect(node);
  }
}

async function microphoneNode(
  context: AudioContext,
  frames: (frame: ArrayBuffer) => void,
): Promise<AudioWorkletNode> {
  await context.audioWorklet.addModule("microphone.worklet.js");
  const node = new AudioWorkletNode(context, "microphone", {
    numberOfOutputs: 0,
    channelCount: 1,
    channelCountMode: "explicit",
  });
  node.port.onmessage = ({ data }: MessageEvent<ArrayBuffer>) => frames(data);
  return node;
}

async function patience(work: Promise<unknown>, limitMs: number): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const limit = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, limitMs);
  });
  await Promise.race([work, limit]);
  clearTimeout(timer);
}
