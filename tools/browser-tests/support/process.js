// A program in a folder of its own, until its output contains something.

import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

const START_MS = 180_000;

/** An empty folder, with a function that removes it. */
export async function emptyFolder() {
    const folder = await mkdtemp(join(tmpdir(), "stockade-browser-"));
    return { folder, removeFolder: () => rm(folder, { recursive: true, force: true }) };
}

/** A port that is free. */
export function freePort() {
    return new Promise((resolve, reject) => {
        const server = createServer();
        server.once("error", reject);
        server.listen(0, "127.0.0.1", () => {
            const { port } = server.address();
            server.close(() => resolve(port));
        });
    });
}

/** Starts a program, and waits until `read` returns something for its output. */
export async function startProgram(program, args, { environment = {}, read }) {
    const child = spawn(program, args, { env: { ...process.env, ...environment }, stdio: ["ignore", "pipe", "pipe"] });
    let log = "";
    const ended = new Promise((resolve) => {
        child.once("exit", (code) => resolve(`the program ended with ${code}`));
        child.once("error", (error) => resolve(`the program cannot be started: ${error.message}`));
    });
    const stop = async () => {
        if (child.exitCode === null && child.kill("SIGTERM")) await ended;
    };
    let output = "";
    const found = new Promise((resolve) => {
        child.stderr.on("data", (data) => (log += data));
        child.stdout.on("data", (data) => {
            output += data;
            const result = read(output);
            if (result) resolve({ result });
        });
    });
    let timer = 0;
    const late = new Promise((resolve) => (timer = setTimeout(() => resolve(`not ready within ${START_MS} ms`), START_MS)));
    const first = await Promise.race([found, ended, late]);
    clearTimeout(timer);
    if (typeof first !== "string") return { ...first, stop };
    await stop();
    throw new Error(`${program}: ${first}\n${output}${log}`);
}
