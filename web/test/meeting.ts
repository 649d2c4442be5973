// A meeting as the page knows it: serves the built page under its real headers, and plays the other end of its socket.

import { readFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { WebSocketServer, type WebSocket } from "ws";
import { Mailbox } from "./mailbox.ts";

/** What the page says, as it stands on the wire. */
export type Said = { type: string; at: number } & Record<string, unknown>;

export const DIST = fileURLToPath(new URL("../dist", import.meta.url));
const ASSETS = fileURLToPath(new URL("assets", import.meta.url));
const TYPES: Record<string, string> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".css": "text/css",
};

/** One meeting on a port of its own. */
export class Meeting {
  readonly said = new Mailbox<Said>();
  readonly microphone = new Mailbox<Buffer>();
  /** Every upgrade of the page, with its query. */
  readonly upgrades: URLSearchParams[] = [];
  readonly upgradedAt: number[] = [];
  /** Whether new sockets are let in. */
  admits = true;
  hello: Record<string, unknown> = {
    agent: { name: "Ada", company: "Acme" },
    pose: "idle",
    avatar: { provider: "builtin" },
    microphone: false,
  };
  readonly #server: Server;
  readonly #sockets = new WebSocketServer({ noServer: true });
  readonly #asked = new Mailbox<number>();
  #open: WebSocket[] = [];
  readonly #closed = new Mailbox<WebSocket>();

  private constructor() {
    this.#server = createServer((request, response) => {
      const { pathname } = new URL(request.url ?? "/", "http://page");
      void asset(pathname).then((found) => {
        response.writeHead(found ? 200 : 404, found?.headers);
        response.end(found?.body);
      });
    });
    this.#server.on("upgrade", (request, socket, head) => {
      const url = new URL(request.url ?? "/", "http://page");
      this.upgrades.push(url.searchParams);
      this.upgradedAt.push(performance.now());
      this.#asked.put(this.upgrades.length);
      if (!this.admits || url.pathname !== "/bot/socket") {
        socket.end("HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
        return;
      }
      this.#sockets.handleUpgrade(request, socket, head, (opened) => this.#meet(opened));
    });
  }

  /** Opens a meeting. */
  static async open(): Promise<Meeting> {
    const meeting = new Meeting();
    await new Promise<void>((resolve) => meeting.#server.listen(0, "127.0.0.1", resolve));
    return meeting;
  }

  get origin(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Where the bot finds the page. */
  get pageUrl(): string {
    return `${this.origin}/bot/?meeting_id=mtg_1&tenant_id=default&t=sealed-token-of-the-test`;
  }

  /** How many sockets the page holds. */
  get sockets(): number {
    return this.#open.length;
  }

  /** Sends a message to the page. */
  send(message: Record<string, unknown>): void {
    this.sendRaw(JSON.stringify(message));
  }

  sendRaw(frame: string): void {
    for (const socket of this.#open) socket.send(frame);
  }

  /** Sends an utterance as the object does: its start, frames of sound, its end. */
  speak(utteranceId: string, format: string, sound: Uint8Array, frameBytes = 4_800): void {
    this.begin(utteranceId, format);
    for (let at = 0; at < sound.length; at += frameBytes) {
      this.audio(sound.subarray(at, at + frameBytes));
    }
    this.finish(utteranceId);
  }

  begin(utteranceId: string, format: string): void {
    this.send({ type: "speak.start", utterance_id: utteranceId, format, text: "…" });
  }

  audio(frame: Uint8Array): void {
    for (const socket of this.#open) socket.send(frame);
  }

  finish(utteranceId: string): void {
    this.send({ type: "speak.end", utterance_id: utteranceId });
  }

  /** Loses the connection without a goodbye. */
  hangUp(): void {
    for (const socket of this.#open) socket.terminate();
  }

  /** Waits until a socket of the page is closed, by which time all that it said has come. */
  async left(): Promise<void> {
    await this.#closed.first("the page to leave", () => true);
  }

  /** Waits until the page says it. */
  async hears(type: string, fields: Record<string, unknown> = {}): Promise<Said> {
    return this.said.first(`${type} ${JSON.stringify(fields)}`, (said) => is(said, type, fields));
  }

  /** Waits until the page has asked for a socket that many times. */
  async asked(times: number): Promise<void> {
    await this.#asked.first(`${times} upgrades`, (count) => count >= times);
  }

  /** All that was said of a type so far. */
  heard(type: string, fields: Record<string, unknown> = {}): Said[] {
    return this.said.all.filter((said) => is(said, type, fields));
  }

  async close(): Promise<void> {
    this.hangUp();
    this.#sockets.close();
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #meet(socket: WebSocket): void {
    this.#open.push(socket);
    socket.on("close", () => {
      this.#open = this.#open.filter((one) => one !== socket);
      this.#closed.put(socket);
    });
    socket.on("message", (data: Buffer, isBinary) => {
      if (isBinary) this.microphone.put(data);
      else this.said.put({ ...JSON.parse(data.toString()), at: performance.now() });
    });
    socket.send(JSON.stringify({ type: "hello", ...this.hello }));
  }
}

function is(said: Said, type: string, fields: Record<string, unknown>): boolean {
  return said.type === type && Object.entries(fields).every(([name, value]) => said[name] === value);
}

async function asset(
  pathname: string,
): Promise<{ body: Buffer; headers: Record<string, string> } | undefined> {
  const path = normalize(pathname.endsWith("/") ? `${pathname}index.html` : pathname);
  const ours = path.startsWith("/test/");
  const file = ours ? join(ASSETS, path.slice("/test/".length)) : join(DIST, path);
  try {
    const body = await readFile(file);
    const type = TYPES[extname(file)] ?? "application/octet-stream";
    return { body, headers: { "content-type": type, ...(ours ? {} : await pageHeaders()) } };
  } catch {
    return undefined;
  }
}

/** The headers of `_headers`, with the one addition that a room on this machine needs. */
async function pageHeaders(): Promise<Record<string, string>> {
  const lines = (await readFile(join(DIST, "_headers"), "utf8")).split("\n");
  const pairs = lines
    .filter((line) => line.startsWith("  "))
    .map((line) => line.trim().split(/: (.*)/s) as [string, string]);
  const headers = Object.fromEntries(pairs);
  const policy = headers["Content-Security-Policy"];
  if (!policy?.includes("connect-src 'self' wss:")) throw new Error("the page has no strict policy");
  headers["Content-Security-Policy"] = policy.replace(
    "wss:",
    "wss: ws://127.0.0.1:* http://127.0.0.1:*",
  );
  return headers;
}
