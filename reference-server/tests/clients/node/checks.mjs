// The servers that `run.py` started, and what the suites share.

import assert from "node:assert/strict";
import { describe } from "node:test";
import { deflateSync } from "node:zlib";
import { setTimeout } from "node:timers/promises";
import { z } from "zod";

const { STOCKADE_URL, STOCKADE_KEY, STOCKADE_LIMITED_KEY, STOCKADE_TARGETS } = process.env;

export const url = STOCKADE_URL;
export const baseURL = `${STOCKADE_URL}/v1`;
export const apiKey = STOCKADE_KEY;
export const unknownKey = `sk_demo_${"0".repeat(36)}`;
// One request per second.
export const limitedKey = STOCKADE_LIMITED_KEY;
export const hello = [{ role: "user", content: "hello" }];

// A name that no library derives from the type of the arguments.
export const toolName = "get_weather";
export const weather = z.strictObject({ city: z.enum(["Paris", "Rome"]), sunny: z.boolean() });

/** Runs the tests of a client for each model of the server. */
export function eachTarget(client, tests) {
  for (const target of STOCKADE_TARGETS.split(" ")) {
    describe(`${client} [${target}]`, { concurrency: false }, () => tests(target));
  }
}

function crc32(data) {
  let crc = ~0;
  for (const byte of data) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}

function chunk(kind, data) {
  const content = Buffer.concat([Buffer.from(kind), data]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(data.length);
  const crc = Buffer.alloc(4);
  crc.writeUInt32BE(crc32(content));
  return Buffer.concat([length, content, crc]);
}

/** A red PNG. */
export function png(side = 56) {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(side, 0);
  header.writeUInt32BE(side, 4);
  header.set([8, 2, 0, 0, 0], 8);
  const row = Buffer.concat([
    Buffer.from([0]),
    ...Array.from({ length: side }, () => Buffer.from([255, 0, 0])),
  ]);
  const rows = Buffer.concat(Array.from({ length: side }, () => row));
  return Buffer.concat([
    Buffer.from("\x89PNG\r\n\x1a\n", "latin1"),
    chunk("IHDR", header),
    chunk("IDAT", deflateSync(rows)),
    chunk("IEND", Buffer.alloc(0)),
  ]);
}

export function dataUrl() {
  return `data:image/png;base64,${png().toString("base64")}`;
}

async function runningChats(target) {
  const server = process.env[`STOCKADE_METRICS_${target.toUpperCase()}`];
  const headers = { authorization: `Bearer ${apiKey}` };
  const text = await (await fetch(`${server}/metrics`, { headers })).text();
  const values = [...text.matchAll(/^stockade_model_running_chats(?:\{.*\})? (\S+)$/gm)];
  assert.ok(values.length > 0, text);
  return values.reduce((sum, [, value]) => sum + Number(value), 0);
}

export async function waitForRunningChats(target, number) {
  const end = Date.now() + 5_000;
  while ((await runningChats(target)) !== number) {
    assert.ok(Date.now() < end, `no ${number} running chats`);
    await setTimeout(20);
  }
}

/** Sends requests with the limited key until one is refused, and returns its error. */
export async function exhaust(send, attempts = 3) {
  for (let attempt = 0; attempt < attempts; attempt++) {
    try {
      await send();
    } catch (error) {
      return error;
    }
  }
  assert.fail("no request was refused");
}
