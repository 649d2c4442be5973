// The avatar's rooms: joins them, shows their picture, plays their sound, and says how they fare.
//
// Guarantees: a new session replaces the old picture only when it has a picture of its own; a picture that stands
// still or is gone is said and given up; that a session was heard is said once, and again when its room is joined
// again; at most two rooms are open. What replaces a missing picture is the stage's business, starting and stopping
// sessions the meeting's.

import {
  DisconnectReason,
  LogLevel,
  Room,
  RoomEvent,
  setLogLevel,
  Track,
  type RemoteTrack,
} from "livekit-client";
import type { AvatarRoom, FromPage } from "./protocol.ts";
import type { Ear } from "./sound/audio.ts";

// Its log quotes addresses, which carry the viewer's token.
setLogLevel(LogLevel.silent);

/** The avatar's name in its room; everybody else there is ignored. */
const AVATAR_IDENTITY = "heygen";
/** Without a new frame for this long the picture stands still. */
const FROZEN_AFTER_MS = 3_000;
const WATCH_MS = 250;
/** How often blocked sound is tried again. */
const UNBLOCK_MS = 1_000;
/** The one that is shown and the one that will be. */
const MAX_ROOMS = 2;

/** What the rooms need from the page. */
export interface AvatarEvents {
  tell(message: FromPage): void;
  /** The video to show, or none. */
  show(video: HTMLVideoElement | undefined): void;
  /** The avatar's sound, for whoever follows its loudness. */
  sound(stream: MediaStream | undefined): void;
  /** What notices sound on a stream. */
  ear(stream: MediaStream): Ear;
  blocked(blocked: boolean): void;
}

/** All rooms of the page. */
export class Avatars {
  readonly #events: AvatarEvents;
  readonly #place: HTMLElement;
  /** In the order of joining. */
  #rooms: AvatarSession[] = [];
  #shown: AvatarSession | undefined;

  constructor(place: HTMLElement, events: AvatarEvents) {
    this.#place = place;
    this.#events = events;
    setInterval(() => this.#watch(), WATCH_MS);
    setInterval(() => this.#unblock(), UNBLOCK_MS);
  }

  /** Joins a room, or says again how it stands if that room is joined already. */
  join(address: AvatarRoom): void {
    const joined = this.#rooms.find((room) => room.address.session === address.session);
    if (joined && joined.address.url === address.url && joined.address.token === address.token) {
      joined.repeat();
      return;
    }
    if (joined) this.#close(joined);
    while (this.#rooms.length >= MAX_ROOMS) {
      const spare = this.#rooms.find((room) => room !== this.#shown) ?? this.#rooms[0];
      if (spare) this.#close(spare);
    }
    const session: AvatarSession = new AvatarSession(address, this.#place, {
      tell: (message) => this.#events.tell(message),
      moved: () => this.#refresh(),
      gone: () => this.#close(session),
      ear: (stream) => this.#events.ear(stream),
    });
    this.#rooms.push(session);
  }

  /** Leaves a room. */
  leave(session: string): void {
    const room = this.#rooms.find((one) => one.address.session === session);
    if (room) this.#close(room);
  }

  #close(room: AvatarSession): void {
    this.#rooms = this.#rooms.filter((one) => one !== room);
    room.close();
    this.#refresh();
  }

  #watch(): void {
    const before = this.#rooms.filter((room) => room.alive).length;
    for (const room of this.#rooms) room.watch();
    if (this.#rooms.filter((room) => room.alive).length !== before) this.#refresh();
  }

  /** Shows the newest room that has a moving picture. */
  #refresh(): void {
    const shown = this.#rooms.findLast((room) => room.alive);
    if (shown === this.#shown) return;
    this.#shown = shown;
    this.#events.show(shown?.video);
    // A frozen picture leaves its sound, and the face that steps in speaks with it.
    const heard = shown ?? this.#rooms.findLast((room) => room.hasSound);
    this.#events.sound(heard?.stream);
  }

  #unblock(): void {
    const silent = this.#rooms.filter((room) => room.blocked);
    this.#events.blocked(silent.length > 0);
    for (const room of silent) room.unblock();
  }
}

interface SessionEvents {
  tell(message: FromPage): void;
  /** Its picture began to move, again or for the first time. */
  moved(): void;
  /** It cannot come back by itself. */
  gone(): void;
  ear(stream: MediaStream): Ear;
}

class AvatarSession {
  readonly address: AvatarRoom;
  readonly video: HTMLVideoElement;
  readonly #events: SessionEvents;
  readonly #room = new Room({ adaptiveStream: false, dynacast: false });
  readonly #joinedAt = performance.now();
  readonly #tracks = new Map<Track.Kind, RemoteTrack>();
  #firstFrameMs: number | undefined;
  #lastFrameAt = 0;
  #frozen = false;
  #told = false;
  #ear: Ear | undefined;
  #heard = false;
  #closed = false;

