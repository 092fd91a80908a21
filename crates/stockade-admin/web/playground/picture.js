// Pictures for a question: from a drop, the clipboard or a file.

const MAX_BYTES = 10_000_000;
const TYPES = ["image/png", "image/jpeg", "image/webp", "image/gif"];

/** What file dialogs offer. */
export const accepted = TYPES.join(",");

/** Reads a picture: its name, type, size, pixels and data URL. Fails with `type`, `size` or `damaged`. */
export async function readPicture(file) {
    if (!TYPES.includes(file.type)) throw new Error("type");
    if (file.size > MAX_BYTES) throw new Error("size");
    const url = await new Promise((resolve, reject) => {
        const reader = new FileReader();
        reader.addEventListener("load", () => resolve(reader.result));
        reader.addEventListener("error", () => reject(new Error("damaged")));
        reader.readAsDataURL(file);
    });
    const image = new Image();
    image.src = url;
    try {
        await image.decode();
    } catch {
        throw new Error("damaged");
    }
    return { name: file.name || "picture.png", type: file.type, size: file.size, url, width: image.naturalWidth, height: image.naturalHeight };
}

/** The first picture of a drop or of the clipboard. */
export function pictureOf(transfer) {
    return [...(transfer?.files ?? [])].find((file) => file.type.startsWith("image/")) ?? null;
}
