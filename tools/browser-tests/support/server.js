// Starts the server of the demo, or the example program, and stops it afterwards.

import assert from "node:assert/strict";
import { appendFile } from "node:fs/promises";
import { join } from "node:path";

import { emptyFolder, freePort, startProgram } from "./process.js";

const LINK = /http:\S+\/admin\/#setup=\S+/;
/** The picture of the example requests that the demo prints. */
const PICTURE = /data:image\/png;base64,[\w+/=]+/;

function program(variable) {
    const path = process.env[variable];
    assert.ok(path, `${variable} is not set; run scripts/browser-tests`);
    return path;
}

/**
 * The demo with its own model: the addresses of its API and its administration, and the link for
 * the first user. With `settings`, a server of the demo's files and these tables of its
 * configuration, which may contain the origin of the administration.
 */
export async function startServer({ settings, environment } = {}) {
    const server = program("SERVER_BIN");
    const { folder, removeFolder } = await emptyFolder();
    try {
        const [api, admin] = [`127.0.0.1:${await freePort()}`, `127.0.0.1:${await freePort()}`];
        const origin = `http://${admin}`;
        const args = ["demo", "--dir", folder, "--listen", api, "--admin-listen", admin];
        const read = (output) => /Ctrl-C stops the server/.test(output) && { link: LINK.exec(output)?.[0], picture: PICTURE.exec(output)?.[0] };
        let running = await startProgram(server, args, { environment, read });
        const { picture } = running.result;
        if (settings) {
            await running.stop();
            const config = join(folder, "stockade.toml");
            await appendFile(config, await settings({ origin, folder }));
            running = await startProgram(server, ["serve", "--config", config], { environment, read: (output) => LINK.test(output) && { link: LINK.exec(output)[0] } });
            await answering(`http://${api}`);
        }
        const { stop: stopProgram, result } = running;
        assert.ok(result.link, "the program prints the link of the first user");
        const stop = async () => {
            await stopProgram();
            await removeFolder();
        };
        return { api: `http://${api}`, origin, link: result.link, picture, folder, model: "demo", stop };
    } catch (error) {
        await removeFolder();
        throw error;
    }
}

/** Waits until all models of a server are loaded: one that is not leaves it degraded. */
async function answering(api) {
    for (;;) {
        const response = await fetch(`${api}/health/ready`);
        const { status } = await response.json();
        if (status === "ready") return;
        await new Promise((resolve) => setTimeout(resolve, 200));
    }
}

/** The example of another program that mounts the administration: its API has another origin. */
export async function startExample() {
    const example = program("ADMIN_SERVER_BIN");
    const { folder, removeFolder } = await emptyFolder();
    const environment = { API_LISTEN: "127.0.0.1:0", ADMIN_LISTEN: "127.0.0.1:0" };
    const read = (output) => LINK.test(output) && { api: /^API: (\S+)/m.exec(output)[1], link: LINK.exec(output)[0] };
    try {
        const { result, stop: stopProgram } = await startProgram(example, [folder], { environment, read });
        const stop = async () => {
            await stopProgram();
            await removeFolder();
        };
        return { ...result, origin: new URL(result.link).origin, folder, model: "parrot", stop };
    } catch (error) {
        await removeFolder();
        throw error;
    }
}
