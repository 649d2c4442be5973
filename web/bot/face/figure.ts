// Draws the delegate: a calm, friendly figure with a headset, on a plain 2D canvas.
//
// What never changes is painted once; a frame is two copies and a few dozen curves, cheap enough for a small machine
// without a graphics card.

import type { Activity, Frame } from "./motion.ts";

/** The figure's width and height. */
export const SIZE = 720;

const HEAD = { x: 360, y: 322, width: 150, height: 178 };
/** The head turns about the neck. */
const PIVOT = { x: 360, y: 500 };
const EYE = { apart: 62, y: -12, width: 33, height: 26 };
const MOUTH_Y = 84;

const SKIN = "#f3cfae";
const SKIN_LIGHT = "#fbe2c8";
const SKIN_SHADE = "#dfae8b";
const HAIR = "#3b3350";
const HAIR_LIGHT = "#55497a";
const INK = "#372d45";
const JACKET = "#2f4669";
const JACKET_DARK = "#263a59";
const SHIRT = "#f7f4ef";

/** The colour of the headset's lights, by which a glance tells what goes on. */
const LIGHTS: Record<Activity, string> = {
  idle: "143, 163, 176",
  listening: "110, 226, 178",
  thinking: "250, 199, 104",
  speaking: "126, 200, 255",
};

/** Paints frames. */
export class Figure {
  readonly #context: CanvasRenderingContext2D;
  readonly #body = new Layer(50, 430, 620, 290, paintBody);
  readonly #head = new Layer(150, 76, 420, 434, paintHead);

  constructor(canvas: HTMLCanvasElement) {
    const context = canvas.getContext("2d");
    if (!context) throw new Error("this browser offers no 2D canvas");
    this.#context = context;
  }

  /** Paints one frame. */
  draw(frame: Frame): void {
    const paint = this.#context;
    paint.clearRect(0, 0, SIZE, SIZE);
    halo(paint, frame);
    paint.save();
    paint.translate(0, -2 * frame.breath);
    this.#body.copyTo(paint);
    paint.restore();
    paint.save();
    paint.translate(PIVOT.x + frame.x, PIVOT.y + frame.y);
    paint.rotate(frame.tilt);
    paint.scale(frame.scale, frame.scale);
    paint.translate(-PIVOT.x, -PIVOT.y);
    this.#head.copyTo(paint);
    lights(paint, frame);
    paint.translate(HEAD.x + frame.yaw * 20, HEAD.y + frame.pitch * 20);
    face(paint, frame);
    paint.restore();
    thoughts(paint, frame);
  }
}

/** Something painted once; no larger than it must be, as copying is most of a frame's work. */
class Layer {
  readonly #canvas = document.createElement("canvas");
  readonly #x: number;
  readonly #y: number;

  constructor(
    x: number,
    y: number,
    width: number,
    height: number,
    fill: (paint: CanvasRenderingContext2D) => void,
  ) {
    this.#x = x;
    this.#y = y;
    this.#canvas.width = width;
    this.#canvas.height = height;
    const paint = this.#canvas.getContext("2d");
    paint?.translate(-x, -y);
    if (paint) fill(paint);
  }

