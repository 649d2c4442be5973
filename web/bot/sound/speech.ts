// Speaks: takes the utterances from the meeting, plays them one after the other, and says what was heard.
//
// Guarantees: every utterance that is started gets exactly one end: spoken, interrupted (`playing` with
// `interrupted`), or failed. What waits is bounded. It knows neither sockets nor faces.

import { decoderFor, RATE, type Decoder } from "./decoder.ts";
import type { SpeechNote, SpeechOrder } from "./speech_queue.ts";
import type { FromPage, SpeechFormat } from "../protocol.ts";

/** Ten minutes, more than the longest text that may be said takes; 58 MB. */
const MAX_QUEUED_SAMPLES = 600 * RATE;
/** More than anybody would listen to. */
const MAX_UTTERANCES = 64;
/** Ends that are told again; a meeting has one utterance at a time. */
const MAX_REMEMBERED = 8;

/** How an utterance ended. */
type Ending = FromPage & { type: "playing" | "spoken" | "speak.failed" };

interface Utterance {
  name: string;
  decoder: Decoder;
  /** Samples handed to the sound thread. */
  given: number;
  played: number;
  begun: boolean;
  /** Why it does not come whole. */
  failed?: string;
}

/** The voice of the page. */
export class Speech {
  readonly #port: MessagePort;
  #tell: (message: FromPage) => void = () => {};
  readonly #utterances = new Map<number, Utterance>();
  /** The utterance that binary frames belong to. */
  #open: number | undefined;
  #last = 0;
  /** The utterance that the sound thread last spoke of. */
  #sounding: number | undefined;
  #ended: Ending[] = [];

  /** `port` leads to the sound thread. */
  constructor(port: MessagePort) {
    this.#port = port;
    port.onmessage = ({ data }: MessageEvent<SpeechNote>) => this.#note(data);
  }

  /** Says from now on what is heard. */
  report(tell: (message: FromPage) => void): void {
    this.#tell = tell;
  }

  /** Whether an utterance has begun to sound and not come to its end, pauses included. */
  get sounding(): boolean {
    return this.#sounding !== undefined;
  }

  /** Says again what plays and what has ended: whoever listens now may not have heard it the first time. */
  repeat(): void {
    for (const ending of this.#ended) this.#tell(ending);
    for (const utterance of this.#utterances.values()) {
      if (utterance.begun) this.#tell({ type: "playing", ...progress(utterance) });
    }
  }

  /** Begins an utterance; its sound follows. */
  start(name: string, format: SpeechFormat): void {
    this.cutOff("the next utterance began");
    this.#ended = this.#ended.filter((ending) => ending.utterance_id !== name);
    if (this.#utterances.size >= MAX_UTTERANCES) {
      this.#failed(name, "too many utterances wait", 0);
      return;
    }
    this.#last += 1;
    const id = this.#last;
    const decoder = decoderFor(format, {
      made: (samples) => this.#give(id, samples),
      failed: (reason) => this.#fail(id, reason),
    });
    this.#utterances.set(id, { name, decoder, given: 0, played: 0, begun: false });
    this.#open = id;
    this.#order({ kind: "open", id });
  }

  /** Adds sound to the open utterance; sound that belongs to none is dropped. */
  audio(bytes: ArrayBuffer): void {
    if (this.#open === undefined) return;
    this.#utterances.get(this.#open)?.decoder.push(new Uint8Array(bytes));
  }

  /** The open utterance is complete. */
  end(name: string): void {
    const id = this.#open;
    const utterance = id === undefined ? undefined : this.#utterances.get(id);
    if (id === undefined || utterance?.name !== name) return;
    this.#open = undefined;
    void utterance.decoder.end().then(() => this.#order({ kind: "end", id }));
  }

  /**
   * The rest of the open utterance will not come. What is there is played, and how much that was is told then; it
   * does not count as spoken.
   */
  cutOff(reason: string): void {
    const id = this.#open;
    this.#open = undefined;
    if (id !== undefined) this.#fail(id, reason);
  }

  /** Falls silent within a block of sound and forgets what waits. */
  interrupt(): void {
    this.#open = undefined;
    for (const { decoder } of this.#utterances.values()) decoder.close();
    this.#order({ kind: "clear" });
  }

  #give(id: number, samples: Float32Array): void {
    const utterance = this.#utterances.get(id);
    if (!utterance || samples.length === 0) return;
    let queued = samples.length;
    for (const { given, played } of this.#utterances.values()) queued += given - played;
    if (queued > MAX_QUEUED_SAMPLES) {
      this.#fail(id, "too much sound waits");
      return;
    }
    utterance.given += samples.length;
    // The sound thread gets memory of its own, not a view of what arrived.
    const own = samples.slice();
    this.#order({ kind: "append", id, samples: own }, [own.buffer]);
  }

  #fail(id: number, reason: string): void {
    const utterance = this.#utterances.get(id);
    if (!utterance || utterance.failed !== undefined) return;
    utterance.decoder.close();
    utterance.failed = reason;
    if (this.#open === id) this.#open = undefined;
    this.#order({ kind: "end", id });
    if (utterance.given > 0) return;
    this.#utterances.delete(id);
    this.#failed(utterance.name, reason, 0);
  }

  #note({ kind, id, played }: SpeechNote): void {
    if (kind === "playing") this.#sounding = id;
    else if (this.#sounding === id) this.#sounding = undefined;
    const utterance = this.#utterances.get(id);
    if (!utterance) return;
    utterance.played = played;
    utterance.begun = true;
    if (kind === "playing") {
      this.#tell({ type: "playing", ...progress(utterance) });
      return;
    }
    this.#utterances.delete(id);
    const { utterance_id, played_ms } = progress(utterance);
    if (kind === "cleared") this.#end({ type: "playing", utterance_id, played_ms, interrupted: true });
    else if (utterance.failed === undefined) this.#end({ type: "spoken", utterance_id });
    else this.#failed(utterance_id, utterance.failed, played_ms);
  }

  #failed(name: string, reason: string, playedMs: number): void {
    this.#end({ type: "speak.failed", utterance_id: name, reason, played_ms: playedMs });
  }

  #end(ending: Ending): void {
    this.#ended.push(ending);
    if (this.#ended.length > MAX_REMEMBERED) this.#ended.shift();
    this.#tell(ending);
  }

  #order(order: SpeechOrder, transfer: Transferable[] = []): void {
    this.#port.postMessage(order, transfer);
  }
}

function progress({ name, played }: Utterance): { utterance_id: string; played_ms: number } {
  return { utterance_id: name, played_ms: Math.round((played * 1000) / RATE) };
}
