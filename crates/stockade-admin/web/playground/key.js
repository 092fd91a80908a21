// The key of the playground: kept in memory, gone when the page is closed.

let kept = "";

/** Keeps a key that was just created or pasted. */
export function keepKey(secret) {
    kept = secret;
}

export const keptKey = () => kept;
