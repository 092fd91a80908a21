// Pages by the part of the address after `#`, which the server never receives.

/** Splits `#/keys/team?tab=usage` into its segments and parameters. */
export function parse(hash) {
    const text = hash.startsWith("#/") ? hash.slice(2) : "";
    const [pathText, queryText = ""] = text.split("?", 2);
    const segments = pathText.split("/").filter(Boolean).map(decode);
    return { segments, params: new URLSearchParams(queryText) };
}

function decode(segment) {
    try {
        return decodeURIComponent(segment);
    } catch {
        return segment;
    }
}

/** The link to a page: `link("keys", id)`, with parameters as the last, optional object. */
export function link(...parts) {
    const last = parts.at(-1);
    const params = last !== null && typeof last === "object" ? parts.pop() : {};
    const present = Object.entries(params).filter(([, value]) => value !== null && value !== undefined && value !== "");
    const text = new URLSearchParams(present).toString();
    return `#/${parts.map(encodeURIComponent).join("/")}${text ? `?${text}` : ""}`;
}

/** Changes the parameters of the present page without opening it again. */
export function replaceParams(params) {
    const { segments } = parse(location.hash);
    history.replaceState(null, "", link(...segments, params));
}

/** Opens a page. */
export function go(...parts) {
    location.hash = link(...parts);
}

/** Calls the listener with each page that is opened, and with the present one. */
export function start(listener) {
    const open = () => listener(parse(location.hash));
    addEventListener("hashchange", open);
    open();
}
