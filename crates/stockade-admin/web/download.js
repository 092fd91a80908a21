// Files that the browser saves.

/** Saves a text as a file. */
export function download(name, type, content) {
    const url = URL.createObjectURL(new Blob([content], { type }));
    const link = document.createElement("a");
    link.href = url;
    link.download = name;
    link.click();
    // The browser reads it after this call has returned.
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

/** A table as CSV (RFC 4180). Cells that a spreadsheet would run begin with an apostrophe. */
export function csv(rows) {
    const cell = (value) => {
        const words = String(value ?? "");
        const safe = /^[=+\-@\t\r\n]/.test(words) ? `'${words}` : words;
        return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
    };
    return rows.map((row) => `${row.map(cell).join(",")}\r\n`).join("");
}
