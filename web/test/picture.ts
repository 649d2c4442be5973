// What the face looks like, compared: read from its canvas, as pictures of the whole page take longer than a nod.

import type { Page } from "playwright-core";

/** A small picture of the figure, as bytes of colour. */
export type Portrait = Buffer;

/** The figure as it is now. */
export async function portrait(page: Page): Promise<Portrait> {
  const taken = await page.evaluate(() => {
    const small = document.createElement("canvas");
    small.width = small.height = 120;
    const paint = small.getContext("2d", { willReadFrequently: true });
    const figure = document.querySelector<HTMLCanvasElement>("#figure");
    if (!paint || !figure) throw new Error("no figure");
    paint.drawImage(figure, 120, 60, 480, 480, 0, 0, 120, 120);
    const { data } = paint.getImageData(0, 0, 120, 120);
    // Text is what travels quickly from a page to a test.
    return Array.from({ length: 8 }, (_, part) => String.fromCharCode(...data.subarray(part * 7_200, (part + 1) * 7_200))).join("");
  });
  return Buffer.from(taken, "latin1");
}

/** The mean difference of all colours, from 0 to 1. */
export function difference(one: Portrait, other: Portrait): number {
  const sum = one.reduce((total, colour, at) => total + Math.abs(colour - (other[at] as number)), 0);
  return sum / one.length / 255;
}