  constructor(address: AvatarRoom, place: HTMLElement, events: SessionEvents) {
    this.address = address;
    this.#events = events;
    this.video = document.createElement("video");
    this.video.playsInline = true;
    this.video.autoplay = true;
    place.append(this.video);
    this.#followFrames();
    this.#room
      .on(RoomEvent.TrackSubscribed, (track, _publication, participant) => {
        if (participant.identity === AVATAR_IDENTITY) this.#attach(track);
      })
      .on(RoomEvent.TrackUnsubscribed, (track) => {
        if (this.#tracks.get(track.kind) === track) this.#detach(track);
      })
      .on(RoomEvent.ParticipantDisconnected, (participant) => {
        if (participant.identity === AVATAR_IDENTITY) this.#end("the avatar left its room");
      })
      .on(RoomEvent.Disconnected, (reason) => {
        // The page itself leaves, or is closed with the browser.
        if (reason === DisconnectReason.CLIENT_INITIATED) return;
        this.#end(DisconnectReason[reason ?? DisconnectReason.UNKNOWN_REASON].toLowerCase());
      });
    this.#room
      .connect(address.url, address.token)
      // LiveKit's messages may quote the address, which carries the token.
      .catch(() => this.#end("the room could not be joined"));
  }

  /** Whether its picture moves. */
  get alive(): boolean {
    return this.#firstFrameMs !== undefined && !this.#frozen && this.#tracks.has(Track.Kind.Video);
  }

  get hasSound(): boolean {
    return this.#tracks.has(Track.Kind.Audio);
  }

  get stream(): MediaStream | undefined {
    const track = this.#tracks.get(Track.Kind.Audio);
    return track && new MediaStream([track.mediaStreamTrack]);
  }

  /** Whether the browser refuses to play its sound. */
  get blocked(): boolean {
    return this.hasSound && !this.#room.canPlaybackAudio;
  }

  unblock(): void {
    void this.#room.startAudio().catch(() => {});
  }

  /** Tells that the tracks are up, once picture and sound are both there. */
  report(): void {
    if (this.#firstFrameMs === undefined || this.#tracks.size < 2) return;
    this.#told = true;
    this.#events.tell({
      type: "avatar.tracks",
      session: this.address.session,
      first_frame_ms: this.#firstFrameMs,
    });
  }

  /** Says again how it stands; what was heard first, as more may depend on that. */
  repeat(): void {
    if (this.#heard) this.#tellHeard();
    this.report();
  }

  /** Notices the first sound, and a picture that stands still. */
  watch(): void {
    this.#listen();
    if (!this.alive || performance.now() - this.#lastFrameAt < FROZEN_AFTER_MS) return;
    this.#frozen = true;
    this.#events.tell({ type: "video.frozen", session: this.address.session });
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const track of this.#tracks.values()) track.detach();
    this.#tracks.clear();
    this.#deafen();
    this.video.remove();
    void this.#room.disconnect();
  }

  #attach(track: RemoteTrack): void {
    this.#tracks.set(track.kind, track);
    // Picture and sound on one element stay in step.
    track.attach(this.video);
    const stream = this.stream;
    if (track.kind === Track.Kind.Audio && stream && !this.#heard) {
      this.#deafen();
      this.#ear = this.#events.ear(stream);
    }
    this.#reportOnce();
  }

  #listen(): void {
    if (this.blocked || !this.#ear?.hears()) return;
    this.#heard = true;
    this.#deafen();
    this.#tellHeard();
  }

  #deafen(): void {
    this.#ear?.close();
    this.#ear = undefined;
  }

  #tellHeard(): void {
    this.#events.tell({ type: "avatar.heard", session: this.address.session });
  }

  #detach(track: RemoteTrack): void {
    track.detach();
    this.#tracks.delete(track.kind);
    if (track.kind === Track.Kind.Audio) this.#deafen();
    // Whatever comes next counts as new: it has to show a frame first.
    if (track.kind === Track.Kind.Video) this.#frozen = true;
    this.#events.moved();
  }

  #followFrames(): void {
    this.video.requestVideoFrameCallback(() => {
      if (this.#closed) return;
      this.#lastFrameAt = performance.now();
      const begins = this.#frozen || this.#firstFrameMs === undefined;
      this.#firstFrameMs ??= Math.round(this.#lastFrameAt - this.#joinedAt);
      this.#frozen = false;
      if (begins) this.#events.moved();
      this.#reportOnce();
      this.#followFrames();
    });
  }

  #reportOnce(): void {
    if (!this.#told) this.report();
  }

  #end(reason: string): void {
    if (this.#closed) return;
    this.#events.tell({ type: "avatar.disconnected", session: this.address.session, reason });
    this.#events.gone();
  }
}
