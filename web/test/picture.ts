// What the face looks like, compared: read from its canvas, as pictures of the whole page take longer than a nod.

import type { Page } from "playwright-core";

/** A small picture of the figure, as bytes of colour. */
export type Portrait = Buffer;

const EVERY_MS = 100;
/** Longer than a nod, and until the other reactions are at their height. */
const LOOKS = 14;

/** The figure as it is now. */
export async function portrait(page: Page): Promise<Portrait> {
  const [only] = await portraits(page, 1);
  if (!only) throw new Error("one picture was asked for");
  return only;
}

/** How far the figure strays from what it is now, in the next second and a half. */
export async function restlessness(page: Page): Promise<number> {
  const [first, ...others] = await portraits(page, LOOKS);
  return Math.max(...others.map((other) => difference(first as Portrait, other)));
}

/** The mean difference of all colours, from 0 to 1. */
export function difference(one: Portrait, other: Portrait): number {
  const sum = one.reduce((total, colour, at) => total + Math.abs(colour - (other[at] as number)), 0);
  return sum / one.length / 255;
}

async function portraits(page: Page, count: number): Promise<Portrait[]> {
  const taken = await page.evaluate(
    async ({ count, everyMs }) => {
      const small = document.createElement("canvas");
      small.width = small.height = 120;
      const paint = small.getContext("2d", { willReadFrequently: true });
      const figure = document.querySelector<HTMLCanvasElement>("#figure");
      if (!paint || !figure) throw new Error("no figure");
      const taken: string[] = [];
      while (taken.length < count) {
        paint.clearRect(0, 0, 120, 120);
        paint.drawImage(figure, 120, 60, 480, 480, 0, 0, 120, 120);
        const { data } = paint.getImageData(0, 0, 120, 120);
        // Text is what travels quickly from a page to a test.
        taken.push(Array.from({ length: 8 }, (_, part) => String.fromCharCode(...data.subarray(part * 7_200, (part + 1) * 7_200))).join(""));
        await new Promise((resolve) => setTimeout(resolve, everyMs));
      }
      return taken;
    },
    { count, everyMs: EVERY_MS },
  );
  return taken.map((text) => Buffer.from(text, "latin1"));
}
