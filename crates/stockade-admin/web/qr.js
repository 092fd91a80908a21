// QR codes (ISO/IEC 18004) of up to 213 bytes: byte mode, error correction level M, mask 0.

import { s } from "./dom.js";

/** For each version from 1 to 10: error correction bytes per block, and data bytes of the blocks. */
const BLOCKS = [
    [10, [16]],
    [16, [28]],
    [26, [44]],
    [18, [32, 32]],
    [24, [43, 43]],
    [16, [27, 27, 27, 27]],
    [18, [31, 31, 31, 31]],
    [22, [38, 38, 39, 39]],
    [22, [36, 36, 36, 37, 37]],
    [26, [43, 43, 43, 43, 44]],
];
const ALIGNMENT = [[], [6, 18], [6, 22], [6, 26], [6, 30], [6, 34], [6, 22, 38], [6, 24, 42], [6, 26, 46], [6, 28, 50]];
/** The format of level M with mask 0, with its error correction. */
const FORMAT = 0b101010000010010;

// GF(256) with the polynomial 0x11d.
const EXP = new Uint8Array(512);
const LOG = new Uint8Array(256);
for (let power = 0, value = 1; power < 255; power += 1) {
    EXP[power] = EXP[power + 255] = value;
    LOG[value] = power;
    value = value & 0x80 ? (value << 1) ^ 0x11d : value << 1;
}
const multiply = (a, b) => (a && b ? EXP[LOG[a] + LOG[b]] : 0);

function correction(data, length) {
    let generator = [1];
    for (let power = 0; power < length; power += 1) {
        const next = [...generator, 0];
        generator.forEach((factor, at) => (next[at + 1] ^= multiply(factor, EXP[power])));
        generator = next;
    }
    const rest = new Uint8Array(length);
    for (const byte of data) {
        const factor = byte ^ rest[0];
        rest.copyWithin(0, 1);
        rest[length - 1] = 0;
        for (let at = 0; at < length; at += 1) rest[at] ^= multiply(generator[at + 1], factor);
    }
    return rest;
}

/** The bytes of the symbol: data and error correction, interleaved. */
function codewords(bytes, version) {
    const [length, sizes] = BLOCKS[version - 1];
    const capacity = sizes.reduce((sum, size) => sum + size, 0);
    const bits = [];
    const push = (value, width) => {
        for (let at = width - 1; at >= 0; at -= 1) bits.push((value >> at) & 1);
    };
    push(0b0100, 4);
    push(bytes.length, version < 10 ? 8 : 16);
    bytes.forEach((byte) => push(byte, 8));
    push(0, Math.min(4, capacity * 8 - bits.length));
    while (bits.length % 8) bits.push(0);
    const data = [];
    for (let at = 0; at < bits.length; at += 8) data.push(bits.slice(at, at + 8).reduce((value, bit) => (value << 1) | bit, 0));
    for (let pad = 0; data.length < capacity; pad += 1) data.push(pad % 2 ? 0x11 : 0xec);

    let start = 0;
    const blocks = sizes.map((size) => data.slice(start, (start += size)));
    const corrections = blocks.map((block) => correction(block, length));
    const result = [];
    for (let at = 0; at < Math.max(...sizes); at += 1) for (const block of blocks) if (at < block.length) result.push(block[at]);
    for (let at = 0; at < length; at += 1) for (const block of corrections) result.push(block[at]);
    return result;
}

/** The modules of the code as rows of booleans; `null` if the text is too long. */
export function matrix(text) {
    const bytes = new TextEncoder().encode(text);
    const fits = ([, sizes], at) => sizes.reduce((sum, size) => sum + size, 0) - (at < 9 ? 2 : 3) >= bytes.length;
    const version = BLOCKS.findIndex(fits) + 1;
    if (version === 0) return null;
    const size = 17 + 4 * version;
    const rows = Array.from({ length: size }, () => Array(size).fill(null));
    patterns(rows, version, size);

    const data = codewords(bytes, version);
    let bit = 0;
    for (let right = size - 1; right > 0; right -= 2) {
        if (right === 6) right = 5;
        const upward = ((right + 1) & 2) === 0;
        for (let step = 0; step < size; step += 1) {
            const y = upward ? size - 1 - step : step;
            for (const x of [right, right - 1]) {
                if (rows[y][x] !== null) continue;
                const dark = bit < data.length * 8 && ((data[bit >> 3] >> (7 - (bit & 7))) & 1) === 1;
                rows[y][x] = dark !== ((x + y) % 2 === 0);
                bit += 1;
            }
        }
    }
    return rows;
}

function patterns(rows, version, size) {
    const square = (cx, cy, reach, dark) => {
        for (let dy = -reach; dy <= reach; dy += 1) {
            for (let dx = -reach; dx <= reach; dx += 1) {
                const [x, y] = [cx + dx, cy + dy];
                if (rows[y]?.[x] !== undefined) rows[y][x] = dark(Math.max(Math.abs(dx), Math.abs(dy)));
            }
        }
    };
    for (let at = 0; at < size; at += 1) rows[6][at] = rows[at][6] = at % 2 === 0;
    const centers = ALIGNMENT[version - 1];
    const last = centers.length - 1;
    centers.forEach((cx, i) =>
        centers.forEach((cy, j) => {
            const isFinder = (i === 0 && j === 0) || (i === 0 && j === last) || (i === last && j === 0);
            if (!isFinder) square(cx, cy, 2, (distance) => distance !== 1);
        }),
    );
    for (const [cx, cy] of [[3, 3], [size - 4, 3], [3, size - 4]]) square(cx, cy, 4, (distance) => distance !== 2 && distance !== 4);
    format(rows, size);
    if (version >= 7) versionInfo(rows, version, size);
}

function format(rows, size) {
    const bit = (at) => ((FORMAT >> at) & 1) === 1;
    for (let at = 0; at < 6; at += 1) rows[at][8] = bit(at);
    rows[7][8] = bit(6);
    rows[8][8] = bit(7);
    rows[8][7] = bit(8);
    for (let at = 9; at < 15; at += 1) rows[8][14 - at] = bit(at);
    for (let at = 0; at < 8; at += 1) rows[8][size - 1 - at] = bit(at);
    for (let at = 8; at < 15; at += 1) rows[size - 15 + at][8] = bit(at);
    rows[size - 8][8] = true;
}

function versionInfo(rows, version, size) {
    let rest = version;
    for (let at = 0; at < 12; at += 1) rest = (rest << 1) ^ ((rest >> 11) * 0x1f25);
    const bits = (version << 12) | rest;
    for (let at = 0; at < 18; at += 1) {
        const dark = ((bits >> at) & 1) === 1;
        const [a, b] = [size - 11 + (at % 3), Math.floor(at / 3)];
        rows[b][a] = rows[a][b] = dark;
    }
}

/** The code as SVG; `null` if the text is too long. */
export function qrCode(text, label) {
    const rows = matrix(text);
    if (rows === null) return null;
    const dark = rows.flatMap((row, y) => row.map((on, x) => (on ? `M${x} ${y}h1v1h-1z` : "")));
    return s("svg", { viewBox: `0 0 ${rows.length} ${rows.length}`, role: "img", "aria-label": label, "shape-rendering": "crispEdges" }, s("path", { d: dark.join(""), fill: "#000" }));
}
