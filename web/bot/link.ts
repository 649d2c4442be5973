// The page's one socket to its meeting.
//
// Guarantees: never two sockets at a time; it comes back for ever, at a bounded rate; what the meeting must know is
// kept while there is no socket, up to a bound. It does not know what the messages mean.

import type { FromPage } from "./protocol.ts";

/** The first wait before connecting again. */
const FIRST_DELAY_MS = 250;
/** A meeting without its face should not wait longer; six connections a minute harm nobody. */
const LONGEST_DELAY_MS = 10_000;
/** A connection that lasted this long was a good one; a server that accepts and drops is not hammered. */
const GOOD_AFTER_MS = 5_000;
/** A server that pings does so at least twice in this time; after it, the connection is dead and nobody told. */
const SILENCE_LIMIT_MS = 70_000;
/** Facts that wait for a socket: what became of sessions, a handful even in a long outage. */
const MAX_WAITING = 64;
/** Unsent sound beyond this (eight seconds of microphone) would only arrive late. */
const MAX_UNSENT_BYTES = 256 * 1024;

/** How long to wait before connection number `failures` + 1: doubling, with the upper half drawn by `random`. */
export function reconnectDelay(failures: number, random: () => number): number {
  const full = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** Math.min(failures, 16));
  return full * (0.5 + 0.5 * random());
}

/** What happens on the socket. */
export interface LinkEvents {
  text(frame: string): void;
  audio(frame: ArrayBuffer): void;
  closed(): void;
}

/** The connection that keeps coming back. */
export class Link {
  readonly #url: string;
  readonly #events: LinkEvents;
  readonly #waiting: FromPage[] = [];
  #socket: WebSocket | undefined;
  #greeted = false;
  #failures = 0;
  #silence: ReturnType<typeof setTimeout> | undefined;

  constructor(url: string, events: LinkEvents) {
    this.#url = url;
    this.#events = events;
  }

  /** Connects, and from then on stays connected. */
  connect(): void {
    if (this.#socket) return;
    const socket = new WebSocket(this.#url);
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    let opened = Number.POSITIVE_INFINITY;
    socket.onopen = () => {
      opened = performance.now();
      document.documentElement.dataset["link"] = "open";
    };
    socket.onmessage = ({ data }: MessageEvent<string | ArrayBuffer>) => {
      if (this.#silence !== undefined) this.expectPings();
      if (typeof data === "string") this.#events.text(data);
      else this.#events.audio(data);
    };
    socket.onclose = () => {
      document.documentElement.dataset["link"] = "closed";
      this.#failures = performance.now() - opened > GOOD_AFTER_MS ? 0 : this.#failures + 1;
      this.#forget();
      setTimeout(() => this.connect(), reconnectDelay(this.#failures, Math.random));
    };
  }

  /** Sends what the meeting is waiting for, now that it has said hello; `ready` comes first. */
  ready(): void {
    this.#greeted = true;
    this.#write({ type: "ready" });
    for (const message of this.#waiting.splice(0)) this.#write(message);
  }

  /** Sends a fact, or keeps it until there is somebody to hear it. */
  tell(message: FromPage): void {
    if (this.#greeted) this.#write(message);
    else if (isWorthKeeping(message)) {
      this.#waiting.push(message);
      if (this.#waiting.length > MAX_WAITING) this.#waiting.shift();
    }
  }

  /** Sends microphone sound, if it can still arrive in time. */
  stream(frame: ArrayBuffer): void {
    if (this.#socket?.readyState !== WebSocket.OPEN || !this.#greeted) return;
    if (this.#socket.bufferedAmount <= MAX_UNSENT_BYTES) this.#socket.send(frame);
  }

  /** From now on, silence means that the connection is dead: the server has shown that it pings. */
  expectPings(): void {
    clearTimeout(this.#silence);
    const socket = this.#socket;
    this.#silence = setTimeout(() => {
      // A dead connection may take minutes to close; its close event must not count against the next one.
      if (!socket || socket !== this.#socket) return;
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close();
      this.#forget();
      this.connect();
    }, SILENCE_LIMIT_MS);
  }

  #write(message: FromPage): void {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  #forget(): void {
    clearTimeout(this.#silence);
    this.#silence = undefined;
    this.#socket = undefined;
    this.#greeted = false;
    this.#events.closed();
  }
}

/** What became of speech, and that sound is blocked, is said anew after every greeting. */
function isWorthKeeping(message: FromPage): boolean {
  return message.type.startsWith("avatar.") || message.type === "video.frozen";
}
