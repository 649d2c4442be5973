// An avatar in its room: as much of a LiveKit server as one viewer needs, without any media server.
//
// It speaks LiveKit's signalling with the page, and another browser page publishes a picture and a tone over a plain
// peer connection, so that what the page gets is real WebRTC, received by the unmodified client.

import { readFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import {
  DisconnectReason,
  LeaveRequest_Action,
  ParticipantInfo_State,
  SignalRequest,
  SignalResponse,
  SignalTarget,
  TrackSource,
  TrackType,
} from "@livekit/protocol";
import type { Browser, Page } from "playwright-core";
import { WebSocketServer, type WebSocket } from "ws";
import { Mailbox } from "./mailbox.ts";

/** What happens at the room's door. */
export type Visit = { what: "joined" | "reconnected" | "answered" | "left" };

/** How an avatar looks and sounds. */
export interface Look {
  colour: string;
  hertz: number;
}

type Signal = NonNullable<NonNullable<ConstructorParameters<typeof SignalResponse>[0]>["message"]>;

/** The functions of the publishing page. */
interface Publisher {
  offer(): Promise<string>;
  accept(sdp: string): Promise<void>;
  candidate(candidate: string): Promise<void>;
  freeze(frozen: boolean): void;
  hush(quiet: boolean): void;
}

/** A room with an avatar in it. */
export class Room {
  readonly visits = new Mailbox<Visit>();
  readonly #server: Server;
  readonly #sockets = new WebSocketServer({ noServer: true });
  readonly #publisher: Page;
  #viewer: WebSocket | undefined;
  #release: () => void = () => {};
  #held: Promise<void> = Promise.resolve();
  #closed = false;

  private constructor(publisher: Page) {
    this.#publisher = publisher;
    this.#server = createServer((_request, response) => {
      // The client asks here why it was refused, and then falls back to the older way in.
      response.writeHead(404, { "access-control-allow-origin": "*" }).end();
    });
    this.#server.on("upgrade", (request, socket, head) => {
      const url = new URL(request.url ?? "/", "http://room");
      if (url.pathname !== "/rtc") {
        socket.end("HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
        return;
      }
      this.#sockets.handleUpgrade(request, socket, head, (opened) => {
        this.#whileOpen(this.#admit(opened, url.searchParams.get("reconnect") === "1"));
      });
    });
  }

  /** Opens a room whose avatar looks and sounds like this. */
  static async open(browser: Browser, look: Look): Promise<Room> {
    const publisher = await (await browser.newContext()).newPage();
    const script = await readFile(new URL("assets/publisher.js", import.meta.url), "utf8");
    await publisher.evaluate(script);
    await publisher.evaluate((wanted) => {
      (globalThis as unknown as { publish(look: Look): Promise<void> }).publish(wanted);
    }, look);
    const room = new Room(publisher);
    await new Promise<void>((resolve) => room.#server.listen(0, "127.0.0.1", resolve));
    return room;
  }

  /** The message that invites the page. */
  invitation(session: string): Record<string, unknown> {
    const { port } = this.#server.address() as AddressInfo;
    return {
      type: "avatar.join",
      provider: "liveavatar",
      url: `ws://127.0.0.1:${port}`,
      token: "viewer.token.of-the-test",
      session,
    };
  }

  /** Lets nobody see the avatar until `release`. */
  hold(): void {
    this.#held = new Promise((resolve) => {
      this.#release = resolve;
    });
  }

  release(): void {
    this.#release();
  }

  /** Stops or moves the picture; the tone goes on. */
  async freeze(frozen: boolean): Promise<void> {
    await this.#publisher.evaluate((stop) => (globalThis as unknown as Publisher).freeze(stop), frozen);
  }

  /** Silences the tone, or lets it sound; the picture goes on. */
  async hush(quiet: boolean): Promise<void> {
    await this.#publisher.evaluate((stop) => (globalThis as unknown as Publisher).hush(stop), quiet);
  }

  /** Loses the signalling connection without a goodbye. */
  drop(): void {
    this.#viewer?.terminate();
  }

  /** Ends the session as the vendor does. */
  delete(): void {
    this.#send({
      case: "leave",
      value: { action: LeaveRequest_Action.DISCONNECT, reason: DisconnectReason.ROOM_DELETED },
    });
  }

  count(what: Visit["what"]): number {
    return this.visits.all.filter((visit) => visit.what === what).length;
  }

  async until(what: Visit["what"], times = 1): Promise<void> {
    await this.visits.until(`${what}, ${times} times`, () => this.count(what) >= times || undefined);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.drop();
    this.#sockets.close();
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
    await this.#publisher.context().close();
  }

  /** What a viewer still says or wants when the room closes finds no publisher any more. */
  #whileOpen(work: Promise<void>): void {
    work.catch((error: unknown) => {
      if (!this.#closed) throw error;
    });
  }

  async #admit(socket: WebSocket, again: boolean): Promise<void> {
    this.#viewer = socket;
    socket.on("message", (data: Buffer) => this.#whileOpen(this.#hear(data)));
    if (again) {
      this.visits.put({ what: "reconnected" });
      this.#send({ case: "reconnect", value: {} });
      return;
    }
    this.visits.put({ what: "joined" });
    this.#send({ case: "join", value: WELCOME });
    await this.#held;
    const sdp = await this.#publisher.evaluate(() => (globalThis as unknown as Publisher).offer());
    this.#send({ case: "offer", value: { type: "offer", sdp } });
  }

  async #hear(data: Buffer): Promise<void> {
    const { message } = SignalRequest.fromBinary(new Uint8Array(data));
    switch (message.case) {
      case "answer":
        await this.#publisher.evaluate(
          (sdp) => (globalThis as unknown as Publisher).accept(sdp),
          message.value.sdp,
        );
        this.visits.put({ what: "answered" });
        return;
      case "trickle":
        if (message.value.target !== SignalTarget.SUBSCRIBER) return;
        await this.#publisher.evaluate(
          (candidate) => (globalThis as unknown as Publisher).candidate(candidate),
          message.value.candidateInit,
        );
        return;
      case "ping":
        this.#send({ case: "pong", value: message.value });
        return;
      case "pingReq":
        this.#send({ case: "pongResp", value: { lastPingTimestamp: message.value.timestamp } });
        return;
      case "leave":
        this.visits.put({ what: "left" });
        return;
      default:
    }
  }

  #send(message: Signal): void {
    if (this.#viewer?.readyState !== this.#viewer?.OPEN) return;
    this.#viewer?.send(new SignalResponse({ message }).toBinary());
  }
}

/** What a viewer is told on entering: who it is, and that the avatar is there with picture and sound. */
const WELCOME = {
  room: { sid: "RM_1", name: "avatar" },
  participant: {
    sid: "PA_viewer",
    identity: "viewer",
    state: ParticipantInfo_State.ACTIVE,
    permission: { canSubscribe: true },
  },
  otherParticipants: [
    {
      sid: "PA_heygen",
      identity: "heygen",
      state: ParticipantInfo_State.ACTIVE,
      isPublisher: true,
      tracks: [
        { sid: "TR_vid", type: TrackType.VIDEO, source: TrackSource.CAMERA, width: 1280, height: 720 },
        { sid: "TR_aud", type: TrackType.AUDIO, source: TrackSource.MICROPHONE },
      ],
    },
  ],
  subscriberPrimary: true,
  pingTimeout: 15,
  pingInterval: 5,
  serverInfo: { version: "1.13.5", protocol: 16 },
};
