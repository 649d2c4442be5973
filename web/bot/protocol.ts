// The messages of the page's socket.
//
// Text frames are JSON with a `type`; binary frames are audio, speech to the page and the microphone from it.
// What is unknown or malformed reads as `undefined` and is left out, so that a newer server does not break an older page.

/** What the face does when nothing is said. */
export type Pose = "listening" | "thinking" | "idle";

/** A short gesture. */
export type Reaction = "nod" | "interested" | "thinking";

/** How the sound of an utterance is encoded. */
export type SpeechFormat = "mp3" | "pcm_24000";

/** The room of an avatar session, as a viewer enters it. */
export interface AvatarRoom {
  session: string;
  provider: string;
  url: string;
  token: string;
}

/** An order or a fact from the meeting. */
export type ToPage =
  | { type: "hello"; name: string; company: string; pose: Pose; microphone: boolean }
  | ({ type: "avatar.join" } & AvatarRoom)
  | { type: "avatar.leave"; session: string }
  | { type: "speak.start"; utteranceId: string; format: SpeechFormat; text: string }
  | { type: "speak.end"; utteranceId: string }
  | { type: "interrupt" }
  | { type: "pose"; pose: Pose }
  | { type: "react"; reaction: Reaction }
  | { type: "ping" };

/** A fact for the meeting. */
export type FromPage =
  | { type: "ready" }
  | { type: "avatar.tracks"; session: string; first_frame_ms: number }
  | { type: "avatar.heard"; session: string }
  | { type: "avatar.disconnected"; session: string; reason: string }
  | { type: "video.frozen"; session: string }
  | { type: "playing"; utterance_id: string; played_ms: number; interrupted?: true }
  | { type: "spoken"; utterance_id: string }
  | { type: "speak.failed"; utterance_id: string; reason: string; played_ms: number }
  | { type: "sound.blocked" }
  | { type: "pong" };

const POSES: readonly Pose[] = ["listening", "thinking", "idle"];
const REACTIONS: readonly Reaction[] = ["nod", "interested", "thinking"];
const FORMATS: readonly SpeechFormat[] = ["mp3", "pcm_24000"];

/** Reads a text frame; `undefined` if it says nothing this page understands. */
export function parse(frame: string): ToPage | undefined {
  let json: unknown;
  try {
    json = JSON.parse(frame);
  } catch {
    return undefined;
  }
  if (!isObject(json)) return undefined;
  switch (json["type"]) {
    case "hello":
      return hello(json);
    case "avatar.join":
      return avatarJoin(json);
    case "avatar.leave": {
      const session = text(json["session"]);
      return session === undefined ? undefined : { type: "avatar.leave", session };
    }
    case "speak.start":
      return speakStart(json);
    case "speak.end": {
      const utteranceId = text(json["utterance_id"]);
      return utteranceId === undefined ? undefined : { type: "speak.end", utteranceId };
    }
    case "interrupt":
      return { type: "interrupt" };
    case "pose": {
      const pose = oneOf(POSES, json["pose"]);
      return pose && { type: "pose", pose };
    }
    case "react": {
      const reaction = oneOf(REACTIONS, json["reaction"]);
      return reaction && { type: "react", reaction };
    }
    case "ping":
      return { type: "ping" };
    default:
      return undefined;
  }
}

// The greeting opens the conversation, so whatever it lacks is made up for.
function hello(json: Record<string, unknown>): ToPage {
  const agent = isObject(json["agent"]) ? json["agent"] : {};
  return {
    type: "hello",
    name: text(agent["name"]) ?? "",
    company: text(agent["company"]) ?? "",
    pose: oneOf(POSES, json["pose"]) ?? "idle",
    microphone: json["microphone"] === true,
  };
}

function avatarJoin(json: Record<string, unknown>): ToPage | undefined {
  const [session, url, token] = [text(json["session"]), text(json["url"]), text(json["token"])];
  if (session === undefined || url === undefined || token === undefined) return undefined;
  return { type: "avatar.join", session, url, token, provider: text(json["provider"]) ?? "" };
}

function speakStart(json: Record<string, unknown>): ToPage | undefined {
  const utteranceId = text(json["utterance_id"]);
  const format = oneOf(FORMATS, json["format"]);
  if (utteranceId === undefined || format === undefined) return undefined;
  return { type: "speak.start", utteranceId, format, text: text(json["text"]) ?? "" };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function text(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

function oneOf<T extends string>(known: readonly T[], value: unknown): T | undefined {
  return known.find((one) => one === value);
}
