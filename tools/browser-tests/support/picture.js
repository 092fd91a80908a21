// Pictures that come from outside of the browser.

import { writeFile } from "node:fs/promises";
import { join } from "node:path";

/** The bytes of a data URL. */
export function bytesOf(url) {
    return Buffer.from(url.slice(url.indexOf(",") + 1), "base64");
}

/** A screenshot-like picture of 320 by 200 pixels, as the bytes of a PNG file. */
export async function picture(page) {
    const url = await page.evaluate(() => {
        const canvas = document.createElement("canvas");
        [canvas.width, canvas.height] = [320, 200];
        const context = canvas.getContext("2d");
        context.fillStyle = "#dfe7f5";
        context.fillRect(0, 0, 320, 200);
        context.fillStyle = "#2563eb";
        context.fillRect(110, 35, 100, 30);
        return canvas.toDataURL("image/png");
    });
    return bytesOf(url);
}

/** Drags a file onto an element and drops it, as from a folder of the desktop. */
export async function dropFile(page, target, folder, name, bytes) {
    const path = join(folder, name);
    await writeFile(path, bytes);
    await target.scrollIntoViewIfNeeded();
    const box = await target.boundingBox();
    const point = { x: box.x + box.width / 2, y: box.y + box.height / 2 };
    const data = { items: [], files: [path], dragOperationsMask: 1 };
    const session = await page.context().newCDPSession(page);
    for (const type of ["dragEnter", "dragOver", "drop"]) {
        await session.send("Input.dispatchDragEvent", { type, ...point, data });
    }
    await session.detach();
}

/** Pastes a picture of the clipboard with the keyboard. */
export async function pastePicture(page, target, url) {
    await page.evaluate(async (source) => {
        const bytes = Uint8Array.from(atob(source.slice(source.indexOf(",") + 1)), (char) => char.charCodeAt(0));
        await navigator.clipboard.write([new ClipboardItem({ "image/png": new Blob([bytes], { type: "image/png" }) })]);
    }, url);
    await target.focus();
    await page.keyboard.press("Control+V");
}