  copyTo(paint: CanvasRenderingContext2D): void {
    paint.drawImage(this.#canvas, this.#x, this.#y);
  }
}

function paintBody(paint: CanvasRenderingContext2D): void {
  // Shoulders.
  const cloth = paint.createLinearGradient(0, 540, 0, SIZE);
  cloth.addColorStop(0, "#3a5580");
  cloth.addColorStop(1, JACKET_DARK);
  paint.fillStyle = cloth;
  paint.beginPath();
  paint.moveTo(60, 720);
  paint.bezierCurveTo(72, 620, 150, 584, 250, 560);
  paint.quadraticCurveTo(360, 600, 470, 560);
  paint.bezierCurveTo(570, 584, 648, 620, 660, 720);
  paint.fill();
  // Shirt in the neckline.
  paint.fillStyle = SHIRT;
  paint.beginPath();
  paint.moveTo(280, 562);
  paint.lineTo(360, 720);
  paint.lineTo(440, 562);
  paint.closePath();
  paint.fill();
  // Neck, and the shadow of the chin on it.
  const neck = paint.createLinearGradient(0, 460, 0, 600);
  neck.addColorStop(0, "#c98f6f");
  neck.addColorStop(0.6, SKIN_SHADE);
  neck.addColorStop(1, SKIN_SHADE);
  paint.fillStyle = neck;
  paint.beginPath();
  paint.moveTo(306, 440);
  paint.lineTo(306, 548);
  paint.quadraticCurveTo(312, 574, 360, 618);
  paint.quadraticCurveTo(408, 574, 414, 548);
  paint.lineTo(414, 440);
  paint.fill();
  // Collar and lapels.
  for (const side of [-1, 1]) {
    paint.save();
    paint.translate(360, 0);
    paint.scale(side, 1);
    paint.fillStyle = SHIRT;
    paint.beginPath();
    paint.moveTo(48, 536);
    paint.quadraticCurveTo(34, 580, 2, 616);
    paint.lineTo(44, 652);
    paint.lineTo(86, 556);
    paint.closePath();
    paint.fill();
    paint.fillStyle = JACKET;
    paint.beginPath();
    paint.moveTo(84, 552);
    paint.lineTo(130, 560);
    paint.lineTo(118, 634);
    paint.lineTo(94, 646);
    paint.lineTo(104, 664);
    paint.lineTo(10, 720);
    paint.lineTo(0, 720);
    paint.lineTo(0, 706);
    paint.closePath();
    paint.fill();
    paint.strokeStyle = "rgba(20, 30, 50, 0.35)";
    paint.lineWidth = 2;
    paint.stroke();
    paint.restore();
  }
}

function paintHead(paint: CanvasRenderingContext2D): void {
  paint.translate(HEAD.x, HEAD.y);
  const { width, height } = HEAD;
  // Hair behind the head.
  const hair = paint.createLinearGradient(-160, -200, 160, 180);
  hair.addColorStop(0, HAIR_LIGHT);
  hair.addColorStop(0.5, HAIR);
  hair.addColorStop(1, HAIR);
  paint.fillStyle = hair;
  paint.beginPath();
  paint.moveTo(-166, 120);
  paint.bezierCurveTo(-196, -60, -170, -222, 0, -226);
  paint.bezierCurveTo(170, -222, 196, -60, 166, 120);
  paint.bezierCurveTo(150, 160, 110, 150, 100, 120);
  paint.lineTo(-100, 120);
  paint.bezierCurveTo(-110, 150, -150, 160, -166, 120);
  paint.fill();
  // The head itself.
  const skin = paint.createRadialGradient(-40, -60, 30, 0, 0, 240);
  skin.addColorStop(0, SKIN_LIGHT);
  skin.addColorStop(0.6, SKIN);
  skin.addColorStop(1, SKIN_SHADE);
  paint.fillStyle = skin;
  paint.beginPath();
  paint.moveTo(0, height);
  paint.bezierCurveTo(-62, height, -width * 0.93, height * 0.66, -width * 0.96, height * 0.04);
  paint.bezierCurveTo(-width, -height * 0.7, -width * 0.62, -height, 0, -height);
  paint.bezierCurveTo(width * 0.62, -height, width, -height * 0.7, width * 0.96, height * 0.04);
  paint.bezierCurveTo(width * 0.93, height * 0.66, 62, height, 0, height);
  paint.fill();
  // Cheeks.
  for (const side of [-1, 1]) {
    const blush = paint.createRadialGradient(side * 88, 52, 4, side * 88, 52, 46);
    blush.addColorStop(0, "rgba(235, 130, 110, 0.34)");
    blush.addColorStop(1, "rgba(235, 130, 110, 0)");
    paint.fillStyle = blush;
    paint.beginPath();
    paint.arc(side * 88, 52, 46, 0, 2 * Math.PI);
    paint.fill();
  }
  // A parting to the side, and hair that frames the forehead.
  paint.fillStyle = hair;
  paint.beginPath();
  paint.moveTo(-154, 40);
  paint.bezierCurveTo(-160, -60, -136, -92, -62, -136);
  paint.bezierCurveTo(0, -104, 92, -104, 132, -62);
  paint.bezierCurveTo(150, -30, 152, 8, 154, 40);
  paint.bezierCurveTo(196, -90, 160, -226, 0, -226);
  paint.bezierCurveTo(-160, -226, -196, -90, -154, 40);
  paint.fill();
  // A sheen, and the parting.
  const sheen = paint.createLinearGradient(0, -215, 0, -110);
  sheen.addColorStop(0, "rgba(255, 255, 255, 0)");
  sheen.addColorStop(0.5, "rgba(255, 255, 255, 0.13)");
  sheen.addColorStop(1, "rgba(255, 255, 255, 0)");
  paint.fillStyle = sheen;
  paint.beginPath();
  paint.moveTo(-128, -112);
  paint.bezierCurveTo(-96, -190, 40, -220, 120, -128);
  paint.bezierCurveTo(40, -176, -60, -160, -128, -112);
  paint.fill();
  paint.strokeStyle = "rgba(25, 18, 40, 0.35)";
  paint.lineWidth = 3;
  paint.lineCap = "round";
  paint.beginPath();
  paint.moveTo(-62, -136);
  paint.quadraticCurveTo(-66, -176, -34, -212);
  paint.stroke();
  paintHeadset(paint);
}

function paintHeadset(paint: CanvasRenderingContext2D): void {
  paint.lineCap = "round";
  paint.strokeStyle = "#e8ecf2";
  paint.lineWidth = 17;
  paint.beginPath();
  paint.ellipse(0, 0, 168, 232, 0, Math.PI * 1.04, Math.PI * 1.96);
  paint.stroke();
  paint.strokeStyle = "rgba(60, 75, 100, 0.22)";
  paint.lineWidth = 4;
  paint.beginPath();
  paint.ellipse(0, 4, 160, 226, 0, Math.PI * 1.04, Math.PI * 1.96);
  paint.stroke();
  // The arm of the microphone.
  paint.strokeStyle = "#d5dbe4";
  paint.lineWidth = 8;
  paint.beginPath();
  paint.moveTo(-160, 40);
  paint.quadraticCurveTo(-158, 128, -92, 140);
  paint.stroke();
  paint.fillStyle = "#39465c";
  paint.beginPath();
  paint.ellipse(-86, 139, 20, 11, 0.18, 0, 2 * Math.PI);
  paint.fill();
  for (const side of [-1, 1]) {
    const cup = paint.createLinearGradient(0, -60, 0, 70);
    cup.addColorStop(0, "#f6f8fb");
    cup.addColorStop(1, "#c9d1dd");
    paint.fillStyle = cup;
    rounded(paint, side * 162 - 28, -56, 56, 116, 27);
    paint.fill();
    paint.fillStyle = "#39465c";
    rounded(paint, side * 162 - 16, -34, 32, 72, 16);
    paint.fill();
  }
}

function halo(paint: CanvasRenderingContext2D, frame: Frame): void {
  const reach = 300 + 6 * frame.breath + (frame.activity === "speaking" ? 26 * frame.mouthOpen : 0);
  paint.fillStyle = `rgba(${LIGHTS[frame.activity]}, 0.10)`;
  paint.beginPath();
  paint.arc(HEAD.x, HEAD.y + 10, reach, 0, 2 * Math.PI);
  paint.fill();
  paint.fillStyle = "rgba(255, 255, 255, 0.06)";
  paint.beginPath();
  paint.arc(HEAD.x, HEAD.y + 10, 262, 0, 2 * Math.PI);
  paint.fill();
}

/** Three dots that come and go: readable even where the picture is as small as a stamp. */
function thoughts(paint: CanvasRenderingContext2D, frame: Frame): void {
  if (frame.ponder < 0.02) return;
  for (const [dot, [x, y, size]] of [
    [542, 196, 9],
    [574, 162, 12],
    [614, 122, 16],
  ].entries() as IterableIterator<[number, [number, number, number]]>) {
    const shine = 0.55 + 0.45 * Math.sin(2 * Math.PI * (frame.beat - dot / 4));
    paint.fillStyle = `rgba(255, 236, 200, ${frame.ponder * shine})`;
    disc(paint, x, y, size * (0.85 + 0.15 * shine));
  }
}

function lights(paint: CanvasRenderingContext2D, frame: Frame): void {
  const colour = LIGHTS[frame.activity];
  for (const side of [-1, 1]) {
    const [x, y] = [HEAD.x + side * 162, HEAD.y + 2];
    paint.fillStyle = `rgba(${colour}, ${0.25 * frame.light})`;
    rounded(paint, x - 20, y - 38, 40, 80, 20);
    paint.fill();
    paint.fillStyle = `rgba(${colour}, ${0.35 + 0.65 * frame.light})`;
    rounded(paint, x - 6, y - 22, 12, 48, 6);
    paint.fill();
  }
}

function face(paint: CanvasRenderingContext2D, frame: Frame): void {
  for (const side of [-1, 1] as const) {
    paint.save();
    // The far eye of a turned head looks narrower.
    paint.translate(side * EYE.apart * (1 - 0.05 * side * frame.yaw), EYE.y);
    eye(paint, frame);
    brow(paint, side, side < 0 ? frame.browLeft : frame.browRight);
    paint.restore();
  }
  paint.strokeStyle = "rgba(176, 112, 82, 0.75)";
  paint.lineWidth = 5;
  paint.lineCap = "round";
  paint.beginPath();
  paint.moveTo(-9 + frame.yaw * 6, 40);
  paint.quadraticCurveTo(3 + frame.yaw * 8, 50, 15 + frame.yaw * 6, 40);
  paint.stroke();
  mouth(paint, frame);
}

function eye(paint: CanvasRenderingContext2D, frame: Frame): void {
  const height = EYE.height * (1 + 0.22 * frame.widen);
  const open = 1 - frame.lids;
  const top = -height * (2 * open - 1);
  const side = lidSide(top, height);
  // What the lid covers is not painted, so the skin needs no imitation.
  paint.save();
  paint.beginPath();
  paint.moveTo(-EYE.width, height);
  paint.lineTo(-EYE.width, side);
  paint.quadraticCurveTo(0, 2 * top - side, EYE.width, side);
  paint.lineTo(EYE.width, height);
  paint.clip();
  paint.beginPath();
  paint.ellipse(0, 0, EYE.width, height, 0, 0, 2 * Math.PI);
  paint.clip();
  paint.fillStyle = "#fffdf9";
  paint.fillRect(-EYE.width, -height, 2 * EYE.width, 2 * height);
  const [x, y] = [frame.gazeX * 13, frame.gazeY * 11];
  paint.fillStyle = "#4c7d74";
  disc(paint, x, y, 19.5);
  paint.fillStyle = "#2f5550";
  disc(paint, x, y, 15);
  paint.fillStyle = "#1d2230";
  disc(paint, x, y, 9.5);
  paint.fillStyle = "rgba(255, 255, 255, 0.92)";
  disc(paint, x + 6, y - 7, 4.6);
  disc(paint, x - 5, y + 6, 2.2);
  // The shade of the lid.
  paint.fillStyle = "rgba(90, 60, 60, 0.16)";
  paint.fillRect(-EYE.width, -height, 2 * EYE.width, top + height + 7);
  paint.restore();
  // The lash line follows the lid.
  paint.strokeStyle = INK;
  paint.lineWidth = 6;
  paint.lineCap = "round";
  paint.beginPath();
  if (open > 0.97) {
    paint.ellipse(0, 0, EYE.width, height, 0, Math.PI * 1.06, Math.PI * 1.94);
  } else {
    const reach = EYE.width * Math.sqrt(Math.max(0.25, 1 - (side / height) ** 2));
    paint.moveTo(-reach, side);
    paint.quadraticCurveTo(0, 2 * top - side, reach, side);
  }
  paint.stroke();
}

/** The lid's edge is an arch when it is up and hangs through a little when it is down. */
function lidSide(top: number, height: number): number {
  return top + 0.45 * height * Math.max(-0.4, -top / height);
}

function brow(paint: CanvasRenderingContext2D, side: -1 | 1, lift: number): void {
  const y = -50 - 19 * lift;
  paint.strokeStyle = HAIR;
  paint.lineWidth = 10;
  paint.lineCap = "round";
  paint.beginPath();
  paint.moveTo(-side * 27, y + 6 - 3 * lift);
  paint.quadraticCurveTo(side * 4, y - 14 - 4 * lift, side * 33, y + 7);
  paint.stroke();
}

function mouth(paint: CanvasRenderingContext2D, frame: Frame): void {
  const width = 43 + 11 * frame.mouthWide - 6 * frame.mouthOpen;
  const corner = MOUTH_Y - 8 * frame.smile;
  const upper = MOUTH_Y + 7 * frame.smile - 7 * frame.mouthOpen;
  const lower = MOUTH_Y + 9 * frame.smile + 62 * frame.mouthOpen;
  const aside = frame.yaw * 4;
  paint.save();
  paint.translate(aside, 0);
  const lips = new Path2D();
  lips.moveTo(-width, corner);
  lips.quadraticCurveTo(0, 2 * upper - corner, width, corner);
  lips.bezierCurveTo(width * 0.72, lower, -width * 0.72, lower, -width, corner);
  if (frame.mouthOpen > 0.03) {
    paint.fillStyle = "#6d2f3d";
    paint.fill(lips);
    paint.save();
    paint.clip(lips);
    paint.fillStyle = "#fffaf4";
    rounded(paint, -width * 0.74, upper - 16, width * 1.48, 16 + 9 + 5 * frame.mouthOpen, 8);
    paint.fill();
    paint.fillStyle = "#dd7f84";
    paint.beginPath();
    paint.ellipse(0, lower - 6 * frame.mouthOpen, width * 0.6, 22 * frame.mouthOpen, 0, 0, 2 * Math.PI);
    paint.fill();
    paint.restore();
  }
  paint.strokeStyle = "#a9524f";
  paint.lineWidth = 6;
  paint.lineJoin = "round";
  paint.lineCap = "round";
  paint.stroke(lips);
  paint.restore();
}

function disc(paint: CanvasRenderingContext2D, x: number, y: number, radius: number): void {
  paint.beginPath();
  paint.arc(x, y, radius, 0, 2 * Math.PI);
  paint.fill();
}

function rounded(
  paint: CanvasRenderingContext2D,
  x: number,
  y: number,
  width: number,
  height: number,
  radius: number,
): void {
  paint.beginPath();
  paint.roundRect(x, y, width, height, radius);
}
