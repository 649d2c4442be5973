// What the page does with what its meeting says: the wiring between the socket and the page's parts.

import { socketUrl, type Address } from "./address.ts";
import { Avatars } from "./avatar.ts";
import type { Face } from "./face/face.ts";
import { Link } from "./link.ts";
import { parse, type ToPage } from "./protocol.ts";
import { Ear, type Microphone, type Sound } from "./sound/audio.ts";
import type { Speech } from "./sound/speech.ts";

/** What works without a meeting. */
export interface Parts {
  face: Face;
  microphone: Microphone;
  sound: Sound;
  voice: Speech;
}

/** The page, in a meeting. */
export class Page {
  readonly #parts: Parts;
  readonly #link: Link;
  readonly #avatars: Avatars;
  readonly #blocked = { speech: false, avatar: false };
  #avatarSound: MediaStreamAudioSourceNode | undefined;

  constructor(address: Address, parts: Parts) {
    this.#parts = parts;
    const { face, sound, voice } = parts;
    this.#link = new Link(socketUrl(location, address), {
      text: (frame) => {
        const message = parse(frame);
        if (message) this.#obey(message);
      },
      audio: (frame) => voice.audio(frame),
      closed: () => voice.cutOff("the connection was lost"),
    });
    this.#avatars = new Avatars(place("avatar"), {
      tell: (message) => this.#link.tell(message),
      show: (video) => this.#show(video),
      sound: (stream) => this.#follow(stream),
      ear: (stream) => new Ear(sound.context, stream),
      blocked: (blocked) => this.#tellBlocked("avatar", blocked),
    });
    face.follow(() => ({
      samples: sound.latest(),
      rate: sound.context.sampleRate,
      speaking: voice.sounding,
    }));
    voice.report((message) => this.#link.tell(message));
    sound.watch((blocked) => this.#tellBlocked("speech", blocked));
  }

  /** Connects to the meeting, for as long as the page is open. */
  connect(): void {
    this.#link.connect();
  }

  #obey(message: ToPage): void {
    const { face, voice } = this.#parts;
    switch (message.type) {
      case "hello":
        this.#greet(message);
        return;
      case "avatar.join":
        this.#avatars.join(message);
        return;
      case "avatar.leave":
        this.#avatars.leave(message.session);
        return;
      case "speak.start":
        voice.start(message.utteranceId, message.format);
        return;
      case "speak.end":
        voice.end(message.utteranceId);
        return;
      case "interrupt":
        voice.interrupt();
        return;
      case "pose":
        face.pose(message.pose);
        return;
      case "react":
        face.react(message.reaction);
        return;
      case "ping":
        this.#link.expectPings();
        this.#link.tell({ type: "pong" });
    }
  }

  #greet(hello: ToPage & { type: "hello" }): void {
    const { face, microphone, sound, voice } = this.#parts;
    face.name(hello.name, hello.company);
    face.pose(hello.pose);
    if (hello.microphone) {
      void microphone.listen(sound.context, (frame) => this.#link.stream(frame));
    } else {
      microphone.deafen();
    }
    this.#link.ready();
    // Whoever holds this connection may not know what the last one was told.
    voice.repeat();
    if (this.#blocked.speech || this.#blocked.avatar) this.#link.tell({ type: "sound.blocked" });
  }

  #tellBlocked(what: "speech" | "avatar", blocked: boolean): void {
    const before = this.#blocked.speech || this.#blocked.avatar;
    this.#blocked[what] = blocked;
    if (blocked && !before) this.#link.tell({ type: "sound.blocked" });
  }

  #show(video: HTMLVideoElement | undefined): void {
    for (const shown of document.querySelectorAll("video.shown")) shown.classList.remove("shown");
    video?.classList.add("shown");
    document.body.dataset["shown"] = video ? "avatar" : "face";
    this.#parts.face.hide(video !== undefined);
  }

  /** Lets the builtin face's mouth follow the avatar's sound, should the face have to step in. */
  #follow(stream: MediaStream | undefined): void {
    const { context, loudness } = this.#parts.sound;
    this.#avatarSound?.disconnect();
    this.#avatarSound = stream && context.createMediaStreamSource(stream);
    this.#avatarSound?.connect(loudness);
  }
}

/** A place of the document, by its id. */
export function place(id: string): HTMLElement {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page lacks #${id}`);
  return found;
}
