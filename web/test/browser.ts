// A real Chromium, as a bot runs it.

import { chromium, type Browser, type Page } from "playwright-core";
import type { Meeting } from "./meeting.ts";

/** `cargo xtask` finds one or installs it, and says which; without it, Debian's. */
const CHROMIUM = process.env["CHROMIUM_BIN"] ?? "/usr/bin/chromium";

/** What differs between browsers. */
export interface Wishes {
  /** Whether the microphone is granted, as a bot's browser does. */
  microphone?: boolean;
  /** A sound file that the microphone hears. */
  heard?: string;
  arguments?: string[];
}

/** Starts a browser without any permission to play sound unasked. */
export async function launch(wishes: Wishes = {}): Promise<Browser> {
  const microphone = wishes.microphone ?? true;
  return chromium.launch({
    executablePath: CHROMIUM,
    // Playwright mutes its browsers, and a muted tab is not what is tested here.
    ignoreDefaultArgs: ["--mute-audio"],
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-features=WebRtcHideLocalIpsWithMdns",
      "--autoplay-policy=document-user-activation-required",
      "--disable-background-timer-throttling",
      "--disable-renderer-backgrounding",
      "--disable-backgrounding-occluded-windows",
      ...(microphone ? ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"] : []),
      ...(wishes.heard ? [`--use-file-for-fake-audio-capture=${wishes.heard}`] : []),
      ...(wishes.arguments ?? []),
    ],
  });
}

/** An open page and what its console said. */
export interface Opened {
  page: Page;
  complaints: string[];
}

/** Opens the page as the bot does; it starts by itself, nobody clicks. */
export async function open(
  browser: Browser,
  meeting: Meeting,
  prepare?: (page: Page) => Promise<unknown>,
): Promise<Opened> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 720 } });
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(String(error)));
  await prepare?.(page);
  await page.goto(meeting.pageUrl);
  return { page, complaints };
}
